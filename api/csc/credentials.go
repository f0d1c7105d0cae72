package csc

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// credentials is what credentials/list answers.
type credentials struct {
	CredentialIDs   []string         `json:"credentialIDs"`
	CredentialInfos []credentialView `json:"credentialInfos,omitempty"`
	OnlyValid       *bool            `json:"onlyValid,omitempty"`
}

// list names the credentials of one citizen, who has at most one: whoever stands
// behind the token or, where an application speaks for itself, whom it names by
// DNI or NIE.
func (d *Door) list(ctx context.Context, c call) (answer, error) {
	identifier, err := whose(c)
	if err != nil {
		return answer{}, err
	}
	if c.body.has("maxResults") {
		if n, ok := c.body.number("maxResults"); !ok || n < 1 {
			return answer{}, invalidParameter("maxResults")
		}
	}
	// One page holds all there is: nobody was given a token to another.
	if c.body.has("pageToken") {
		return answer{}, invalidParameter("pageToken")
	}
	w, err := d.wishes(c)
	if err != nil {
		return answer{}, err
	}
	infos, err := c.body.flag("credentialInfo")
	if err != nil {
		return answer{}, err
	}
	onlyValid, err := c.body.flag("onlyValid")
	if err != nil {
		return answer{}, err
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}

	out := credentials{CredentialIDs: []string{}}
	if c.version > 1 && c.body.has("onlyValid") {
		out.OnlyValid = &onlyValid
	}
	person, credential, err := d.Store.Person(ctx, identifier)
	if errors.Is(err, policies.Refuse(policies.CitizenUnknown)) || err == nil && (credential == nil || credential.Certificate == nil) {
		return ok(out)
	}
	if err != nil {
		return answer{}, err
	}
	s := subject{citizen: person, credential: *credential}
	if c.version > 1 && onlyValid && !s.enabled(d.Now()) {
		return ok(out)
	}
	out.CredentialIDs = append(out.CredentialIDs, credential.ID)
	if c.version == 1 || !infos {
		return ok(out)
	}
	if s, err = d.complete(ctx, s, w); err != nil {
		return answer{}, err
	}
	view, err := s.view(c.version, w, d.Now())
	view.CredentialID = credential.ID
	out.CredentialInfos = []credentialView{view}
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

// whose is the DNI or NIE that credentials are listed of.
func whose(c call) (string, error) {
	if c.grant.Subject != "" {
		if c.body.has("userID") {
			if c.version == 1 {
				return "", invalid("userID parameter MUST be null")
			}
			return "", invalid("userID parameter SHALL be null")
		}
		return c.grant.Identifier, nil
	}
	name, err := c.body.must("userID")
	if err != nil {
		return "", err
	}
	id, err := citizen.ParseIdentifier(name)
	if err != nil {
		return "", invalidParameter("userID")
	}
	return id.String(), nil
}

// complete reads what a view needs besides the rows.
func (d *Door) complete(ctx context.Context, s subject, w wishes) (subject, error) {
	if s.credential.Certificate == nil {
		return s, nil
	}
	var err error
	if s.certificate, err = x509.ParseCertificate(s.credential.Certificate.DER); err != nil {
		return s, fmt.Errorf("reading a certificate: %w", err)
	}
	if w.certificates == "chain" {
		if s.hierarchy, err = d.Store.Hierarchy(ctx); err != nil {
			return s, fmt.Errorf("reading the authorities: %w", err)
		}
	}
	return s, nil
}

// subject reads the credential that a call names, if the bearer may know of it:
// a citizen's token reaches that citizen's own.
func (d *Door) subject(ctx context.Context, c call) (subject, error) {
	id, err := c.body.must("credentialID")
	if err != nil {
		return subject{}, err
	}
	return d.named(ctx, c, id)
}

func (d *Door) named(ctx context.Context, c call, id string) (subject, error) {
	if !printable(id) {
		return subject{}, invalidParameter("credentialID")
	}
	person, credential, err := d.Store.CredentialOf(ctx, id)
	if errors.Is(err, policies.Refuse(policies.CredentialMissing)) {
		return subject{}, invalidParameter("credentialID")
	}
	if err != nil {
		return subject{}, fmt.Errorf("reading a credential: %w", err)
	}
	if c.grant.Subject != "" && c.grant.Subject != person.ID {
		return subject{}, invalidParameter("credentialID")
	}
	return subject{citizen: person, credential: credential}, nil
}

// credential is credentials/info.
func (d *Door) credential(ctx context.Context, c call) (answer, error) {
	s, err := d.subject(ctx, c)
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
	if s, err = d.complete(ctx, s, w); err != nil {
		return answer{}, err
	}
	view, err := s.view(c.version, w, d.Now())
	if err != nil {
		return answer{}, err
	}
	return ok(view)
}
