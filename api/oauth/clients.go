package oauth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const maxClientID = 100

// registry is where go-oidc finds clients. Nothing is registered through it.
type registry struct{ *Server }

var errReadOnly = errors.New("clients are administered by command line and at the desk")

// SaveClient implements goidc.DCRManager.
func (registry) SaveClient(context.Context, *goidc.Client) error { return errReadOnly }

// DeleteClient implements goidc.DCRManager.
func (registry) DeleteClient(context.Context, string) error { return errReadOnly }

// Client implements goidc.DCRManager. What it gives is made for the request that
// is served: with the one way to show who it is that the request takes, if the
// application may take it, and with the return address that the request names,
// if it is registered exactly so.
func (r registry) Client(ctx context.Context, id string) (*goidc.Client, error) {
	if id == "" || len(id) > maxClientID || !printable(id) {
		return nil, goidc.ErrNotFound
	}
	app, err := r.Store.Application(ctx, id)
	if errors.Is(err, policies.Refuse(policies.ApplicationUnknown)) {
		return nil, goidc.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading a client: %w", err)
	}
	v := visitOf(ctx)
	v.client = app
	c := &goidc.Client{
		ID: app.ID, Secret: storedSecrets(app.SecretHashes(v.now)),
		Name:             app.Name,
		RedirectURIs:     v.redirects(app),
		GrantTypes:       grantTypes(app),
		ResponseTypes:    []goidc.ResponseType{goidc.ResponseTypeCode},
		ScopeIDs:         strings.Join(r.offered(app), " "),
		PARRequired:      !app.Has(signer.SwitchNoPAR),
		TokenAuthnMethod: v.method(app),
		JWKS:             &goidc.JSONWebKeySet{},
	}
	if c.TokenAuthnMethod == goidc.AuthnMethodSelfSignedTLS {
		sum := sha256.Sum256(v.certificate.Raw)
		c.JWKS.Keys = []goidc.JSONWebKey{{Key: v.certificate.PublicKey, CertificateThumbprintSHA256: sum[:]}}
		return c, nil
	}
	c.JWKS.Keys, err = r.keys(app)
	return c, err
}

// keys are those that are good now.
func (s *Server) keys(app signer.Client) ([]goidc.JSONWebKey, error) {
	var keys []goidc.JSONWebKey
	now := s.Now()
	for _, k := range app.Keys {
		if now.Before(k.NotBefore) || !now.Before(k.NotAfter) {
			continue
		}
		var jwk goidc.JSONWebKey
		if err := json.Unmarshal(k.JWK, &jwk); err != nil {
			return nil, fmt.Errorf("reading a client's key: %w", err)
		}
		keys = append(keys, jwk)
	}
	return keys, nil
}

// offered are an application's scopes that this server grants.
func (s *Server) offered(app signer.Client) []string {
	return slices.DeleteFunc(slices.Clone(api.Offered(app)), func(scope string) bool { return !slices.Contains(s.scopes, scope) })
}

// ofCitizens are the scopes that a citizen grants.
func ofCitizens(scope string) bool { return scope == api.ScopeService || single(scope) }

// single are those of them that are good for one thing, and nobody else's to grant.
func single(scope string) bool { return scope == api.ScopeCredential || isErrand(scope) }

// isErrand is whether a scope asks for something to be done with the citizen's
// certificate, which the citizen does on our pages.
func isErrand(scope string) bool { return scope == api.ScopeCreation || scope == api.ScopeDeletion }

func grantTypes(app signer.Client) []goidc.GrantType {
	types := []goidc.GrantType{goidc.GrantClientCredentials}
	if slices.ContainsFunc(api.Offered(app), ofCitizens) && app.Enter(signer.DoorOAuth) == nil {
		types = append(types, goidc.GrantAuthorizationCode, goidc.GrantRefreshToken)
	}
	return types
}

// redirects are the return addresses that the request may name. Go-oidc brings
// an address to a common form before it compares; we compare what was sent.
func (v *visit) redirects(app signer.Client) []string {
	if v.redirect == "" {
		return app.ReturnAddresses
	}
	if slices.Contains(app.ReturnAddresses, v.redirect) {
		return []string{v.redirect}
	}
	return nil
}

// method is how the request shows who it is, if the application may; otherwise
// a way that the request does not take, so that it is refused.
func (v *visit) method(app signer.Client) goidc.AuthnMethod {
	secret := app.Has(signer.SwitchSecret) && len(app.SecretHashes(v.now)) > 0
	switch {
	case v.shown == byBasic && secret:
		return goidc.AuthnMethodSecretBasic
	case v.shown == byPost && secret:
		return goidc.AuthnMethodSecretPost
	case v.shown == byNothing && v.known(app):
		return goidc.AuthnMethodSelfSignedTLS
	}
	return goidc.AuthnMethodPrivateKeyJWT
}

// known is whether the request came under one of the application's certificates,
// which may have been given an earlier end than its own.
func (v *visit) known(app signer.Client) bool {
	if v.certificate == nil || v.now.Before(v.certificate.NotBefore) || !v.now.Before(v.certificate.NotAfter) {
		return false
	}
	sum := sha256.Sum256(v.certificate.Raw)
	return slices.ContainsFunc(app.Certificates, func(c signer.ClientCertificate) bool {
		return bytes.Equal(c.SHA256, sum[:]) && v.now.Before(c.NotAfter)
	})
}

// storedSecrets are hashes as verifySecret wants them: go-oidc keeps one secret.
func storedSecrets(hashes [][]byte) string {
	var stored []string
	for _, hash := range hashes {
		stored = append(stored, hex.EncodeToString(hash))
	}
	return strings.Join(stored, " ")
}

// verifySecret compares hashes: how long that takes says nothing of any.
func verifySecret(_ context.Context, stored, presented string) error {
	shown, found := []byte(hex.EncodeToString(api.SecretHash(presented))), 0
	for hash := range strings.FieldsSeq(stored) {
		found |= subtle.ConstantTimeCompare([]byte(hash), shown)
	}
	if found != 1 {
		return errors.New("another secret is expected")
	}
	return nil
}

// printable is RFC 6749, appendix A.1.
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// consume is asked about the identifier of an assertion or a proof, when its
// signature has been checked. One application's are nothing to another.
func (s *Server) consume(ctx context.Context, id string) error {
	v := visitOf(ctx)
	fresh, err := s.Store.Seen(ctx, hashOf(v.client.ID+"\x00"+id), v.now.Add(proofLife+2*leeway))
	if err == nil && !fresh {
		err = errors.New("it was shown before")
	}
	return err
}

// inTurn is asked of who wants to revoke.
func inTurn(ctx context.Context, _ *goidc.Client) bool { return visitOf(ctx).spend() == nil }

// ownToken is asked of who wants to know of a live token.
func ownToken(ctx context.Context, c *goidc.Client, info goidc.TokenInfo) bool {
	return visitOf(ctx).spend() == nil && info.ClientID == c.ID
}
