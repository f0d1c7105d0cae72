package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// grants keeps grants for go-oidc.
type grants struct{ *Server }

// SaveGrant implements goidc.GrantManager, for what go-oidc saves a grant for: it
// is new, its code is redeemed, it is refreshed, it is revoked.
func (g grants) SaveGrant(ctx context.Context, grant *goidc.Grant) error {
	v := visitOf(ctx)
	if grant.RevokedAt != 0 {
		return g.Store.RevokeGrant(ctx, grant.ID, v.now)
	}
	row, err := g.row(v, grant)
	switch {
	case err != nil:
		return err
	case v.granted == nil:
		if err := g.Store.AddGrant(ctx, row); err != nil {
			return fmt.Errorf("keeping a grant: %w", err)
		}
		v.granted = &row
		return nil
	case v.code:
		err = g.Store.RedeemGrant(ctx, row, v.now)
	default:
		err = g.Store.RenewGrant(ctx, row)
	}
	if errors.Is(err, policies.Refuse(policies.RequestState)) { // somebody else was faster
		return goidc.WrapError(goidc.ErrorCodeInvalidGrant, "invalid grant", err)
	}
	return err
}

func (g grants) row(v *visit, grant *goidc.Grant) (signer.OAuthGrant, error) {
	kept := *grant
	kept.AuthCode, kept.RefreshToken = "", ""
	data, err := json.Marshal(kept) //nolint:gosec // what is secret was taken out
	if err != nil {
		return signer.OAuthGrant{}, fmt.Errorf("encoding a grant: %w", err)
	}
	row := signer.OAuthGrant{
		ID: grant.ID, ApplicationID: grant.ClientID, Scopes: strings.Fields(grant.Scopes), Refreshable: grant.RefreshToken != "",
		Data: data, CreatedAt: v.now, ExpiresAt: v.now.Add(grantLife),
	}
	if grant.Subject != grant.ClientID {
		row.Subject = grant.Subject
	}
	if row.Refreshable {
		row.ExpiresAt = v.now.Add(refreshLife)
	}
	if v.granted != nil { // the rest stays as it is
		row.Refresh = v.granted.Refresh
		return row, nil
	}
	if v.session != nil {
		row.Session, row.RequestID = v.session.Hash, v.session.RequestID
	}
	if v.outcome != nil {
		row.ConsentID, row.CredentialID = v.outcome.consent, v.credential
	}
	if grant.AuthCode != "" {
		row.Code = hashOf(grant.AuthCode)
	}
	if row.RequestID != "" {
		if err := g.seal(v, grant, &row); err != nil {
			return row, err
		}
	}
	return row, nil
}

// seal keeps a citizen's consent under the code that is about to leave.
func (g grants) seal(v *visit, grant *goidc.Grant, row *signer.OAuthGrant) error {
	if v.outcome == nil || v.outcome.sad == nil {
		return errors.New("a grant of a signature without its consent")
	}
	row.SADExpiresAt = v.outcome.sad.until
	b := box{under: underCode, grantID: row.ID, requestID: row.RequestID, until: row.SADExpiresAt}
	sealed, err := b.seal(grant.AuthCode, v.outcome.sad.sad)
	row.SAD = sealed
	return err
}

func (grants) read(row signer.OAuthGrant) (*goidc.Grant, error) {
	var grant goidc.Grant
	if err := json.Unmarshal(row.Data, &grant); err != nil {
		return nil, fmt.Errorf("reading a grant: %w", err)
	}
	if !row.CodeUsedAt.IsZero() {
		grant.AuthCodeConsumedAt = int(row.CodeUsedAt.Unix())
	}
	if !row.RevokedAt.IsZero() {
		grant.RevokedAt = int(row.RevokedAt.Unix())
	}
	return &grant, nil
}

// Grant implements goidc.GrantManager.
func (g grants) Grant(ctx context.Context, id string) (*goidc.Grant, error) {
	row, err := g.Store.Grant(ctx, id)
	if err != nil {
		return nil, notFound(err, policies.RequestUnknown)
	}
	return g.read(row)
}

