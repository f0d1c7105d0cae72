package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
)

// Config names the parts of the public side.
type Config struct {
	// PublicURL is the address under which the world reaches the service, such
	// as https://firma.example.es. Links, the OAuth issuer and the check of
	// where a form came from depend on it.
	PublicURL string
	// Proxies are the networks whose X-Forwarded-For is believed. Empty means
	// that clients connect directly, and that the header means nothing.
	Proxies   []netip.Prefix
	Catalogue *catalogue.Catalogue
	// Authority knows the access tokens that doors are shown. Nil: the site issues
	// them itself, to Clients and for one grant only (client credentials).
	Authority Authority
	// Clients may have access tokens of the site's own; nil: nobody may.
	Clients Clients
	// Scopes are what this door grants, whatever a client is registered for. Nil is
	// ApplicationScopes, of the site's own tokens those that one grant can give.
	Scopes []string
	// Certificate gives the SHA-256 of the TLS client certificate of a request if
	// it is one to be believed, nil otherwise. A nil function asks for none.
	Certificate func(*http.Request) []byte
	// Refused is told of each client that the token endpoint does not let in, by
	// the name that it gave itself, before it is answered. Nil tells nobody.
	Refused func(c echo.Context, clientID string) error
	// Checks are what readiness asks, by name: the database, the signer.
	Checks map[string]Check
	// ErrorPage draws a refusal for a person; nil answers problems to all.
	ErrorPage ErrorPage
	// Sandbox marks every answer: what is signed here is not valid.
	Sandbox bool
	// Rooms hang their routes in the site.
	Rooms  []func(*Site)
	Limits Limits
	Logger *slog.Logger
	Now    func() time.Time
}

// ErrorPage answers a request with a page about a refusal. If it fails,
// nothing may have been sent.
type ErrorPage func(c echo.Context, status int, refusal *policies.Refusal) error

// Site is the frame of the public side, as its rooms see it.
type Site struct {
	Config
	echo     *echo.Echo
	address  *url.URL
	headers  http.Header
	origin   *http.CrossOriginProtection
	attempts *throttle
	tokens   *throttle
	calls    *throttle
	memory   *semaphore.Weighted
	plain    plain
	doors    []string
	public   map[string]bool // routes that are public desks
	forms    map[string]ErrorForm
}

// New builds the public side with all its rooms.
func New(config Config) (http.Handler, error) {
	address, err := parsePublicURL(config.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("reading the public address: %w", err)
	}
	if config.Scopes == nil && config.Authority == nil {
		config.Scopes = []string{ScopeSignature, ScopeRegistration, ScopeVideo}
	} else if config.Scopes == nil {
		config.Scopes = ApplicationScopes()
	}
	s := &Site{
		Config:   config,
		echo:     echo.New(),
		address:  address,
		headers:  commonHeaders(address.Scheme, config.Sandbox),
		origin:   http.NewCrossOriginProtection(),
		attempts: newThrottle(config.Limits.Attempts, config.Now),
		tokens:   newThrottle(config.Limits.Tokens, config.Now),
		calls:    newThrottle(config.Limits.Calls, config.Now),
		memory:   semaphore.NewWeighted(config.Limits.BodyMemory),
		doors:    []string{"/healthz", "/readyz", "/problems/", "/oauth/", "/.well-known/"},
		public:   make(map[string]bool),
		forms:    make(map[string]ErrorForm),
	}
	if s.Authority == nil {
		s.Authority = ownTokens{s}
	}
	// A proxy may change the Host header; the origin of our own pages stays.
	if err := s.origin.AddTrustedOrigin(address.Scheme + "://" + address.Host); err != nil {
		return nil, fmt.Errorf("trusting the public address: %w", err)
	}
	if s.plain, err = newPlain(); err != nil {
		return nil, err
	}
	s.echo.IPExtractor = addressOf(config.Proxies)
	s.echo.HTTPErrorHandler = s.answer
	// The order matters: what is logged has an id, a panic is logged as the
	// answer it became, and nothing is read of a request from a foreign page.
	s.echo.Use(identify, s.secure, s.record, recovered, s.sameOrigin, s.smallForms)
	s.routes()
	for _, hang := range config.Rooms {
		hang(s)
	}
	return s.echo, nil
}

func (s *Site) routes() {
	alive := []string{http.MethodGet, http.MethodHead}
	s.echo.Match(alive, "/healthz", healthy)
	s.echo.Match(alive, "/readyz", s.ready)
	s.echo.GET("/problems/:code", s.explain)
	s.echo.GET(plainSheet, s.plain.stylesheet)
	if s.Clients == nil {
		return
	}
	s.echo.GET("/.well-known/oauth-authorization-server", s.metadata)
	s.echo.POST(tokenPath, s.token, s.Tokens(), s.Accept(FormBytes))
}

// Tokens paces a route by address: for those at which applications show who
// they are.
func (s *Site) Tokens() echo.MiddlewareFunc { return s.perAddress(s.tokens) }

// parsePublicURL refuses what links could not be built from.
func parsePublicURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New("it is no http or https address")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, errors.New("it has more than scheme, host and port")
	}
	u.Path = ""
	return u, nil
}

// addressOf reads a client's address where it cannot be forged.
func addressOf(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		p = p.Masked()
		trust = append(trust, echo.TrustIPRange(&net.IPNet{
			IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// Door takes the routes of a room for programs: whatever is asked for under
// the prefix, refusals are problem documents.
func (s *Site) Door(prefix string) *echo.Echo {
	s.doors = append(s.doors, prefix)
	return s.echo
}

// ErrorForm answers a request with a refusal in a door's own words. What the
// client is to wait is in the header already.
type ErrorForm func(c echo.Context, status int, refusal *policies.Refusal) error

// Answers says that below a prefix of a door refusals have another form than
// problem documents: all of them, those of the router and of the limits too.
func (s *Site) Answers(prefix string, form ErrorForm) { s.forms[prefix] = form }

// Desk says that a route is open to all and asked for by programs without end:
// the access log is told of failures only. Who checks whose signature, and how
// often, is nothing that a log should know.
func (s *Site) Desk(route string) { s.public[route] = true }

// Pages takes the routes of people: their refusals are pages, and their forms
// are small.
func (s *Site) Pages() *echo.Group { return s.echo.Group("") }

// URL is the public address of a path of this site.
func (s *Site) URL(path string) string { return s.address.String() + path }

// Messages speaks the language that the request asks for.
func (s *Site) Messages(c echo.Context) *catalogue.Messages {
	c.Response().Header().Set("Vary", "Accept-Language")
	return s.Catalogue.For(c.Request().Header.Get("Accept-Language"))
}

// Server makes an HTTP server whose every phase ends. Routes that carry
// documents ask for more time than this (see [Site.Patient]).
func Server(handler http.Handler, addr string) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           unmistakable(handler),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       patience,
		WriteTimeout:      2 * patience,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

// unmistakable ends a connection with a request that came in chunks: it may also
// have told a length, which net/http does not show, and by which a proxy would have
// read (RFC 9112, section 6.1). What the proxy took for a part of it would be the
// next request here.
func unmistakable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Check reports whether a part that the site needs can be reached.
type Check func(ctx context.Context) error
