package oauth

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/signer"
)

// The server's addresses.
const (
	authorizePath  = "/oauth/authorize"
	pushPath       = "/oauth/par"
	tokenPath      = "/oauth/token" //nolint:gosec // an address, no token
	revokePath     = "/oauth/revoke"
	introspectPath = "/oauth/introspect"
	metadataPath   = "/.well-known/oauth-authorization-server"
)

// How long things live.
const (
	tokenLife   = 10 * time.Minute
	refreshLife = 30 * 24 * time.Hour
	codeLife    = time.Minute // FAPI 2.0 security profile, section 5.3.2.1
	pushedLife  = 90 * time.Second
	sessionLife = 30 * time.Minute
	// grantLife is how long a grant whose tokens have ended is remembered: who
	// shows its code for a second time is to be noticed.
	grantLife = 24 * time.Hour
	// proofLife bounds assertions and DPoP proofs.
	proofLife = 5 * time.Minute
	leeway    = 10 * time.Second
)

// Store is what the server keeps. Its hashes are SHA-256.
type Store interface {
	// Application reads an enabled client (policies.ApplicationUnknown).
	Application(ctx context.Context, id string) (signer.Client, error)

	// SaveSession keeps an authorisation request as it stands, unless it has
	// ended (policies.RequestState).
	SaveSession(ctx context.Context, s signer.AuthorisationSession, now time.Time) error
	// Session and SessionOf read one, by its id's hash or by the signature
	// request that it led to (policies.RequestUnknown).
	Session(ctx context.Context, hash []byte) (signer.AuthorisationSession, error)
	SessionOf(ctx context.Context, requestID string) (signer.AuthorisationSession, error)
	// TakePushed reads a pushed request, once, and moves it to a new id. The
	// second time it is policies.RequestUnknown, and revokes what came of it.
	TakePushed(ctx context.Context, requestURI, hash []byte, now time.Time) (signer.AuthorisationSession, error)

	// AddGrant, RedeemGrant and RenewGrant keep a grant, the use of its code, and
	// a refresh; the latter two are policies.RequestState if it is too late.
	AddGrant(ctx context.Context, g signer.OAuthGrant) error
	RedeemGrant(ctx context.Context, g signer.OAuthGrant, now time.Time) error
	RenewGrant(ctx context.Context, g signer.OAuthGrant) error
	RevokeGrant(ctx context.Context, id string, now time.Time) error
	// SpendGrant uses up what is good for one answer (policies.AuthorisationInvalid).
	SpendGrant(ctx context.Context, id string, now time.Time) error
	// Grant, GrantByCode and GrantByRefresh find one (policies.RequestUnknown).
	Grant(ctx context.Context, id string) (signer.OAuthGrant, error)
	GrantByCode(ctx context.Context, hash []byte) (signer.OAuthGrant, error)
	GrantByRefresh(ctx context.Context, hash []byte) (signer.OAuthGrant, error)

	// AddToken keeps an access token; it is durable on return.
	AddToken(ctx context.Context, t signer.AccessToken) error
	RevokeToken(ctx context.Context, hash []byte, now time.Time) error
	// ShownToken reads a live token of an enabled application
	// (policies.ApplicationUnknown).
	ShownToken(ctx context.Context, hash []byte, now time.Time) (signer.ShownToken, error)
	// Seen remembers what may be shown once; fresh is whether it was new.
	Seen(ctx context.Context, hash []byte, until time.Time) (fresh bool, err error)
}

// Requests makes signature requests of authorisation requests. A
// *policies.Refusal becomes an error of the authorisation request.
type Requests interface {
	Open(ctx context.Context, o Order) (Opened, error)
}

// Consents records what citizens let applications see; no grant of theirs is kept
// without. rpc.Client fulfils it.
type Consents interface {
	Consent(ctx context.Context, o signer.ConsentOrder) (id string, err error)
}

// Opened is a signature request that waits for its citizen.
type Opened struct {
	RequestID    string
	CredentialID string
	Subject      string // citizen's id
}

