package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// storage is go-oidc's view of Store. It hands handles back as they were shown
// and keeps their hashes. Grant means one thing to goidc.GrantManager and another
// to nobody: see grants.
type storage struct{ *Server }

// notFound turns a refusal into what go-oidc understands.
func notFound(err error, code policies.Code) error {
	if errors.Is(err, policies.Refuse(code)) {
		return fmt.Errorf("%w: %w", goidc.ErrNotFound, err)
	}
	return err
}

// The members of a session's store.
const (
	memberRequest    = "request"
	memberCredential = "credential" // of scope credential; of credential_deletion, what its application says
	memberTitle      = "title"
	memberLocale     = "locale"
	memberAccount    = "account"
)

func member(as *goidc.AuthnSession, name string) string {
	value, _ := as.Store[name].(string)
	return value
}

// SaveSession implements goidc.AuthManager. A session that has ended is not
// saved again: of two consents at once, one is too late.
func (s storage) SaveSession(ctx context.Context, as *goidc.AuthnSession) error {
	kept := *as
	kept.ID, kept.PushedAuthReqID = "", ""
	data, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("encoding a session: %w", err)
	}
	v := visitOf(ctx)
	row := signer.AuthorisationSession{
		Hash: hashOf(as.ID), ApplicationID: as.ClientID, RequestID: member(as, memberRequest), Subject: as.Subject, Data: data,
		ExpiresAt: time.Unix(int64(as.ExpiresAt), 0), Ended: as.Status == goidc.StatusSuccess || as.Status == goidc.StatusFailure,
	}
	if as.PushedAuthReqID != "" {
		row.RequestURI = hashOf(as.PushedAuthReqID)
	}
	if v.session != nil {
		row.Hash, row.RequestURI = v.session.Hash, nil
	}
	if row.ExpiresAt.Before(v.now) { // one that failed before it had an expiry
		row.ExpiresAt = v.now.Add(sessionLife)
	}
	if err := s.Store.SaveSession(ctx, row, v.now); err != nil {
		return err
	}
	v.session = &row
	return nil
}

// Session implements goidc.AuthManager: sessions go on in the name of whoever
// found them (see Server.finish).
func (s storage) Session(ctx context.Context, id string) (*goidc.AuthnSession, error) {
	v := visitOf(ctx)
	if v.session == nil || v.session.Ended {
		return nil, goidc.ErrNotFound
	}
	return s.session(*v.session, id)
}

func (storage) session(row signer.AuthorisationSession, id string) (*goidc.AuthnSession, error) {
	var as goidc.AuthnSession
	if err := json.Unmarshal(row.Data, &as); err != nil {
		return nil, fmt.Errorf("reading a session: %w", err)
	}
	as.ID, as.ExpiresAt = id, int(row.ExpiresAt.Unix())
	if as.Store == nil {
		as.Store = map[string]any{}
	}
	return &as, nil
}

// SessionByPushedAuthReqID implements goidc.PARManager.
func (s storage) SessionByPushedAuthReqID(ctx context.Context, id string) (*goidc.AuthnSession, error) {
	v := visitOf(ctx)
	fresh := random(ctx)
	row, err := s.Store.TakePushed(ctx, hashOf(id), hashOf(fresh), v.now)
	if err != nil {
		return nil, notFound(err, policies.RequestUnknown)
	}
	v.session = &row
	return s.session(row, fresh)
}

// SaveToken implements goidc.OpaqueTokenManager. If a consent has come this far,
// it goes on under the token.
func (s storage) SaveToken(ctx context.Context, t *goidc.Token) error {
	v := visitOf(ctx)
	if t.RevokedAt != 0 {
		return s.Store.RevokeToken(ctx, hashOf(t.ID), v.now)
	}
	row := signer.AccessToken{
		Hash: hashOf(t.ID), ClientID: t.ClientID, Scopes: strings.Fields(t.Scopes), ExpiresAt: time.Unix(int64(t.ExpiresAt), 0),
		KeyThumbprint: t.JWKThumbprint, GrantID: t.GrantID,
	}
	var err error
	if t.CertThumbprint != "" {
		if row.Certificate, err = base64.RawURLEncoding.DecodeString(t.CertThumbprint); err != nil {
			return fmt.Errorf("reading a thumbprint: %w", err)
		}
	}
	if v.sad != nil && v.granted != nil {
		b := box{under: underToken, grantID: t.GrantID, requestID: v.granted.RequestID, until: v.sad.until}
		if row.SAD, err = b.seal(t.ID, v.sad.sad); err != nil {
			return err
		}
	}
	return s.Store.AddToken(ctx, row)
}

// Token implements goidc.OpaqueTokenManager. Who asks about a token of another
// application hears that there is none.
func (s storage) Token(ctx context.Context, id string) (*goidc.Token, error) {
	v := visitOf(ctx)
	t, err := s.Store.ShownToken(ctx, hashOf(id), v.now)
	if err == nil && t.ClientID != v.client.ID {
		err = goidc.ErrNotFound
	}
	if err != nil {
		return nil, notFound(err, policies.ApplicationUnknown)
	}
	out := &goidc.Token{
		ID: id, GrantID: t.GrantID, ClientID: t.ClientID, Subject: t.Grant.Subject, Scopes: strings.Join(t.Scopes, " "),
		CreatedAt: int(t.Grant.CreatedAt.Unix()), ExpiresAt: int(t.ExpiresAt.Unix()), Format: goidc.TokenFormatOpaque, Type: goidc.TokenTypeBearer,
		JWKThumbprint: t.KeyThumbprint,
	}
	if t.KeyThumbprint != "" {
		out.Type = goidc.TokenTypeDPoP
	}
	if t.Certificate != nil {
		out.CertThumbprint = base64.RawURLEncoding.EncodeToString(t.Certificate)
	}
	return out, nil
}