// GrantByAuthCode implements goidc.AuthManager. The refresh token is made here,
// with the code that is being redeemed: nobody has to keep it until then.
func (s storage) GrantByAuthCode(ctx context.Context, code string) (*goidc.Grant, error) {
	if err := visitOf(ctx).spend(); err != nil {
		return nil, err
	}
	row, err := s.Store.GrantByCode(ctx, hashOf(code))
	if err == nil && !row.RevokedAt.IsZero() {
		err = goidc.ErrNotFound
	}
	if err != nil {
		return nil, notFound(err, policies.RequestUnknown)
	}
	v := visitOf(ctx)
	v.granted, v.code = &row, true
	grant, err := grants(s).read(row)
	if err != nil {
		return nil, err
	}
	grant.AuthCode = code
	if !row.CodeUsedAt.IsZero() {
		return grant, nil
	}
	if row.Refreshable {
		grant.RefreshToken = random(ctx)
		row.Refresh = hashOf(grant.RefreshToken)
	}
	if row.SAD != nil {
		b := box{under: underCode, grantID: row.ID, requestID: row.RequestID, until: row.SADExpiresAt}
		sad, err := b.open(code, row.SAD)
		if err != nil {
			return nil, err
		}
		v.sad = &consent{sad: sad, until: row.SADExpiresAt}
	}
	return grant, nil
}

// GrantByRefreshToken implements goidc.RefreshTokenManager.
func (s storage) GrantByRefreshToken(ctx context.Context, token string) (*goidc.Grant, error) {
	v := visitOf(ctx)
	if err := v.spend(); err != nil {
		return nil, err
	}
	row, err := s.Store.GrantByRefresh(ctx, hashOf(token))
	if err == nil && row.ApplicationID != v.client.ID {
		err = goidc.ErrNotFound
	}
	if err != nil {
		return nil, notFound(err, policies.RequestUnknown)
	}
	v.granted = &row
	grant, err := grants(s).read(row)
	if err == nil {
		grant.RefreshToken = token
	}
	return grant, err
}

// checkGrant is asked before a grant is kept.
func (s *Server) checkGrant(ctx context.Context, kind goidc.GrantType, grant *goidc.Grant) error {
	if kind != goidc.GrantClientCredentials {
		return nil
	}
	v := visitOf(ctx)
	if err := v.spend(); err != nil {
		return err
	}
	if grant.Scopes == "" { // RFC 6749, section 3.3: a default
		own := slices.DeleteFunc(s.offered(v.client), single)
		grant.Scopes = strings.Join(own, " ")
	}
	if grant.Scopes == "" || slices.ContainsFunc(strings.Fields(grant.Scopes), single) {
		return goidc.NewError(goidc.ErrorCodeInvalidScope, "a citizen has to grant that scope")
	}
	if len(grant.AuthDetails) > 0 {
		return goidc.NewError(goidc.ErrorCodeInvalidAuthDetails, "a citizen has to grant that")
	}
	return s.bound(v, grant.JWKThumbprint, grant.CertThumbprint)
}

// checkToken is asked before a token is kept.
func (s *Server) checkToken(ctx context.Context, t *goidc.Token, _ *goidc.Grant) error {
	return s.bound(visitOf(ctx), t.JWKThumbprint, t.CertThumbprint)
}

// bound demands a sender-constrained token (FAPI 2.0 security profile, section
// 5.3.2.1) of whom nobody has let off.
func (*Server) bound(v *visit, key, certificate string) error {
	if key == "" && certificate == "" && !v.client.Has(signer.SwitchUnbound) {
		return goidc.NewError(goidc.ErrorCodeInvalidRequest, "the token must be bound: by DPoP or by mutual TLS")
	}
	return nil
}

// refreshable is whether a grant may be refreshed. What is good for one thing is
// not granted twice.
func refreshable(_ context.Context, _ *goidc.Client, grant *goidc.Grant) bool {
	return grant.Scopes == api.ScopeService
}

// tokenOptions say how long a token lives: one for a signature, as long as the
// consent that it carries.
func (s *Server) tokenOptions(ctx context.Context, _ *goidc.Grant, _ *goidc.Client) goidc.TokenOptions {
	v := visitOf(ctx)
	life := tokenLife
	if v.sad != nil {
		life = min(life, v.sad.until.Sub(v.now))
	}
	return goidc.NewOpaqueTokenOptions(int(max(0, life).Seconds()))
}

// Consent is what a token of scope credential carries.
type Consent struct {
	GrantID       string
	ClientID      string
	RequestID     string
	CredentialID  string
	Qualifier     string // of the certificate that was asked for, empty if any will do
	NumSignatures int
	SAD           signer.SAD
	ExpiresAt     time.Time
}

