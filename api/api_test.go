package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const secret = "a secret of the sede + more"

// clients keeps applications and tokens in memory.
type clients struct {
	mu     sync.Mutex
	known  map[string]signer.Client
	tokens map[string]signer.AccessToken
	broken error
}

func newClients() *clients {
	return &clients{
		known: map[string]signer.Client{
			"sede": {
				Application: signer.Application{ID: "sede", Name: "Sede electrónica"}, SecretHash: api.SecretHash(secret),
				Scopes: []string{api.ScopeSignature},
			},
			"auditing": { // a row that nobody should have been able to write
				Application: signer.Application{ID: "auditing"}, SecretHash: api.SecretHash(secret),
				Scopes: []string{api.ScopeAudit},
			},
			"both": {
				Application: signer.Application{ID: "both"}, SecretHash: api.SecretHash(secret),
				Scopes: []string{api.ScopeSignature, api.ScopeRegistration},
			},
		},
		tokens: map[string]signer.AccessToken{},
	}
}

func (c *clients) Application(_ context.Context, id string) (signer.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	client, ok := c.known[id]
	if !ok {
		return client, errors.Join(c.broken, policies.Refuse(policies.ApplicationUnknown))
	}
	return client, nil
}

func (c *clients) AddToken(_ context.Context, t signer.AccessToken) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens[string(t.Hash)] = t
	return c.broken
}

func (c *clients) Token(_ context.Context, hash []byte, now time.Time) (signer.AccessToken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.tokens[string(hash)]
	if !ok || !now.Before(t.ExpiresAt) {
		return t, policies.Refuse(policies.ApplicationUnknown)
	}
	return t, nil
}

// disable drops a client.
func (c *clients) disable(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, id)
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// journal is a log to read.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// sharedWords is read once: parsing all languages takes its time.
var sharedWords = sync.OnceValues(catalogue.New)

// house is a site with what it stands on.
type house struct {
	handler http.Handler
	clients *clients
	clock   *clock
	journal *journal
}