// Order is a signature request over hashes.
type Order struct {
	Client signer.Client
	// CredentialID is whose consent is asked for; or, where the application named
	// a kind of certificate only, Identifier is the citizen who has logged in.
	CredentialID string
	Identifier   string
	Account      string // whose it has to be, empty if the application did not say
	Detail       Detail
	Title        string // empty if the application gave none
	Locale       string
	ReturnURL    string // where pages about a request that has ended lead
	Key          string // the same for the same authorisation request
	Life         time.Duration
}

// Config names the parts of a Server.
type Config struct {
	// Issuer is the public address of the site, without a path.
	Issuer   string
	Store    Store
	Requests Requests // nil: no scope credential
	Consents Consents
	// SigningPath and ConsentPath lead, with an id after them, to a signature
	// request's page and to the page of a session.
	SigningPath, ConsentPath string
	// Certificate gives the TLS client certificate of a request, nil if there is
	// none or it is not to be believed.
	Certificate func(*http.Request) *x509.Certificate
	Logger      *slog.Logger
	Now         func() time.Time
}

// Server is the authorisation server.
type Server struct {
	Config
	provider http.Handler
	scopes   []string
}

// New makes a Server.
func New(c Config) (*Server, error) {
	s := &Server{Config: c}
	for _, scope := range api.ApplicationScopes() {
		if scope != api.ScopeCredential || c.Requests != nil {
			s.scopes = append(s.scopes, scope)
		}
	}
	op, err := provider.New(provider.Config{
		Issuer: c.Issuer, Manager: grants{s},
		// Tokens are opaque and there are no identity tokens: nothing is signed.
		JWKS:        func(context.Context) (goidc.JSONWebKeySet, error) { return goidc.JSONWebKeySet{}, nil },
		IDTokenAlgs: []goidc.SignatureAlgorithm{goidc.SigAlgES256},
	}, s.options()...)
	if err != nil {
		return nil, fmt.Errorf("setting the authorisation server up: %w", err)
	}
	s.provider = op.Handler()
	return s, nil
}

// options are the FAPI 2.0 security profile. Its requirements are not asked of
// go-oidc as a whole: what a switch may relax is asked of each client instead.
func (s *Server) options() []provider.Option {
	scopes := make([]goidc.Scope, 0, len(s.scopes))
	for _, scope := range s.scopes {
		scopes = append(scopes, goidc.NewScope(scope))
	}
	store := storage{s}
	return []provider.Option{
		provider.WithProfile(goidc.ProfileFAPI2),
		provider.WithScopes(scopes...),
		provider.WithTokenEndpoint(tokenPath),
		provider.WithAuthorizeEndpoint(authorizePath),
		provider.WithDCR(registry{s}), // reads clients; its endpoints are not mounted
		provider.WithPrivateKeyJWTAuthn(algorithms()...),
		provider.WithSelfSignedTLSAuthn(),
		provider.WithSecretBasicAuthn(),
		provider.WithSecretPostAuthn(),
		provider.WithClientSecretVerifier(verifySecret),
		provider.WithJTIConsumer(s.consume),
		provider.WithJWTLifetime(int(proofLife.Seconds())),
		provider.WithJWTLeewayTime(int(leeway.Seconds())),
		provider.WithGrantIDFunc(random),
		provider.WithAuthnSessionIDFunc(random),
		provider.WithAuthSessionLifetime(int(sessionLife.Seconds())),
		provider.WithGrantHandler(s.checkGrant),
		provider.WithTokenHandler(s.checkToken),
		provider.WithTokenOptions(s.tokenOptions, provider.WithOpaqueTokens(store), provider.WithOpaqueTokenFunc(
			func(ctx context.Context, _ *goidc.Grant) string { return random(ctx) })),
		provider.WithErrorHandler(noteFailure),
		provider.WithErrorRenderer(keepFailure),
		provider.WithClientCredentialsGrant(),
		provider.WithAuthCodeGrant(provider.AuthCodeGrantConfig{Manager: store, ResponseTypes: []goidc.ResponseType{goidc.ResponseTypeCode}},
			provider.WithAuthCodeFunc(random),
			provider.WithAuthCodeLifetime(int(codeLife.Seconds())),
			provider.WithIssuerResponseParameter(),
			provider.WithPKCE([]goidc.CodeChallengeMethod{goidc.CodeChallengeMethodSHA256}, provider.WithPKCERequired()),
			provider.WithPAR(store,
				provider.WithPAREndpoint(pushPath), provider.WithPARIDFunc(random), provider.WithPARLifetime(int(pushedLife.Seconds())),
				provider.WithPARSessionHandler(s.pushed)),
			provider.WithAuthPolicies(goidc.NewPolicy("citizen",
				func(*http.Request, *goidc.AuthnSession, *goidc.Client) bool { return true }, s.ask)),
		),
		provider.WithRAR(detailTypes(), provider.WithRARDetailValidator(validDetail)),
		provider.WithRefreshTokenGrant(store,
			provider.WithRefreshTokenFunc(random), provider.WithRefreshTokenLifetime(int(refreshLife.Seconds())),
			provider.WithRefreshTokenShouldIssue(refreshable)),
		provider.WithTokenRevocation(inTurn, provider.WithTokenRevocationEndpoint(revokePath)),
		provider.WithTokenIntrospection(ownToken),
		provider.WithTokenIntrospectionEndpoint(introspectPath),
		provider.WithDPoP(algorithms()),
		provider.WithMTLS(provider.MTLSConfig{Host: s.Issuer, ClientCert: shownCertificate}, provider.WithMTLSTokenBinding()),
	}
}