// Consent unwraps the consent that a token carries, as often as it is asked and
// until the token expires (policies.AuthorisationInvalid). Whose token it is, the
// caller compares.
func (s *Server) Consent(ctx context.Context, token string) (Consent, error) {
	t, err := s.Store.ShownToken(ctx, hashOf(token), s.Now())
	if errors.Is(err, policies.Refuse(policies.ApplicationUnknown)) || err == nil && (t.SAD == nil || t.Grant.RequestID == "") {
		return Consent{}, policies.Refuse(policies.AuthorisationInvalid)
	}
	if err != nil {
		return Consent{}, fmt.Errorf("reading a token: %w", err)
	}
	out := Consent{
		GrantID: t.GrantID, ClientID: t.ClientID, RequestID: t.Grant.RequestID, CredentialID: t.Grant.CredentialID, ExpiresAt: t.Grant.SADExpiresAt,
	}
	b := box{under: underToken, grantID: t.GrantID, requestID: out.RequestID, until: out.ExpiresAt}
	if out.SAD, err = b.open(token, t.SAD); err != nil {
		return Consent{}, err
	}
	row, err := s.Store.Grant(ctx, t.GrantID)
	if err != nil {
		return Consent{}, fmt.Errorf("reading a grant: %w", err)
	}
	grant, err := grants{s}.read(row)
	if err == nil && len(grant.AuthDetails) == 1 {
		var detail Detail
		detail, err = parseDetail(grant.AuthDetails[0])
		out.NumSignatures, out.Qualifier = detail.NumSignatures, detail.Qualifier
	}
	return out, err
}

// Spend uses a grant up that is good for one answer (policies.AuthorisationInvalid).
func (s *Server) Spend(ctx context.Context, grantID string) error {
	return s.Store.SpendGrant(ctx, grantID, s.Now())
}

// Revoke ends a token of an application's, of whichever kind. An unknown one is
// no error (RFC 7009, section 2.2).
func (s *Server) Revoke(ctx context.Context, clientID, token string) error {
	now, hash := s.Now(), hashOf(token)
	t, err := s.Store.ShownToken(ctx, hash, now)
	switch {
	case err == nil && t.ClientID == clientID:
		return s.Store.RevokeToken(ctx, hash, now)
	case err != nil && !errors.Is(err, policies.Refuse(policies.ApplicationUnknown)):
		return fmt.Errorf("reading a token: %w", err)
	}
	row, err := s.Store.GrantByRefresh(ctx, hash)
	switch {
	case err == nil && row.ApplicationID == clientID:
		return s.Store.RevokeGrant(ctx, row.ID, now)
	case err != nil && !errors.Is(err, policies.Refuse(policies.RequestUnknown)):
		return fmt.Errorf("reading a grant: %w", err)
	}
	return nil
}

// Carry gives a token that carries a consent, of factors that came through the
// application (SCAL1), and reaches nothing else.
func (s *Server) Carry(ctx context.Context, c Consent) (string, error) {
	now, id, token := s.Now(), random(ctx), random(ctx)
	data, err := json.Marshal(goidc.Grant{ID: id, ClientID: c.ClientID}) //nolint:gosec // it has no secret
	if err != nil {
		return "", fmt.Errorf("encoding a grant: %w", err)
	}
	until := c.ExpiresAt.UTC().Truncate(time.Microsecond) // as the database keeps it
	sealed, err := box{under: underToken, grantID: id, requestID: c.RequestID, until: until}.seal(token, c.SAD)
	if err != nil {
		return "", err
	}
	if err := s.Store.AddGrant(ctx, signer.OAuthGrant{
		ID: id, ApplicationID: c.ClientID, RequestID: c.RequestID, CredentialID: c.CredentialID, Scopes: []string{},
		SADExpiresAt: until, Data: data, CreatedAt: now, ExpiresAt: now.Add(grantLife),
	}); err != nil {
		return "", fmt.Errorf("keeping a grant: %w", err)
	}
	return token, s.Store.AddToken(ctx, signer.AccessToken{
		Hash: hashOf(token), ClientID: c.ClientID, Scopes: []string{}, ExpiresAt: until, GrantID: id, SAD: sealed,
	})
}