func build(t *testing.T, change func(*api.Config)) house {
	t.Helper()
	words, err := sharedWords()
	if err != nil {
		t.Fatal(err)
	}
	h := house{clients: newClients(), clock: &clock{at: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}, journal: &journal{}}
	config := api.Config{
		PublicURL: "https://firma.example.es", Catalogue: words, Clients: h.clients,
		Limits: api.DefaultLimits(), Logger: slog.New(slog.NewTextHandler(h.journal, nil)), Now: h.clock.now,
	}
	if change != nil {
		change(&config)
	}
	if h.handler, err = api.New(config); err != nil {
		t.Fatal(err)
	}
	return h
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask does a request; headers are name, value, name, value.
func (h house) ask(t *testing.T, method, target, body string, headers ...string) reply {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Remote" {
			r.RemoteAddr = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return reply{status: w.Code, header: w.Header(), body: w.Body.String()}
}

func wantProblem(t *testing.T, response reply, code policies.Code) api.Problem {
	t.Helper()
	var problem api.Problem
	if err := json.Unmarshal([]byte(response.body), &problem); err != nil {
		t.Fatalf("got %d %q, want a problem", response.status, response.body)
	}
	if problem.Code != code || problem.Status != response.status || response.status != api.Status(code) {
		t.Errorf("got %d %s (status %d within), want %d %s", response.status, problem.Code, problem.Status, api.Status(code), code)
	}
	if got, want := response.header.Get("Content-Type"), "application/problem+json"; got != want {
		t.Errorf("Content-Type: got %q, want %q", got, want)
	}
	if got, want := problem.Type, "https://firma.example.es/problems/"+string(code); got != want {
		t.Errorf("type: got %q, want %q", got, want)
	}
	if problem.Title == "" || problem.Detail == "" || problem.Remedy == "" {
		t.Errorf("problem %s lacks words: %+v", code, problem)
	}
	return problem
}

func TestEveryRefusalHasAStatus(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	for _, code := range policies.Codes() {
		problem := struct {
			Code   policies.Code
			Status int
		}{}
		response := h.ask(t, http.MethodGet, "/problems/"+string(code), "")
		if err := json.Unmarshal([]byte(response.body), &problem); err != nil || response.status != http.StatusOK {
			t.Errorf("/problems/%s: got %d %v, want its description", code, response.status, err)
		}
		if problem.Code != code || problem.Status < 400 || problem.Status > 599 {
			t.Errorf("%s: got status %d, want 4xx or 5xx", code, problem.Status)
		}
	}
	wantProblem(t, h.ask(t, http.MethodGet, "/problems/none", ""), policies.NotFound)
	if got := api.Status("of a newer version"); got != http.StatusInternalServerError {
		t.Errorf("Status of an unknown code: got %d, want 500", got)
	}
	page := h.ask(t, http.MethodGet, "/problems/code_wrong", "", "Accept", "text/html", "Accept-Language", "en")
	if !strings.Contains(page.body, "code_wrong") || !strings.Contains(page.body, `lang="en"`) {
		t.Errorf("got %q, want a page in English", page.body)
	}
}

func TestErrorsBecomeProblems(t *testing.T) {
	t.Parallel()
	waiting := policies.Refuse(policies.Busy).After(1500 * time.Millisecond)
	h := build(t, func(c *api.Config) {
		c.Rooms = append(c.Rooms, func(s *api.Site) {
			for path, fail := range map[string]func() error{
				"/known":    func() error { return policies.Refuse(policies.CodeWrong, "tries", "2").From("a norm") },
				"/wrapped":  func() error { return errors.Join(errors.New("cause"), waiting) },
				"/unknown":  func() error { return errors.New("the database said hunter2") },
				"/panic":    func() error { panic("hunter3") },
				"/signer":   func() error { return policies.Refuse(policies.Internal, "reference", "FROMSIGNER") },
				"/deadline": func() error { return context.DeadlineExceeded },
			} {
				s.Door(path).GET(path, func(echo.Context) error { return fail() })
			}
		})
	})
	problem := wantProblem(t, h.ask(t, http.MethodGet, "/known", "", "Accept-Language", "es"), policies.CodeWrong)
	if problem.Detail != "El código no coincide. Le quedan 2 intentos." || problem.Source != "a norm" || problem.Params["tries"] != "2" {
		t.Errorf("got %+v, want the catalogue's sentence, the source and the facts", problem)
	}
	response := h.ask(t, http.MethodGet, "/wrapped", "")
	wantProblem(t, response, policies.Busy)
	if got := response.header.Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After: got %q, want 2", got)
	}
	for path, code := range map[string]policies.Code{
		"/unknown": policies.Internal, "/panic": policies.Internal, "/deadline": policies.Unavailable,
	} {
		response := h.ask(t, http.MethodGet, path, "")
		id := response.header.Get("X-Request-Id")
		if problem := wantProblem(t, response, code); problem.Params["reference"] != id || id == "" {
			t.Errorf("%s: got reference %q, want the request's id %q", path, problem.Params["reference"], id)
		} else if strings.Contains(problem.Detail, "hunter") || strings.Count(h.journal.String(), "reference="+id) != 1 {
			t.Errorf("%s: the cause must stand in the log once and nowhere else:\n%s", path, h.journal)
		}
	}
	if problem := wantProblem(t, h.ask(t, http.MethodGet, "/signer", ""), policies.Internal); problem.Params["reference"] != "FROMSIGNER" {
		t.Errorf("got reference %q, want the signer's", problem.Params["reference"])
	}
	for _, cause := range []string{"hunter2", "hunter3"} {
		if strings.Count(h.journal.String(), cause) != 1 {
			t.Errorf("the log must hold %q once:\n%s", cause, h.journal)
		}
	}
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	wantProblem(t, h.ask(t, http.MethodGet, "/nothing/here?password=hunter2", ""), policies.NotFound)
	response := h.ask(t, http.MethodDelete, "/oauth/token", "")
	if problem := wantProblem(t, response, policies.MethodNotAllowed); problem.Params["method"] != http.MethodDelete {
		t.Errorf("got %+v, want the method named", problem)
	}
	if got := response.header.Get("Allow"); !strings.Contains(got, http.MethodPost) {
		t.Errorf("Allow: got %q, want POST", got)
	}
	if strings.Contains(h.journal.String(), "hunter2") || strings.Contains(h.journal.String(), "nothing") {
		t.Errorf("the log repeats what was asked for:\n%s", h.journal)
	}
}