// algorithms are those of the FAPI 2.0 security profile, section 5.4.1.
func algorithms() []goidc.SignatureAlgorithm {
	return []goidc.SignatureAlgorithm{goidc.SigAlgES256, goidc.SigAlgPS256, "EdDSA"}
}

// random is a handle of 256 bits.
func random(context.Context) string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Room hangs the server's routes in a site.
func (s *Server) Room(site *api.Site) {
	site.Answers("/oauth/", s.errorForm(site))
	e, limit, pace := site.Door("/oauth/"), site.Accept(api.FormBytes), site.Tokens()
	e.GET(metadataPath, s.metadata)
	for _, path := range []string{pushPath, tokenPath, revokePath, introspectPath} {
		e.POST(path, s.serve(site), pace, limit)
	}
	e.GET(authorizePath, s.authorize, site.Attempts())
	e.POST(authorizePath, s.authorize, site.Attempts(), limit)
}

// metadata is RFC 8414, section 2, with RFC 8705, 9101, 9126, 9207, 9396 and 9449.
type metadata struct {
	Issuer             string   `json:"issuer"`
	Authorize          string   `json:"authorization_endpoint"`
	Push               string   `json:"pushed_authorization_request_endpoint"`
	Token              string   `json:"token_endpoint"`
	Revoke             string   `json:"revocation_endpoint"`
	Introspect         string   `json:"introspection_endpoint"`
	Scopes             []string `json:"scopes_supported"`
	ResponseTypes      []string `json:"response_types_supported"`
	ResponseModes      []string `json:"response_modes_supported"`
	GrantTypes         []string `json:"grant_types_supported"`
	AuthMethods        []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgorithms     []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevokeMethods      []string `json:"revocation_endpoint_auth_methods_supported"`
	RevokeAlgorithms   []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	InspectMethods     []string `json:"introspection_endpoint_auth_methods_supported"`
	InspectAlgorithms  []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	ChallengeMethods   []string `json:"code_challenge_methods_supported"`
	DetailTypes        []string `json:"authorization_details_types_supported"`
	DPoPAlgorithms     []string `json:"dpop_signing_alg_values_supported"`
	IssuerInResponse   bool     `json:"authorization_response_iss_parameter_supported"`
	BoundTokens        bool     `json:"tls_client_certificate_bound_access_tokens"`
	RequestURIs        bool     `json:"request_uri_parameter_supported"`
	ServiceDescription string   `json:"service_documentation"`
}
