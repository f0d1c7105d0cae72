package main

import (
	"context"
	"time"

	"github.com/rubrica-firma/rubrica/api/csc"
	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/api/pages"
)

// cloudSignatures is the door of the Cloud Signature Consortium.
func (c *APICommand) cloudSignatures(p parts, authority *oauth.Server, drawn *pages.Pages, module csc.Module) *csc.Door {
	config := csc.Config{
		Store: p.public, Authority: consents{authority}, Signatures: p.core, Module: module, TimeStamps: p.client,
		Name: c.Service, Logo: drawn.Logo(), Region: "ES", Description: c.Service + " (" + c.Organisation + ")",
		Languages: []string{"es", "ca", "ca-valencia", "gl", "eu", "en"}, DocumentBytes: p.core.Limits.InlineBytes, Logger: p.logger, Now: time.Now,
	}
	if c.ExplicitMode {
		config.Explicit, config.Hashes = p.client, p.core
	}
	return csc.New(config)
}

// consents are the authorisation server's, in the words of the door.
type consents struct{ *oauth.Server }

// Consent implements csc.Authority.
func (s consents) Consent(ctx context.Context, token string) (csc.Consent, error) {
	found, err := s.Server.Consent(ctx, token)
	return csc.Consent{
		ClientID: found.ClientID, RequestID: found.RequestID, CredentialID: found.CredentialID, Qualifier: found.Qualifier,
		SAD: found.SAD, ExpiresAt: found.ExpiresAt,
	}, err
}

// Carry implements csc.Authority.
func (s consents) Carry(ctx context.Context, c csc.Consent) (string, error) {
	return s.Server.Carry(ctx, oauth.Consent{
		ClientID: c.ClientID, RequestID: c.RequestID, CredentialID: c.CredentialID, SAD: c.SAD, ExpiresAt: c.ExpiresAt,
	})
}