func TestPeopleGetPages(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *api.Config) {
		c.ErrorPage = func(c echo.Context, status int, r *policies.Refusal) error {
			if r.Code == policies.CodeUsed {
				return errors.New("the template is broken")
			}
			return c.String(status, "page: "+string(r.Code))
		}
		c.Rooms = append(c.Rooms, func(s *api.Site) {
			s.Pages().POST("/sign", func(echo.Context) error { return policies.Refuse(policies.SessionExpired) }, s.Attempts())
			s.Pages().GET("/broken", func(echo.Context) error { return policies.Refuse(policies.CodeUsed) })
			s.Door("/door").GET("/door", func(echo.Context) error { return policies.Refuse(policies.RequestState) })
		})
	})
	for _, tt := range []struct {
		method, path, accept string
		page                 bool
		code                 policies.Code
	}{
		{http.MethodPost, "/sign", "", true, policies.SessionExpired},
		{http.MethodGet, "/broken", "text/html", false, policies.CodeUsed},
		{http.MethodGet, "/door", "text/html", false, policies.RequestState},
		{http.MethodGet, "/nothing", "text/html,*/*", true, policies.NotFound},
		{http.MethodPost, "/nothing", "text/html,*/*", true, policies.NotFound},
		{http.MethodDelete, "/sign", "text/html", true, policies.MethodNotAllowed},
		{http.MethodGet, "/door/nothing", "text/html", false, policies.NotFound},
		{http.MethodGet, "/oauth/token", "text/html", false, policies.MethodNotAllowed},
		{http.MethodGet, "/nothing", "application/json", false, policies.NotFound},
	} {
		response := h.ask(t, tt.method, tt.path, "", "Accept", tt.accept)
		if !tt.page {
			wantProblem(t, response, tt.code)
			continue
		}
		if got, want := response.body, "page: "+string(tt.code); got != want || response.status != api.Status(tt.code) {
			t.Errorf("%s %s: got %d %q, want %q", tt.method, tt.path, response.status, got, want)
		}
	}
}

func TestForeignPagesCannotPost(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *api.Config) {
		c.Rooms = append(c.Rooms, func(s *api.Site) {
			s.Pages().POST("/sign", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
		})
	})
	for _, tt := range []struct {
		name    string
		headers []string
		refused bool
	}{
		{"no browser", nil, false},
		{"own page", []string{"Sec-Fetch-Site", "same-origin"}, false},
		{"own page behind a proxy that changes the host", []string{"Origin", "https://firma.example.es", "Sec-Fetch-Site", "cross-site"}, false},
		{"foreign page", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, true},
		{"foreign page, old browser", []string{"Origin", "https://evil.example"}, true},
		{"sister site", []string{"Origin", "https://www.example.es", "Sec-Fetch-Site", "same-site"}, true},
	} {
		response := h.ask(t, http.MethodPost, "/sign", "", tt.headers...)
		if refused := response.status != http.StatusNoContent; refused != tt.refused {
			t.Errorf("%s: got %d, want refused %v", tt.name, response.status, tt.refused)
		}
	}
}

