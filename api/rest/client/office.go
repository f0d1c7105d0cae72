package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Office is an account that signs what it wants done, so that nobody else can
// ask for it, not even the service's own public side.
type Office struct {
	calls    *ClientWithResponses
	id       string
	audience string
	key      *ecdsa.PrivateKey
	now      func() time.Time
}

// ConnectOffice makes a client for an office. Its private key is PKCS #8 in
// PEM, on P-256.
func ConnectOffice(a Account, privateKey string) (*Office, error) {
	block, _ := pem.Decode([]byte(privateKey))
	if block == nil {
		return nil, errors.New("the office's credentials have no private key (PEM)")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the office's private key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("the office's private key is not on P-256")
	}
	a.Scope = "registration"
	if a.Now == nil {
		a.Now = time.Now
	}
	calls, err := Connect(a)
	if err != nil {
		return nil, err
	}
	return &Office{calls: calls, id: a.ID, audience: strings.TrimRight(a.BaseURL, "/"), key: key, now: a.Now}, nil
}

// Perform signs an act and has it carried out. Issuer, audience, time and jti
// are set here. The receipt is nil where the act leaves none. A refusal is a
// *Problem.
func (o *Office) Perform(ctx context.Context, act OfficeAct) (*Receipt, error) {
	act.Iss, act.Aud, act.Iat, act.Jti = o.id, o.audience, o.now().Unix(), rand.Text()
	jws, err := o.sign(act)
	if err != nil {
		return nil, fmt.Errorf("signing an act: %w", err)
	}
	answer, err := o.calls.PerformOfficeActWithBodyWithResponse(ctx, "application/jose", strings.NewReader(jws))
	if err := Check(answer, err); err != nil {
		return nil, err
	}
	return answer.JSON201, nil
}

// sign makes the JWS (RFC 7515, section 3.1), with ES256 (RFC 7518, section 3.4).
func (o *Office) sign(act OfficeAct) (string, error) {
	payload, err := json.Marshal(act)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"rubrica-office-act+jws"}`)) +
		"." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, o.key, sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
