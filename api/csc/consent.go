package csc

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/signer"
)

// consented is a consent with the token that stands for it.
type consented struct {
	Consent
	token string
}

// consent finds what a call may spend: the token in SAD or, in version 2, the
// bearer's own where its scope is credential (CSC API v2.0.0.2, 11.10).
func (d *Door) consent(ctx context.Context, c call) (consented, error) {
	credentialID, err := c.body.must("credentialID")
	if err != nil {
		return consented{}, err
	}
	found, err := d.carried(ctx, c)
	if err == nil && found.CredentialID != credentialID {
		err = invalidParameter("credentialID")
	}
	return found, err
}

// qualified is consent where signatureQualifier may stand for the credential, whose
// certificate has to be of that kind then; both may be given (CSC API v2.0.0.2,
// 11.11).
func (d *Door) qualified(ctx context.Context, c call) (consented, error) {
	if !c.body.has("signatureQualifier") {
		return d.consent(ctx, c)
	}
	asked, _ := c.body.text("signatureQualifier")
	credentialID, err := c.body.may("credentialID")
	if err != nil {
		return consented{}, err
	}
	found, err := d.carried(ctx, c)
	if err == nil && c.body.has("credentialID") && found.CredentialID != credentialID {
		err = invalidParameter("credentialID")
	}
	if err != nil {
		return consented{}, err
	}
	s, err := d.named(ctx, c, found.CredentialID)
	if err != nil {
		return consented{}, err
	}
	if s, err = d.complete(ctx, s, wishes{}); err != nil {
		return consented{}, err
	}
	if s.certificate == nil || Qualifier(s.certificate) != asked {
		return consented{}, invalidParameter("signatureQualifier")
	}
	return found, nil
}

// carried is the consent of a call's token.
func (d *Door) carried(ctx context.Context, c call) (consented, error) {
	token, given := c.body.text("SAD")
	switch {
	case c.body.has("SAD") && !given, !c.body.has("SAD") && (c.version == 1 || !c.holds(api.ScopeCredential)):
		return consented{}, missing("string", "SAD")
	case !given:
		token = c.grant.Token
	}
	if !printable(token) {
		return consented{}, invalidParameter("SAD")
	}
	found, err := d.Authority.Consent(ctx, token)
	if err != nil {
		return consented{}, told(err)
	}
	if found.ClientID != c.grant.Client.ID {
		return consented{}, invalidParameter("SAD")
	}
	return consented{found, token}, nil
}

// claim is a hash of a consent that a call asks the signature of.
type claim struct {
	request  signer.Request
	ordinals []int // in the call's order, from 1
}

// documents are the claimed, in the call's order.
func (c claim) documents() []signer.Document {
	out := make([]signer.Document, len(c.ordinals))
	for i, n := range c.ordinals {
		out[i] = c.request.Documents[n-1]
	}
	return out
}

// claims finds hashes among those that were consented to, each once and never
// again.
func (d *Door) claims(ctx context.Context, consent consented, hashes [][]byte, v version) (claim, error) {
	stranger := invalid("Hash is not authorized by the SAD")
	if v == 1 {
		stranger = invalid("Hash is not authorized by the SAD.")
	}
	r, err := d.Store.Request(ctx, consent.RequestID)
	if err != nil {
		return claim{}, told(err)
	}
	out, err := d.Store.HandedOut(ctx, r.ID)
	if err != nil {
		return claim{}, fmt.Errorf("reading what has been handed out: %w", err)
	}
	if len(out) == len(r.Documents) {
		return claim{}, invalidParameter("SAD") // it is used up
	}
	found := claim{request: r}
	for _, hash := range hashes {
		n := slices.IndexFunc(r.Documents, func(d signer.Document) bool { return bytes.Equal(d.Given, hash) }) + 1
		if n == 0 || slices.Contains(out, n) || slices.Contains(found.ordinals, n) {
			return claim{}, stranger
		}
		found.ordinals = append(found.ordinals, n)
	}
	return found, nil
}
