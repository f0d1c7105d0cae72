package csc_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/api/csc"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/catest"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// TestMain makes the test binary its own document worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "document-worker" {
		os.Exit(documents.Main(os.Stdin, os.Stdout))
	}
	os.Exit(pgtest.Main(m))
}

const (
	ana      = "12345678Z"
	password = "Canario-7-amarillo"
	secret   = "secreto-de-la-sede"
	former   = "secreto-anterior"
)

// phone is the far end of the SMS.
type phone struct {
	mu   sync.Mutex
	last signer.CodeMessage
}

func (p *phone) SendCode(_ context.Context, m signer.CodeMessage) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = m
	return nil
}

func (*phone) Remind(context.Context, signer.ReminderMessage) error { return nil }
func (*phone) Tell(context.Context, signer.NoticeMessage) error     { return nil }

func (p *phone) code() signer.Code {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.Code
}

// stamps are a time-stamping authority that is not always there.
type stamps struct {
	augment.Authority

	down  atomic.Bool
	asked atomic.Int64
}

func (s *stamps) TimeStamp(ctx context.Context, query []byte) ([]byte, error) {
	s.asked.Add(1)
	if s.down.Load() {
		return nil, errors.New("the authority does not answer")
	}
	return s.Authority.TimeStamp(ctx, query)
}

// clock is set by the test: codes have a pace.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// tokens is an authorisation server that gives what the test says.
type tokens struct {
	mu       sync.Mutex
	grants   map[string]api.Grant
	consents map[string]csc.Consent
	spent    []string
	now      func() time.Time
}

func (s *tokens) Present(_ *http.Request, _, token string) (api.Grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, known := s.grants[token]
	if !known {
		return g, policies.Refuse(policies.ApplicationUnknown)
	}
	return g, nil
}

func (s *tokens) Consent(_ context.Context, token string) (csc.Consent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.consents[token]
	switch {
	case !known:
		return c, policies.Refuse(policies.AuthorisationInvalid)
	case s.now().After(c.ExpiresAt):
		return c, policies.Refuse(policies.AuthorisationExpired)
	}
	return c, nil
}

// Room is the token endpoint, as far as this door asks it.
func (s *tokens) Room(site *api.Site) {
	e := site.Door("/oauth/")
	e.POST("/oauth/token", func(c echo.Context) error {
		if id, given, _ := c.Request().BasicAuth(); id != "app" || given != secret {
			return c.JSON(http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		}
		scope := c.FormValue("scope")
		return c.JSON(http.StatusOK, map[string]any{"access_token": "service", "expires_in": 600, "token_type": "Bearer", "scope": scope})
	})
	echoes := func(c echo.Context) error {
		if err := c.Request().ParseForm(); err != nil {
			return err
		}
		return c.JSON(http.StatusOK, c.Request().Form)
	}
	e.GET("/oauth/authorize", echoes)
	e.POST("/oauth/par", echoes)
	e.POST("/oauth/revoke", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
}

// Spend uses a grant up, but for those without an id.
func (s *tokens) Spend(_ context.Context, grantID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if grantID == "" {
		return nil
	}
	if slices.Contains(s.spent, grantID) {
		return policies.Refuse(policies.AuthorisationInvalid)
	}
	s.spent = append(s.spent, grantID)
	return nil
}

func (s *tokens) Carry(_ context.Context, c csc.Consent) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := rand.Text()
	s.consents[token] = c
	return token, nil
}

func (s *tokens) Revoke(_ context.Context, clientID, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grants[token].Client.ID == clientID {
		delete(s.grants, token)
	}
	return nil
}

// house is the door on a real database and a real token, with a citizen who has
// a certificate.
type house struct {
	*testing.T
	url        string
	http       *http.Client
	clock      *clock
	phone      *phone
	stamps     *stamps
	tokens     *tokens
	door       *csc.Door
	module     *signer.Service
	register   *citizen.Service
	public     store.Public
	service    *requests.Service
	app, other signer.Client
	modern     signer.Client // without version 1
	credential signer.Credential
	citizen    signer.Citizen
	asked      *atomic.Int64 // requests
	journal    *bytes.Buffer
	owner      string // of the database
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected: %v", err)
		}
		return v
	}
}

