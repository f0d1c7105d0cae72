package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/csc"
	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// authority is the authorisation server for applications.
func (c *APICommand) authority(p parts) (*oauth.Server, error) {
	return oauth.New(oauth.Config{
		Issuer: strings.TrimRight(c.PublicURL, "/"), Store: p.public, Requests: hashRequests{p.core, p.public}, Consents: p.client,
		SigningPath: pages.SigningPath(""), ConsentPath: pages.AuthorisePath,
		Certificate: oauth.ClientCertificate(c.ClientCertHeader, c.Proxies), Logger: p.logger, Now: time.Now,
	})
}

// hashRequests makes signature requests of authorisation requests.
type hashRequests struct {
	core  *requests.Service
	store store.Public
}

// Open implements oauth.Requests.
func (h hashRequests) Open(ctx context.Context, o oauth.Order) (oauth.Opened, error) {
	who, credential, err := h.signatory(ctx, o)
	if err == nil && o.Account != "" && o.Account != who.Identifier {
		err = policies.Refuse(policies.NotTheSigner)
	}
	if err != nil {
		return oauth.Opened{}, err
	}
	sub := requests.HashSubmission{
		Client: o.Client, Identifier: who.Identifier, Title: cmp.Or(o.Title, "Firma de documentos"), Locale: o.Locale,
		ReturnURL: o.ReturnURL, Key: o.Key, Life: o.Life, Hash: o.Detail.HashAlgorithm,
	}
	for i, hash := range o.Detail.Hashes {
		label := cmp.Or(hash.Label, fmt.Sprintf("Documento %d", i+1))
		sub.Hashes = append(sub.Hashes, requests.LabelledHash{Label: label, Value: hash.Value})
	}
	r, err := h.core.SubmitHashes(ctx, sub)
	return oauth.Opened{RequestID: r.ID, CredentialID: credential, Subject: who.ID}, err
}

// signatory is whose consent is asked for, and with which credential.
func (h hashRequests) signatory(ctx context.Context, o oauth.Order) (signer.Citizen, string, error) {
	if o.CredentialID != "" {
		who, _, err := h.store.CredentialOf(ctx, o.CredentialID)
		return who, o.CredentialID, err
	}
	who, credential, err := h.store.Person(ctx, o.Identifier)
	if err == nil && (credential == nil || !fit(credential.Certificate, o.Detail.Qualifier)) {
		err = policies.Refuse(policies.CredentialMissing)
	}
	if err != nil {
		return who, "", err
	}
	return who, credential.ID, nil
}

// fit is whether signatures with a certificate are of the kind that is asked for.
// One that is yet to be made is looked at when the consent is spent.
func fit(c *signer.Certificate, qualifier string) bool {
	if c == nil || qualifier == "" {
		return true
	}
	certificate, err := x509.ParseCertificate(c.DER)
	return err == nil && csc.Qualifier(certificate) == qualifier
}
