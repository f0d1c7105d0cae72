package staff_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

var words = sync.OnceValues(catalogue.New)

// clock is the real one, moved on by tests.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// log records in the database, as the signer's process does, and remembers.
type log struct {
	db *store.DB

	mu      sync.Mutex
	entries []audit.Entry
	broken  error
}

func (l *log) RecordAudit(ctx context.Context, e audit.Entry) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return 0, l.broken
	}
	l.entries = append(l.entries, e)
	return l.db.RecordAudit(ctx, e)
}

func (l *log) breakDown(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
}

// take gives the entries since the last call.
func (l *log) take() []audit.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.entries
	l.entries = nil
	return taken
}

// only is the one entry since the last call, of this type.
func (l *log) only(t *testing.T, kind audit.EventType) audit.Entry {
	t.Helper()
	entries := l.take()
	if len(entries) != 1 || entries[0].Type != kind {
		t.Fatalf("got entries %+v, want one %s", entries, kind)
	}
	return entries[0]
}

// count is how many sessions, challenges and invitations the database has.
func (h *house) count(t *testing.T) (n [3]int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), h.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	err = conn.QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM auditor_sessions), (SELECT count(*) FROM auditor_challenges), (SELECT count(*) FROM auditor_invitations)`).
		Scan(&n[0], &n[1], &n[2])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// dump is all that the tables of this door and the log hold, bytes as text.
func (h *house) dump(t *testing.T) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), h.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var all strings.Builder
	for _, table := range []string{"auditors", "auditor_passkeys", "auditor_invitations", "auditor_challenges", "auditor_sessions", "log_entries"} {
		rows, err := conn.Query(t.Context(), `SELECT x::text FROM `+table+` x`)
		if err != nil {
			t.Fatal(err)
		}
		var text string
		if _, err := pgx.ForEachRow(rows, []any{&text}, func() error { all.WriteString(text); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := conn.Query(t.Context(), `SELECT convert_from(payload, 'UTF8') FROM log_entries WHERE payload IS NOT NULL`)
	if err != nil {
		t.Fatal(err)
	}
	var payload string
	if _, err := pgx.ForEachRow(rows, []any{&payload}, func() error { all.WriteString(payload); return nil }); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// house is a door on a real listener over a real database.
type house struct {
	door     *staff.Door
	db       *store.DB // role rubrica_signer
	accounts store.Staff
	base     string   // path of the door
	roles    []string // those that are no administrators
	owner    string   // address of the database, as its owner
	url      *url.URL
	clock    *clock
	log      *log
	ca       *authority
	roots    *x509.CertPool // of the door's own certificate
	own      *x509.Certificate
	auditor  personnel.Account
	chief    personnel.Account
	material map[string]tls.Certificate // by account id
}

// build is a door of auditors.
func build(t *testing.T, change func(*staff.Config)) *house {
	t.Helper()
	h := buildFor(t, staff.Config{Kind: personnel.Auditors(), Paths: staff.AuditorPaths()}, change)
	h.auditor = h.add(t, personnel.Account{Name: "Ada Auditora", Role: personnel.RoleAuditor})
	h.chief = h.add(t, personnel.Account{Name: "Jefa", Role: personnel.RoleAdministrator})
	return h
}

// buildFor is a door of the kind in config.
func buildFor(t *testing.T, config staff.Config, change func(*staff.Config)) *house {
	t.Helper()
	base := pgtest.New(t, store.Migrate)
	h := &house{clock: &clock{}, ca: newAuthority(t, "Autoridad de empleados"), material: map[string]tls.Certificate{}}
	h.db, h.owner = open(t, base.Signer), base.Owner
	h.db.Now, h.accounts, h.base = h.clock.now, h.db.Staff(config.Kind), config.Paths.Base
	h.roles = config.Kind.Roles[:len(config.Kind.Roles)-1]
	h.log = &log{db: h.db}
	db := open(t, map[bool]string{false: base.Auditor, true: base.Registrar}[config.Kind.Offices])

	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	h.url = &url.URL{Scheme: "https", Host: net.JoinHostPort("localhost", port)}
	papers := h.papers(t)
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	config.PublicURL, config.Name, config.Store, config.Recorder = h.url.String(), "Rúbrica", db.Staff(config.Kind), h.log
	config.Authorities, config.Limits, config.Logger, config.Now = papers.Authorities, staff.DefaultLimits(), logger, h.clock.now
	config.Limits.Attempts = api.Rate{Every: time.Millisecond, Burst: 1000}
	if change != nil {
		change(&config)
	}
	if h.door, err = staff.New(config); err != nil {
		t.Fatal(err)
	}
	sentences, err := words()
	if err != nil {
		t.Fatal(err)
	}
	handler, err := api.New(api.Config{
		PublicURL: h.url.String(), Catalogue: sentences, Clients: h.door.Programs(), Scopes: []string{api.ScopeAudit},
		Certificate: h.door.Certificate, Refused: h.door.Refused,
		Rooms: []func(*api.Site){h.door.Room, h.rooms}, Limits: api.DefaultLimits(), Logger: logger, Now: h.clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := api.Server(handler, "")
	server.TLSConfig, server.ErrorLog = papers.TLS(), slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	stopped := make(chan error, 1)
	go func() { stopped <- server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-stopped); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return h
}

func open(t *testing.T, address string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// rooms are what the pages and the programs' door do.
func (h *house) rooms(site *api.Site) {
	d, g := h.door, site.Pages()
	done := func(c echo.Context, err error) error {
		if err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	}
	whoami := func(c echo.Context) error {
		asking, err := d.Identify(c)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, asking)
	}
	g.GET("/", func(c echo.Context) error {
		c.Response().Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
		return c.HTML(http.StatusOK, "<!doctype html><title>Prueba</title><h1>Prueba</h1>")
	})
	g.GET(h.base+"/offered", func(c echo.Context) error { return c.JSON(http.StatusOK, d.CertificateOffered(c)) })
	g.POST(h.base+"/entrar/certificado", func(c echo.Context) error { return done(c, d.EnterByCertificate(c)) })
	g.POST(h.base+"/proposito", func(c echo.Context) error { return done(c, d.State(c, c.FormValue("purpose"))) })
	g.POST(h.base+"/salir", func(c echo.Context) error { return done(c, d.Leave(c)) })
	g.GET(h.base, whoami, d.Require(h.roles...))
	g.GET(h.base+"/estado", whoami, d.Require(append(slices.Clone(h.roles), personnel.RoleAdministrator)...))
	g.GET(h.base+"/personas", func(c echo.Context) error {
		list, err := d.Accounts(c)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, list)
	})
	g.POST(h.base+"/personas/:id/invitar", func(c echo.Context) error {
		i, err := d.Invite(c, c.Param("id"))
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, i)
	})
	g.POST(h.base+"/personas/:id/desactivar", func(c echo.Context) error { return done(c, d.Disable(c, c.Param("id"))) })
	site.Door("/v1/").GET("/v1/audit/whoami", whoami, d.Require(personnel.RoleAuditor))
}

// papers are the door's own, with the authority whose client certificates count.
func (h *house) papers(t *testing.T) *staff.Papers {
	t.Helper()
	own := newAuthority(t, "Autoridad del servidor")
	h.roots = own.pool()
	pair := own.issue(t, leaf{name: "localhost", use: x509.ExtKeyUsageServerAuth})
	h.own = pair.Leaf
	dir := t.TempDir()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	files := staff.Files{
		Certificate: filepath.Join(dir, "own.pem"), Key: filepath.Join(dir, "own.key"), ClientCA: filepath.Join(dir, "ca.pem"),
	}
	for path, block := range map[string]*pem.Block{
		files.Certificate: {Type: "CERTIFICATE", Bytes: pair.Leaf.Raw},
		files.Key:         {Type: "PRIVATE KEY", Bytes: key},
		files.ClientCA:    {Type: "CERTIFICATE", Bytes: h.ca.certificate.Raw},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	papers, err := staff.OpenPapers(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return papers
}

// add opens an account, as the command line does.
func (h *house) add(t *testing.T, a personnel.Account) personnel.Account {
	t.Helper()
	a.ID, a.CreatedAt = strings.ToLower(rand.Text()), h.clock.now()
	if err := h.accounts.Add(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

// addWith opens an account that is entered with a certificate.
func (h *house) addWith(t *testing.T, role string, pair tls.Certificate) personnel.Account {
	t.Helper()
	a := h.add(t, personnel.Account{Name: "Con certificado", Role: role, Certificate: staff.Fingerprint(pair.Leaf)})
	h.material[a.ID] = pair
	return a
}

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(2, 0, 0),
	}
	return &authority{parse(t, template, template, key, key), key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// leaf is a certificate to be issued.
type leaf struct {
	name  string
	use   x509.ExtKeyUsage
	until time.Time // zero: in a year
}

func (a *authority) issue(t *testing.T, l leaf) tls.Certificate {
	t.Helper()
	key := newKey(t)
	if l.until.IsZero() {
		l.until = time.Now().AddDate(1, 0, 0)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: l.name}, DNSNames: []string{l.name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{l.use},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: l.until,
	}
	made := parse(t, template, a.certificate, key, a.key)
	return tls.Certificate{Certificate: [][]byte{made.Raw}, PrivateKey: key, Leaf: made}
}

func (a *authority) person(t *testing.T) tls.Certificate {
	t.Helper()
	return a.issue(t, leaf{name: "persona", use: x509.ExtKeyUsageClientAuth})
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func parse(t *testing.T, template, parent *x509.Certificate, key, issuer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// browser keeps cookies and may have a client certificate.
type browser struct {
	client *http.Client
	house  *house
}

func (h *house) browser(t *testing.T, own ...tls.Certificate) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: h.roots, ServerName: "localhost"}
	if len(own) > 0 { // as a browser in which somebody chose it, whatever the door asks for
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own[0], nil }
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{client: &http.Client{Jar: jar, Transport: transport, Timeout: 20 * time.Second}, house: h}
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask does a request; headers are name, value, name, value.
func (b *browser) ask(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.house.url.String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}

func (b *browser) post(t *testing.T, path string, form url.Values) reply {
	t.Helper()
	return b.ask(t, http.MethodPost, path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// send posts JSON.
func (b *browser) send(t *testing.T, path string, value any) reply {
	t.Helper()
	body, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return b.ask(t, http.MethodPost, path, string(body), "Content-Type", "application/json")
}

func (b *browser) get(t *testing.T, path string) reply {
	t.Helper()
	return b.ask(t, http.MethodGet, path, "")
}

// cookie is one that the browser has, or nil.
func (b *browser) cookie(name string) *http.Cookie {
	for _, cookie := range b.client.Jar.Cookies(b.house.url) {
		if cookie.Name == name {
			return cookie
		}
	}
	return nil
}

// enter logs in with the browser's certificate.
func (b *browser) enter(t *testing.T) {
	t.Helper()
	b.post(t, b.house.base+"/entrar/certificado", nil).want(t, http.StatusNoContent)
	b.house.log.only(t, b.house.door.Kind.Events.LoggedIn)
}

func (b *browser) state(t *testing.T, purpose string) reply {
	t.Helper()
	return b.post(t, "/auditoria/proposito", url.Values{"purpose": {purpose}})
}

func (r reply) want(t *testing.T, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("got %d %s, want %d", r.status, r.body, status)
	}
	return r
}

// refused checks that it is a problem with this code.
func (r reply) refused(t *testing.T, code policies.Code) {
	t.Helper()
	var problem api.Problem
	if err := json.Unmarshal([]byte(r.body), &problem); err != nil {
		t.Fatalf("got %d %s, want problem %s", r.status, r.body, code)
	}
	if problem.Code != code || r.status != api.Status(code) {
		t.Fatalf("got %d %s, want %d %s", r.status, problem.Code, api.Status(code), code)
	}
}

// asking is who the door says that asked.
func (r reply) asking(t *testing.T) personnel.Asking {
	t.Helper()
	r.want(t, http.StatusOK)
	var asking personnel.Asking
	if err := json.Unmarshal([]byte(r.body), &asking); err != nil {
		t.Fatal(err)
	}
	return asking
}

// compact is JSON without white space, to compare.
func compact(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
