package client

import (
	"context"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
)

// Office is an account that signs what it wants done, so that nobody else can
// ask for it, not even the service's own public side.
type Office struct {
	calls     *ClientWithResponses
	signatory *citizen.Signatory
}

// ConnectOffice makes a client for an office. Its private key is PKCS #8 in
// PEM, on P-256.
func ConnectOffice(a Account, privateKey string) (*Office, error) {
	a.Scope = "registration"
	if a.Now == nil {
		a.Now = time.Now
	}
	signatory, err := citizen.ReadSignatory(citizen.SignatoryConfig{
		Office: a.ID, Audience: strings.TrimRight(a.BaseURL, "/"), PrivateKey: privateKey, Now: a.Now,
	})
	if err != nil {
		return nil, err
	}
	calls, err := Connect(a)
	if err != nil {
		return nil, err
	}
	return &Office{calls: calls, signatory: signatory}, nil
}

// Perform signs an act and has it carried out. Issuer, audience, time and jti
// are set here. The receipt is nil where the act leaves none. A refusal is a
// *Problem.
func (o *Office) Perform(ctx context.Context, act OfficeAct) (*Receipt, error) {
	signed, err := o.signatory.Sign(act)
	if err != nil {
		return nil, err
	}
	answer, err := o.calls.PerformOfficeActWithBodyWithResponse(ctx, "application/jose", strings.NewReader(signed.JWS))
	if err := Check(answer, err); err != nil {
		return nil, err
	}
	return answer.JSON201, nil
}
