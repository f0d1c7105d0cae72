package csc

import (
	"context"
	"encoding/asn1"
	"fmt"
	"net/http"
	"slices"
)

// What citizens do with their certificate because an application has asked: they
// have it made, or give it up, on our pages, before there is a token. Here the
// application hears of it, once.

// created is what credentials/create answers.
type created struct {
	CredentialID   string          `json:"credentialID"`
	CredentialInfo *credentialView `json:"credentialInfo,omitempty"`
}

func (d *Door) create(ctx context.Context, c call) (answer, error) {
	in, found := c.body.within("credentialCreationRequest")
	if !found {
		return answer{}, missing("object", "credentialCreationRequest")
	}
	policy, err := in.must("certificatePolicy")
	if err != nil {
		return answer{}, err
	}
	infos, err := c.body.flag("credentialInfo")
	if err != nil {
		return answer{}, err
	}
	w, err := d.wishes(c)
	if err != nil {
		return answer{}, err
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	s, err := d.made(ctx, c, w)
	if err != nil {
		return answer{}, err
	}
	if err := s.fits(policy, in); err != nil {
		return answer{}, err
	}
	out := created{CredentialID: s.credential.ID}
	if infos {
		view, err := s.view(c.version, w, d.Now())
		if err != nil {
			return answer{}, err
		}
		out.CredentialInfo = &view
	}
	return answer{http.StatusCreated, out}, d.useUp(ctx, c)
}

// made is the credential that a citizen has had made for the bearer.
func (d *Door) made(ctx context.Context, c call, w wishes) (subject, error) {
	s, err := d.named(ctx, c, c.grant.CredentialID)
	if err != nil {
		return s, err
	}
	if s, err = d.complete(ctx, s, w); err == nil && s.certificate == nil {
		err = fmt.Errorf("credential %s has no certificate", s.credential.ID)
	}
	return s, err
}

// fits holds what was wished for against the certificate that was made.
func (s subject) fits(policy string, in object) error {
	policies := s.certificate.PolicyIdentifiers
	if !slices.ContainsFunc(policies, func(oid asn1.ObjectIdentifier) bool { return oid.String() == policy }) {
		return invalidParameter("certificatePolicy")
	}
	if !in.has("subjectData") {
		return nil
	}
	data, ok := in.within("subjectData")
	for name, oid := range map[string]string{"givenName": "2.5.4.42", "surname": "2.5.4.4", "issuingCountry": "2.5.4.6"} {
		text, given := data.text(name)
		if data.has(name) && (!given || text != s.attribute(oid)) {
			ok = false
		}
	}
	if !ok {
		return invalidParameter("subjectData")
	}
	return nil
}

// attribute is one of the certificate's subject, empty if it has none.
func (s subject) attribute(oid string) string {
	for _, a := range s.certificate.Subject.Names {
		if text, ok := a.Value.(string); ok && a.Type.String() == oid {
			return text
		}
	}
	return ""
}

func (d *Door) remove(ctx context.Context, c call) (answer, error) {
	in, found := c.body.within("credentialDeletionRequest")
	if !found {
		return answer{}, missing("object", "credentialDeletionRequest")
	}
	id, err := in.must("credentialID")
	if err != nil {
		return answer{}, err
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	if id != c.grant.CredentialID {
		return answer{}, invalidParameter("credentialID")
	}
	return answer{status: http.StatusNoContent}, d.useUp(ctx, c)
}

// useUp spends the bearer's token.
func (d *Door) useUp(ctx context.Context, c call) error {
	return told(d.Authority.Spend(ctx, c.grant.ID))
}