func TestPaceByAddress(t *testing.T) {
	t.Parallel()
	room := func(s *api.Site) {
		s.Pages().POST("/identify", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, s.Attempts())
	}
	h := build(t, func(c *api.Config) {
		c.Limits.Attempts = api.Rate{Every: 10 * time.Second, Burst: 2}
		c.Rooms = append(c.Rooms, room)
	})
	post := func(remote, forwarded string) reply {
		return h.ask(t, http.MethodPost, "/identify", "", "Remote", remote, "X-Forwarded-For", forwarded)
	}
	for range 2 {
		if got := post("192.0.2.1:1000", "").status; got != http.StatusNoContent {
			t.Fatalf("within the burst: got %d, want 204", got)
		}
	}
	for _, forwarded := range []string{"", "198.51.100.7", "127.0.0.1"} {
		response := post("192.0.2.1:2000", forwarded)
		problem := wantProblem(t, response, policies.RateLimited)
		if response.header.Get("Retry-After") != "10" || problem.Params["seconds"] != "10" {
			t.Errorf("forwarded for %q: got %v %v, want to wait 10 s", forwarded, response.header, problem.Params)
		}
	}
	for range 2 {
		post("[2001:db8::1]:1", "")
	}
	wantProblem(t, post("[2001:db8::ffff:2]:1", ""), policies.RateLimited)
	if got := post("[2001:db8:0:1::2]:1", "").status; got != http.StatusNoContent {
		t.Errorf("another network: got %d, want 204", got)
	}
	h.clock.pass(10 * time.Second)
	if got := post("192.0.2.1:1000", "").status; got != http.StatusNoContent {
		t.Errorf("after waiting: got %d, want 204", got)
	}
	wantProblem(t, post("192.0.2.1:1000", ""), policies.RateLimited)
	h.clock.pass(2 * time.Minute) // past a sweep
	if got := post("192.0.2.1:1000", "").status; got != http.StatusNoContent {
		t.Errorf("after a sweep: got %d, want 204", got)
	}

	behind := build(t, func(c *api.Config) {
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.1.2.3/24")}
		c.Limits.Attempts = api.Rate{Every: time.Hour, Burst: 1}
		c.Rooms = append(c.Rooms, room)
	})
	for forwarded, want := range map[string]int{
		"198.51.100.1":               http.StatusNoContent,
		"198.51.100.2":               http.StatusNoContent,
		"203.0.113.9, 198.51.100.3":  http.StatusNoContent, // only what the proxy wrote counts
		"203.0.113.10, 198.51.100.4": http.StatusNoContent,
	} {
		response := behind.ask(t, http.MethodPost, "/identify", "", "Remote", "10.1.2.9:1", "X-Forwarded-For", forwarded)
		if response.status != want {
			t.Errorf("behind a proxy, %s: got %d, want %d", forwarded, response.status, want)
		}
	}
	again := behind.ask(t, http.MethodPost, "/identify", "", "Remote", "10.1.2.9:1", "X-Forwarded-For", "192.0.2.99, 198.51.100.3")
	wantProblem(t, again, policies.RateLimited)
}

func TestAcceptBoundsBodies(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	entered := make(chan struct{})
	h := build(t, func(c *api.Config) {
		c.Limits.BodyMemory = 8 << 20
		c.Rooms = append(c.Rooms, func(s *api.Site) {
			read := func(c echo.Context) error {
				body, err := io.ReadAll(c.Request().Body)
				if err != nil {
					return err
				}
				if strings.HasPrefix(string(body), "wait") {
					entered <- struct{}{}
					<-release
				}
				return c.NoContent(http.StatusNoContent)
			}
			s.Door("/small").POST("/small", read, s.Accept(10))
			s.Door("/large").POST("/large", read, s.Accept(4<<20))
		})
	})
	server := httptest.NewServer(h.handler)
	t.Cleanup(server.Close)
	post := func(path string, body io.Reader) reply {
		response, err := server.Client().Post(server.URL+path, "text/plain", body)
		if err != nil {
			t.Error(err)
			return reply{}
		}
		defer func() { _ = response.Body.Close() }()
		content, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		return reply{status: response.StatusCode, header: response.Header, body: string(content)}
	}
	chunked := func(s string) io.Reader { return io.MultiReader(strings.NewReader(s)) }
	for _, tt := range []struct {
		name string
		path string
		body io.Reader
		code policies.Code
	}{
		{"fits", "/small", strings.NewReader("0123456789"), ""},
		{"one over", "/small", strings.NewReader("01234567890"), policies.DocumentTooLarge},
		{"fits, chunked", "/small", chunked("0123456789"), ""},
		{"one over, chunked", "/small", chunked("01234567890"), policies.DocumentTooLarge},
		{"far over", "/small", strings.NewReader(strings.Repeat("x", 8<<20)), policies.DocumentTooLarge},
		{"far over, chunked", "/small", chunked(strings.Repeat("x", 8<<20)), policies.DocumentTooLarge},
		{"large", "/large", strings.NewReader(strings.Repeat("x", 4<<20)), ""},
	} {
		response := post(tt.path, tt.body)
		if tt.code != "" {
			wantProblem(t, response, tt.code)
		} else if response.status != http.StatusNoContent {
			t.Errorf("%s: got %d, want 204", tt.name, response.status)
		}
	}
	var first sync.WaitGroup
	first.Go(func() {
		if got := post("/large", strings.NewReader("wait"+strings.Repeat("x", 3<<20))).status; got != http.StatusNoContent {
			t.Errorf("the one at work: got %d, want 204", got)
		}
	})
	<-entered
	busy := post("/large", strings.NewReader(strings.Repeat("x", 3<<20)))
	wantProblem(t, busy, policies.Busy)
	if busy.header.Get("Retry-After") == "" {
		t.Error("busy: want Retry-After")
	}
	if got := post("/large", strings.NewReader("small enough")).status; got != http.StatusNoContent {
		t.Errorf("a small one meanwhile: got %d, want 204", got)
	}
	close(release)
	first.Wait()
	if got := post("/large", strings.NewReader(strings.Repeat("x", 3<<20))).status; got != http.StatusNoContent {
		t.Errorf("afterwards: got %d, want 204", got)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *api.Config) {
		c.Checks = map[string]api.Check{
			"database": func(context.Context) error { return nil },
			"signer":   func(context.Context) error { return errors.New("no socket") },
		}
	})
	for path, want := range map[string]struct {
		status int
		kind   string
		body   string
	}{
		"/healthz": {http.StatusOK, "text/plain; charset=UTF-8", "ok\n"},
		"/readyz":  {http.StatusServiceUnavailable, "application/json", `{"database":"ok","signer":"unreachable"}` + "\n"},
	} {
		response := h.ask(t, http.MethodGet, path, "")
		if got := response.body; response.status != want.status || response.header.Get("Content-Type") != want.kind || got != want.body {
			t.Errorf("%s: got %d %s %q, want %+v", path, response.status, response.header.Get("Content-Type"), got, want)
		}
		if response.header.Get("X-Content-Type-Options") != "nosniff" || response.header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: lacks security headers: %v", path, response.header)
		}
	}
}

