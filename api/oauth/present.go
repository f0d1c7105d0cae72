package oauth

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

var _ api.Authority = (*Server)(nil)

// maxToken is how long a token is, and no other is looked for.
const maxToken = 43

// Present implements api.Authority.
func (s *Server) Present(r *http.Request, scheme, token string) (api.Grant, error) {
	unknown := policies.Refuse(policies.ApplicationUnknown)
	if len(token) > maxToken {
		return api.Grant{}, unknown
	}
	t, err := s.Store.ShownToken(r.Context(), hashOf(token), s.Now())
	if err != nil {
		return api.Grant{}, err
	}
	if t.Certificate != nil && !s.holds(r, t.Certificate) {
		return api.Grant{}, unknown
	}
	if proved := strings.EqualFold(scheme, "DPoP"); proved != (t.KeyThumbprint != "") {
		return api.Grant{}, unknown // RFC 9449, section 7.2: no downgrade
	} else if proved {
		if err := s.proof(r, token, t); err != nil {
			return api.Grant{}, err
		}
	}
	return api.Grant{
		ID: t.GrantID, Client: t.Client, Scopes: t.Scopes, Subject: t.Grant.Subject, Identifier: t.Identifier,
		RequestID: t.Grant.RequestID, CredentialID: t.Grant.CredentialID, ExpiresAt: t.ExpiresAt,
	}, nil
}

// holds is whether a request comes under a certificate (RFC 8705, section 3).
func (s *Server) holds(r *http.Request, fingerprint []byte) bool {
	certificate := s.Certificate(r)
	if certificate == nil {
		return false
	}
	sum := sha256.Sum256(certificate.Raw)
	return subtle.ConstantTimeCompare(sum[:], fingerprint) == 1
}

// proofClaims are RFC 9449, section 4.2.
type proofClaims struct {
	Method string `json:"htm"`
	URI    string `json:"htu"`
	Token  string `json:"ath"`
}

// proof checks a DPoP proof against the token that comes with it (RFC 9449,
// section 4.3).
func (s *Server) proof(r *http.Request, token string, t signer.ShownToken) error {
	bad := func(err error) error { return fmt.Errorf("%w: %w", policies.Refuse(policies.ApplicationUnknown), err) }
	lines := r.Header.Values("DPoP")
	if len(lines) != 1 || len(lines[0]) > maxParameter {
		return bad(errors.New("one proof is needed"))
	}
	parsed, err := jwt.ParseSigned(lines[0], algorithms())
	if err != nil {
		return bad(err)
	}
	if len(parsed.Headers) != 1 || parsed.Headers[0].ExtraHeaders["typ"] != "dpop+jwt" {
		return bad(errors.New("it is no proof"))
	}
	key := parsed.Headers[0].JSONWebKey
	if key == nil || !key.Valid() || !key.IsPublic() {
		return bad(errors.New("a proof needs its public key"))
	}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil || base64.RawURLEncoding.EncodeToString(thumbprint) != t.KeyThumbprint {
		return bad(errors.New("the token is another key's"))
	}
	var claims jwt.Claims
	var proved proofClaims
	if err := parsed.Claims(key.Key, &claims, &proved); err != nil {
		return bad(err)
	}
	now := s.Now()
	switch {
	case claims.ID == "" || claims.IssuedAt == nil:
		return bad(errors.New("a proof needs jti and iat"))
	case now.Sub(claims.IssuedAt.Time()).Abs() > proofLife:
		return bad(errors.New("a proof is of another time"))
	case proved.Method != r.Method || !s.sameURI(proved.URI, r):
		return bad(errors.New("a proof is of another request"))
	case proved.Token != base64.RawURLEncoding.EncodeToString(hashOf(token)):
		return bad(errors.New("a proof is of another token"))
	}
	fresh, err := s.Store.Seen(r.Context(), hashOf("dpop\x00"+t.KeyThumbprint+"\x00"+claims.ID), now.Add(2*proofLife))
	if err == nil && !fresh {
		err = bad(errors.New("a proof was shown before"))
	}
	return err
}

// sameURI compares without query and fragment (RFC 9449, section 4.3, step 9).
func (s *Server) sameURI(stated string, r *http.Request) bool {
	u, err := url.Parse(stated)
	if err != nil || u.User != nil || u.Opaque != "" {
		return false
	}
	return strings.EqualFold(u.Scheme+"://"+u.Host, s.Issuer) && u.EscapedPath() == r.URL.EscapedPath()
}