func newHouse(t *testing.T, algorithm string) *house {
	t.Helper()
	h := &house{T: t, clock: &clock{now: time.Now().UTC().Truncate(time.Second)}, phone: &phone{}, asked: &atomic.Int64{}, journal: &bytes.Buffer{}}
	database, token := pgtest.New(t, store.Migrate), hsmtest.New(t)
	h.owner = database.Owner
	db := h.open(database.Signer)
	h.public = store.ForPublic(h.open(database.API))
	authority := h.foundSigner(db, token, algorithm)
	h.applications(db)
	h.activate(db)
	h.core(authority)
	h.certify()
	h.serve(authority)
	return h
}

func (h *house) open(url string) *store.DB {
	h.Helper()
	db := must[*store.DB](h.T)(store.Open(h.Context(), url))
	db.Now = h.clock.Now
	h.Cleanup(db.Close)
	return db
}

func (h *house) foundSigner(db *store.DB, token *hsm.Token, algorithm string) catest.Authority {
	h.Helper()
	ctx := h.Context()
	for _, kind := range signer.Secrets() {
		create := token.CreatePepper
		if kind == signer.KEK {
			create = token.CreateKEK
		}
		label := kind.Label(1)
		if err := create(ctx, label); err != nil {
			h.Fatal(err)
		}
		value := must[[]byte](h.T)(token.CheckValue(ctx, label))
		if err := db.BeginEpoch(ctx, store.Epoch{Kind: kind, Epoch: 1, CheckValue: value}, audit.Entry{
			Type: audit.KeyEpochBegun, Operation: "test", At: h.clock.Now(), Payload: map[string]any{"key": label, "check_value": fmt.Sprintf("%x", value)},
		}); err != nil {
			h.Fatal(err)
		}
	}
	if err := db.SetKeeper(ctx, signer.SealedKeeper, audit.Entry{
		Type: audit.KeeperChanged, Operation: "test", At: h.clock.Now(), Payload: map[string]any{"from": "sealed", "to": "sealed"},
	}); err != nil {
		h.Fatal(err)
	}
	vault := signer.NewVault(signer.VaultConfig{
		Keys: token, Epochs: must[signer.Epochs](h.T)(db.Epochs(ctx)), Parallel: 2, Queue: 64, Cost: signer.Cost{MemoryKiB: 64, Passes: 1, Lanes: 1},
	})
	authority := catest.Found(h.T, db, token, h.clock.Now)
	h.module = signer.New(signer.Config{
		Store: db, Keys: token, Vault: vault, Issuer: authority, Courier: h.phone, Rules: policies.DefaultRules(), Limits: signer.DefaultLimits(),
		KeyAlgorithm: algorithm, Now: h.clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	return authority
}

func (h *house) applications(db *store.DB) {
	h.Helper()
	scopes := []string{api.ScopeService, api.ScopeCredential}
	h.app = signer.Client{
		ID: "app", Name: "Sede", Organisation: "Ayuntamiento de Valdehierro",
		SecretHash: api.SecretHash(secret), Scopes: scopes, ReturnAddresses: []string{"https://sede.example/vuelta"},
		Switches: []string{signer.SwitchCSC1, signer.SwitchExplicit, signer.SwitchSecret, signer.SwitchCredentials},
	}
	h.other, h.modern = h.app, h.app
	h.other.ID, h.other.SecretHash, h.other.Switches = "other", make([]byte, 32), []string{signer.SwitchCSC1, signer.SwitchExplicit}
	h.modern.ID, h.modern.Switches = "modern", []string{signer.SwitchSecret}
	for _, client := range []signer.Client{h.app, h.other, h.modern} {
		if err := db.AddApplication(h.Context(), client, h.clock.Now()); err != nil {
			h.Fatal(err)
		}
		_ = must[signer.Webhook](h.T)(db.AddWebhook(h.Context(), signer.Webhook{
			ID: rand.Text(), ApplicationID: client.ID, URL: "https://sede.example/aviso", CreatedAt: h.clock.Now(),
		}))
	}
	// The secret of app is new, and the former one not over yet.
	now := h.clock.Now()
	for _, next := range []string{former, secret} {
		if err := db.Administration(store.Operator{}).SetSecret(h.Context(), h.app.ID, api.SecretHash(next), now.Add(signer.SecretOverlap), now); err != nil {
			h.Fatal(err)
		}
	}
}

// activate takes the citizen from the office to a password.
func (h *house) activate(db *store.DB) {
	h.Helper()
	t, ctx := h.T, h.Context()
	h.register = citizen.New(citizen.Config{
		Store: db, People: signer.People{Rows: db, Vault: h.module.Vault, Now: h.clock.Now, Logger: slog.New(slog.DiscardHandler)},
		Codes: h.module, Vault: h.module.Vault, Limits: citizen.DefaultLimits(), Now: h.clock.Now,
	})
	a := citizen.Application{
		Identifier: must[citizen.Identifier](t)(citizen.ParseIdentifier(ana)),
		Name:       must[citizen.Name](t)(citizen.ParseName("Ana", "Núñez Pérez")),
		Phone:      must[citizen.Phone](t)(citizen.ParsePhone("600111421")),
		Email:      must[citizen.Email](t)(citizen.ParseEmail("ana@example.es")),
		Locale:     "es", Office: "Oficina 1", Officer: "office", DocumentUntil: h.clock.Now().AddDate(3, 0, 0),
	}
	receipt := must[citizen.Receipt](t)(h.register.Register(ctx, a))
	session, _, err := h.register.StartActivation(ctx, citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: receipt.ActivationCode, RemoteAddr: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.register.Confirm(ctx, signer.Answer{Ticket: session.Ticket, Code: h.phone.code()}); err != nil {
		t.Fatal(err)
	}
	if err := h.register.SetPassword(ctx, session.Ticket, must[citizen.Password](t)(citizen.ParsePassword([]byte(password)))); err != nil {
		t.Fatal(err)
	}
}

// block is what an operator does in need.
func (h *house) block() {
	h.Helper()
	id := must[citizen.Identifier](h.T)(citizen.ParseIdentifier(ana))
	if err := h.register.Block(h.Context(), id, citizen.Order{By: citizen.By{Office: "office"}, Reason: "a test"}); err != nil {
		h.Fatal(err)
	}
}

// core is the public side's, with a document worker of its own and all that
// levels need.
func (h *house) core(authority catest.Authority) {
	h.Helper()
	t := h.T
	h.stamps = &stamps{Authority: authority}
	worker := must[*documents.Worker](t)(documents.New(h.Context(), documents.Config{Command: []string{os.Args[0], "document-worker"}}))
	trust := func(context.Context) ([]*x509.Certificate, error) { return []*x509.Certificate{authority.Root}, nil }
	stamps := must[*augment.Stamps](t)(augment.NewStamps(augment.StampsConfig{
		Sources: []augment.Source{{Name: "own", Authority: h.stamps}}, Trust: trust, Now: h.clock.Now, Logger: slog.New(slog.DiscardHandler),
	}))
	own := augment.Own{Bases: []string{catest.Base}, Published: h.public, Responder: authority}
	collector := must[*augment.Collector](t)(augment.NewCollector(augment.CollectorConfig{Trust: trust, Libraries: []augment.Library{own}, Now: h.clock.Now}))
	h.service = requests.New(requests.Config{
		Store: h.public, Opener: h.module, Worker: worker, Rules: policies.DefaultRules(), Trust: trust,
		Augmenter: must[*augment.Augmenter](t)(augment.New(augment.Config{Stamper: stamps, Evidence: collector, Trust: trust, Now: h.clock.Now})),
		Documents: policies.DefaultDocumentRules(), Logger: slog.New(slog.DiscardHandler), Limits: requests.DefaultLimits(), Now: h.clock.Now,
	})
}

// sql is a number that the database's owner finds.
func (h *house) sql(query string, args ...any) (n int) {
	h.Helper()
	conn := must[*pgx.Conn](h.T)(pgx.Connect(h.Context(), h.owner))
	defer conn.Close(h.Context()) //nolint:errcheck // it has been asked
	if err := conn.QueryRow(h.Context(), query, args...).Scan(&n); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		h.Fatal(err)
	}
	return n
}

// identify is the citizen at a request, with documents fixed.
func (h *house) identify(request string) signer.Session {
	h.Helper()
	session := must[signer.Session](h.T)(h.module.Identify(h.Context(), signer.Identification{
		RequestID: request, Identifier: ana, Password: []byte(password), RemoteAddr: "192.0.2.1",
	}))
	if !session.Certified {
		h.send(session, signer.ForCertificate)
		session = must[signer.Session](h.T)(h.module.IssueCredential(h.Context(), signer.Answer{Ticket: session.Ticket, Code: h.phone.code()}))
	}
	return session
}

func (h *house) send(session signer.Session, purpose signer.Purpose) {
	h.Helper()
	_ = must[signer.Challenge](h.T)(h.module.SendCode(h.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: purpose}))
}

// certify brings the citizen the certificate.
func (h *house) certify() {
	h.Helper()
	r := h.submit([]byte("nada"))
	_ = h.identify(r.ID)
	person, credential, err := h.public.Person(h.Context(), ana)
	if err != nil || credential == nil {
		h.Fatalf("no credential: %v", err)
	}
	h.citizen, h.credential = person, *credential
}

// submit is what the authorisation server does with an authorisation request.
func (h *house) submit(contents ...[]byte) signer.Request {
	h.Helper()
	hashes := make([]requests.LabelledHash, len(contents))
	for i, content := range contents {
		hashes[i] = requests.LabelledHash{Label: fmt.Sprint("contrato ", i+1), Value: digestOf(content)}
	}
	return must[signer.Request](h.T)(h.service.SubmitHashes(h.Context(), requests.HashSubmission{
		Client: h.app, Identifier: ana, Title: "Contratos", Locale: "es", ReturnURL: "https://firma.example/oauth/continue",
		Key: fmt.Sprint("grant-", h.asked.Add(1)), Hash: signer.SHA256, Hashes: hashes,
	}))
}

// consent is a token of scope credential for the hashes of contents.
func (h *house) consent(contents ...[]byte) string {
	h.Helper()
	h.clock.advance(time.Hour)
	r := h.submit(contents...)
	session := h.identify(r.ID)
	if _, err := h.service.Fix(h.Context(), r.ID, session.Ticket); err != nil {
		h.Fatal(err)
	}
	h.send(session, signer.ForSignature)
	a := must[signer.Authorised](h.T)(h.module.Authorise(h.Context(), signer.Answer{Ticket: session.Ticket, Code: h.phone.code()}))
	token := fmt.Sprint("credential-", r.ID)
	h.tokens.mu.Lock()
	defer h.tokens.mu.Unlock()
	h.tokens.grants[token] = api.Grant{
		ID: r.ID, Client: h.app, Scopes: []string{api.ScopeCredential}, Subject: h.citizen.ID, Identifier: ana, RequestID: r.ID, CredentialID: h.credential.ID,
	}
	h.tokens.consents[token] = csc.Consent{ClientID: "app", RequestID: r.ID, CredentialID: h.credential.ID, SAD: a.SAD, ExpiresAt: a.ExpiresAt}
	return token
}

// limited changes what the application of a token may do.
func (h *house) limited(token string, change func(*signer.Client)) {
	h.tokens.mu.Lock()
	defer h.tokens.mu.Unlock()
	g := h.tokens.grants[token]
	change(&g.Client)
	h.tokens.grants[token] = g
}

// errand is what the citizen has done for the application: the certificate that is
// there was made, or has been given up.
func (h *house) errand(id, scope string) api.Grant {
	return api.Grant{ID: id, Client: h.app, Scopes: []string{scope}, Subject: h.citizen.ID, Identifier: ana, CredentialID: h.credential.ID}
}

var words = sync.OnceValues(catalogue.New)

func (h *house) serve(authority catest.Authority) {
	h.Helper()
	service := []string{api.ScopeService}
	elsewhere := h.app
	elsewhere.Doors = []string{"rest"}
	h.tokens = &tokens{now: h.clock.Now, consents: map[string]csc.Consent{}, grants: map[string]api.Grant{
		"service":    {Client: h.app, Scopes: service},
		"other":      {Client: h.other, Scopes: service},
		"modern":     {Client: h.modern, Scopes: service},
		"citizen":    {Client: h.app, Scopes: service, Subject: h.citizen.ID, Identifier: ana},
		"stranger":   {Client: h.app, Scopes: service, Subject: "somebody", Identifier: "87654321X"},
		"elsewhere":  {Client: elsewhere, Scopes: service},
		"credential": {Client: h.app, Scopes: []string{api.ScopeCredential}},
		"created":    h.errand("", api.ScopeCreation),
		"deleted":    h.errand("", api.ScopeDeletion),
		"unheard":    h.errand("unheard", api.ScopeCreation),
	}}
	h.door = csc.New(csc.Config{
		Store: h.public, Authority: h.tokens, Signatures: h.service, Module: h.module, TimeStamps: authority,
		Name: "Rúbrica", Logo: "/logo.svg", Region: "ES", Description: "Firma en la nube", Languages: []string{"es", "en"}, DocumentBytes: 1 << 20,
		Logger: slog.New(slog.DiscardHandler), Now: h.clock.Now,
	})
	limits := api.DefaultLimits()
	limits.Calls, limits.Tokens = api.Rate{Every: time.Microsecond, Burst: 1 << 20}, api.Rate{Every: time.Microsecond, Burst: 1 << 20}
	server := httptest.NewUnstartedServer(nil)
	h.url = "http://" + server.Listener.Addr().String()
	handler := must[http.Handler](h.T)(api.New(api.Config{
		PublicURL: h.url, Catalogue: must[*catalogue.Catalogue](h.T)(words()), Authority: h.tokens, Rooms: []func(*api.Site){h.tokens.Room, h.door.Room},
		Limits: limits, Logger: slog.New(slog.NewTextHandler(h.journal, nil)), Now: time.Now,
	}))
	server.Config = api.Server(handler, "")
	server.Start()
	h.http = server.Client()
	h.Cleanup(server.Close)
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
}

// basic is how an application shows its secret.
func (h *house) basic(id, secret string) string {
	h.Helper()
	r := must[*http.Request](h.T)(http.NewRequest(http.MethodPost, h.url, nil))
	r.SetBasicAuth(id, secret)
	return r.Header.Get("Authorization")
}

// post calls a method with a token, empty for none, or what else stands for the
// caller, and a body as it stands.
func (h *house) post(path, token, body string) reply {
	h.Helper()
	headers := map[string]string{"Content-Type": "application/json"}
	switch {
	case strings.HasPrefix(token, "Basic "):
		headers["Authorization"] = token
	case token != "":
		headers["Authorization"] = "Bearer " + token
	}
	return h.send1(http.MethodPost, path, strings.NewReader(body), headers)
}

func (h *house) send1(method, path string, body io.Reader, headers map[string]string) reply {
	h.Helper()
	r := must[*http.Request](h.T)(http.NewRequestWithContext(h.Context(), method, h.url+"/csc/"+path, body))
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response := must[*http.Response](h.T)(h.http.Do(r))
	defer func() { _ = response.Body.Close() }()
	return reply{response.StatusCode, response.Header, string(must[[]byte](h.T)(io.ReadAll(response.Body)))}
}

// call posts an object and reads the answer's.
func (h *house) call(path, token string, body map[string]any, into any) {
	h.Helper()
	got := h.post(path, token, string(must[[]byte](h.T)(json.Marshal(body))))
	if got.status != http.StatusOK {
		h.Fatalf("%s: %d %s", path, got.status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), into); err != nil {
		h.Fatalf("%s: %v in %s", path, err, got.body)
	}
}

// refused posts an object and wants one error.
func (h *house) refused(path, token string, body map[string]any, want string) {
	h.Helper()
	h.answers(path, h.post(path, token, string(must[[]byte](h.T)(json.Marshal(body)))), want)
}

// answers wants "status code description".
func (h *house) answers(what string, got reply, want string) {
	h.Helper()
	var f struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(got.body), &f); err != nil {
		h.Errorf("%s: got %d %q, want %s", what, got.status, got.body, want)
		return
	}
	if is := fmt.Sprint(got.status, " ", f.Error, " ", f.Description); is != want {
		h.Errorf("%s: got %s, want %s", what, is, want)
	}
}

func digestOf(content []byte) []byte {
	sum := sha256.Sum256(content)
	return sum[:]
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func unb64(t *testing.T, s string) []byte {
	t.Helper()
	return must[[]byte](t)(base64.StdEncoding.DecodeString(s))
}