func TestPublicDesks(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *api.Config) {
		c.Rooms = append(c.Rooms, func(s *api.Site) {
			pace := s.Pace(api.Rate{Every: 10 * time.Second, Burst: 1})
			ask := func(c echo.Context) error {
				c.Response().Header().Set("Cache-Control", "public")
				return c.String(http.StatusOK, pace(c).String())
			}
			s.Desk("/desk/*")
			s.Door("/desk").GET("/desk/*", ask)
			s.Door("/door").GET("/door", ask)
			s.Door("/kind").POST("/kind", func(echo.Context) error {
				return errors.Join(policies.Refuse(policies.RequestMalformed, "field", "Content-Type"), echo.ErrUnsupportedMediaType)
			})
		})
	})
	for _, want := range []string{"0s", "10s"} {
		if got := h.ask(t, http.MethodGet, "/desk/whose", "").body; got != want {
			t.Errorf("pace: got %s, want %s", got, want)
		}
	}
	if got := h.ask(t, http.MethodGet, "/desk/whose", "", "Remote", "192.0.2.77:1").body; got != "0s" {
		t.Errorf("pace of another address: got %s, want 0s", got)
	}
	if log := h.journal.String(); strings.Contains(log, "route=/desk") {
		t.Errorf("the log tells who asks what:\n%s", log)
	}
	response := h.ask(t, http.MethodDelete, "/desk/whose", "")
	wantProblem(t, response, policies.MethodNotAllowed)
	if got := h.ask(t, http.MethodGet, "/door", "").header; got.Get("Cache-Control") != "public" || got.Get("X-Frame-Options") != "DENY" {
		t.Errorf("got %v, want what the room set and what the site did", got)
	}
	if got := h.ask(t, http.MethodGet, "/healthz", "").header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("a room's header went on to the next answer: %q", got)
	}
	if log := h.journal.String(); !strings.Contains(log, "status=405") || !strings.Contains(log, "route=/door") {
		t.Errorf("the log lacks a failure, or a route that is no desk:\n%s", log)
	}
	response = h.ask(t, http.MethodPost, "/kind", "")
	var problem api.Problem
	if err := json.Unmarshal([]byte(response.body), &problem); err != nil || response.status != 415 || problem.Status != 415 {
		t.Errorf("got %d %q (%v), want a problem of status 415", response.status, response.body, err)
	}
}

func TestNewRefusesAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "firma.example.es", "ftp://firma.example.es", "https://firma.example.es/base", "https://u:p@firma.example.es", "https://"} {
		if _, err := api.New(api.Config{PublicURL: address, Now: time.Now}); err == nil {
			t.Errorf("New with %q: got no error", address)
		}
	}
}
