package validation_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/validation"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
)

// sharedWords is read once: parsing all languages takes its time.
var sharedWords = sync.OnceValues(catalogue.New)

// town is the other side of the desk: an authority with real keys, the database
// and the feed, all in memory.
type town struct {
	root, issuing *x509.Certificate
	key           crypto.Signer
	responder     *ocsp.Responder
	unit          *tsa.Authority
	now           func() time.Time

	mu       sync.Mutex
	statuses map[string]ocsp.Status
	kept     map[string]ocsp.Kept
	changes  []ca.Change
	lists    map[string]ca.PublishedList
	asked    int   // OCSP requests
	read     int   // of lists
	silent   error // what the signer fails with
	deaf     error // what the feed fails with
	hold     chan struct{}
}

func found(tb testing.TB, now func() time.Time) *town {
	tb.Helper()
	t := &town{now: now, key: newKey(tb), statuses: map[string]ocsp.Status{}, kept: map[string]ocsp.Kept{}, lists: map[string]ca.PublishedList{}}
	rootKey, at := newKey(tb), now().UTC().Truncate(time.Second)
	name := func(s string) ca.Name { return ca.Name{Country: "ES", Organisation: "Pruebas", CommonName: s} }
	var err error
	t.root, err = ca.CreateRoot(ca.Root{Name: name("Raíz"), NotBefore: at, NotAfter: at.AddDate(20, 0, 0)}, rootKey, lint.Certificate)
	must(tb, err)
	t.issuing, err = ca.CreateIssuing(ca.Issuing{
		Name: name("Emisora"), NotBefore: at, NotAfter: at.AddDate(10, 0, 0), PublicKey: t.key.Public(),
		Addresses: ca.Addresses{Issuer: "http://ca.example/ca/root.cer"}, CRL: "http://ca.example/ca/root.crl",
	}, t.root, rootKey, lint.Certificate)
	must(tb, err)
	authority, err := ca.New(ca.Config{
		Certificate: t.issuing, Signer: t.key, Lint: lint.Certificate,
		Addresses: ca.Addresses{Issuer: "http://ca.example/ca/issuing-1.cer", OCSP: "http://ca.example/ocsp"},
	})
	must(tb, err)
	responder, unit := newKey(tb), newKey(tb)
	service := ca.ServiceRequest{Name: name("OCSP"), PublicKey: responder.Public(), NotBefore: at, NotAfter: at.AddDate(0, 0, 90)}
	delegated := certify(tb, service, authority.PrepareOCSP)
	service = ca.ServiceRequest{
		Name: name("Sellado"), PublicKey: unit.Public(), NotBefore: at, NotAfter: at.AddDate(8, 0, 0),
		CRL: "http://ca.example/ca/issuing-1-2026-1.crl",
	}
	stamper := certify(tb, service, authority.PrepareTSA)
	trusted := func(context.Context) error { return nil }
	t.responder, err = ocsp.New(ocsp.Config{
		Issuers: func() []ocsp.Issuer {
			return []ocsp.Issuer{{Name: "issuing-1", Certificate: t.issuing, Responder: delegated, Signer: responder}}
		},
		Statuses: t, Life: 40 * time.Minute, Now: now, Trusted: trusted,
	})
	must(tb, err)
	t.unit, err = tsa.New(tsa.Config{
		Certificate: stamper, Signer: unit, Chain: []*x509.Certificate{t.issuing}, Policy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1},
		Now: now, Trusted: trusted,
	})
	must(tb, err)
	return t
}

func certify(tb testing.TB, r ca.ServiceRequest, prepare func(ca.ServiceRequest) (*ca.Prepared, error)) *x509.Certificate {
	tb.Helper()
	prepared, err := prepare(r)
	must(tb, err)
	der, err := prepared.Issue()
	must(tb, err)
	c, err := x509.ParseCertificate(der)
	must(tb, err)
	return c
}

func newKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	return key
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// leaf issues a certificate of a citizen, good.
func (t *town) leaf(tb testing.TB, serial int64) *x509.Certificate {
	tb.Helper()
	key := newKey(tb)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: t.now(), NotAfter: t.now().AddDate(4, 0, 0),
	}, t.issuing, key.Public(), t.key)
	must(tb, err)
	c, err := x509.ParseCertificate(der)
	must(tb, err)
	t.change(c, ocsp.Status{State: ocsp.Good})
	return c
}

// change commits a status.
func (t *town) change(c *x509.Certificate, s ocsp.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	serial := ocsp.Serial(c.SerialNumber)
	s.Version = t.statuses[serial].Version + 1
	t.statuses[serial] = s
	t.changes = append(t.changes, ca.Change{Seq: int64(len(t.changes) + 1), Serial: serial})
}

func (t *town) revoke(c *x509.Certificate) {
	t.change(c, ocsp.Status{State: ocsp.Revoked, RevokedAt: t.now().Truncate(time.Second), Reason: 1})
}

// Status implements ocsp.Statuses.
func (t *town) Status(_ context.Context, _ string, serials []string) (map[string]ocsp.Status, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	told := map[string]ocsp.Status{}
	for _, s := range serials {
		if status, ok := t.statuses[s]; ok {
			told[s] = status
		}
	}
	return told, nil
}

// Kept implements ocsp.Statuses.
func (t *town) Kept(_ context.Context, serial string) (ocsp.Kept, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept[serial], nil
}

// Keep implements ocsp.Statuses.
func (t *town) Keep(_ context.Context, k ocsp.Kept) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept[k.Serial] = k
	return nil
}

// OCSP implements validation.Validation.
func (t *town) OCSP(ctx context.Context, request []byte) (ocsp.Answer, error) {
	t.mu.Lock()
	t.asked++
	silent, hold := t.silent, t.hold
	t.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if silent != nil {
		return ocsp.Answer{}, silent
	}
	return t.responder.Answer(ctx, request)
}

// TimeStamp implements validation.Validation.
func (t *town) TimeStamp(ctx context.Context, query []byte) ([]byte, error) {
	t.mu.Lock()
	silent, hold := t.silent, t.hold
	t.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if silent != nil {
		return nil, silent
	}
	reply, _ := t.unit.Answer(ctx, query) // why it was refused is the operator's
	return reply, nil
}

// LastCertificateChange implements validation.Feed.
func (t *town) LastCertificateChange(context.Context) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(len(t.changes)), t.deaf
}

// CertificateChanges implements validation.Feed, two at a time.
func (t *town) CertificateChanges(_ context.Context, after int64) ([]ca.Change, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.deaf != nil {
		return nil, t.deaf
	}
	return t.changes[after:min(after+2, int64(len(t.changes)))], nil
}

// AuthorityDER implements validation.Published.
func (t *town) AuthorityDER(_ context.Context, name string) ([]byte, error) {
	switch name {
	case "root":
		return t.root.Raw, nil
	case "issuing-1":
		return t.issuing.Raw, nil
	}
	return nil, policies.Refuse(policies.NotFound)
}

// RevocationList implements validation.Published.
func (t *town) RevocationList(_ context.Context, shard string) (ca.PublishedList, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read++
	l, ok := t.lists[shard]
	if !ok {
		return l, policies.Refuse(policies.NotFound)
	}
	return l, nil
}

func (t *town) set(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

// count is how often the signer was asked since it was looked at last.
func (t *town) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.asked
	t.asked = 0
	return n
}

// open puts a desk in a site.
func (t *town) open(tb testing.TB, change func(*validation.Config)) (*validation.Desk, http.Handler) {
	tb.Helper()
	config := validation.Config{
		Validation: t, Feed: t, Published: t, Limits: validation.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), Now: t.now,
	}
	if change != nil {
		change(&config)
	}
	desk, err := validation.New(config)
	must(tb, err)
	return desk, site(tb, config.Logger, t.now, desk.Room)
}

func site(tb testing.TB, logger *slog.Logger, now func() time.Time, rooms ...func(*api.Site)) http.Handler {
	tb.Helper()
	words, err := sharedWords()
	must(tb, err)
	handler, err := api.New(api.Config{
		PublicURL: "https://firma.example.es", Catalogue: words, Limits: api.DefaultLimits(), Rooms: rooms, Logger: logger, Now: now,
	})
	must(tb, err)
	return handler
}

// ask does a request; headers are name, value, name, value.
func ask(handler http.Handler, method, target string, body []byte, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func post(handler http.Handler, request []byte) *httptest.ResponseRecorder {
	return ask(handler, http.MethodPost, "/ocsp", request, "Content-Type", "application/ocsp-request")
}

// folder keeps files for openssl.
type folder struct {
	testing.TB

	path string
}

func newFolder(tb testing.TB) folder {
	tb.Helper()
	return folder{tb, tb.TempDir()}
}

func (f folder) put(name string, content []byte) string {
	f.Helper()
	path := filepath.Join(f.path, name)
	must(f, os.WriteFile(path, content, 0o600))
	return path
}

func (f folder) pem(name string, c *x509.Certificate) string {
	f.Helper()
	return f.put(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func (f folder) openssl(arguments ...string) string {
	f.Helper()
	out, err := exec.CommandContext(f.Context(), "openssl", arguments...).CombinedOutput()
	if err != nil {
		f.Fatalf("openssl %v: %v\n%s", arguments, err, out)
	}
	return string(out)
}

// request has openssl ask about a certificate.
func (f folder) request(t *town, c *x509.Certificate, flags ...string) []byte {
	f.Helper()
	path := filepath.Join(f.path, "request-"+hex.EncodeToString(c.SerialNumber.Bytes()))
	f.openssl(append([]string{"ocsp", "-issuer", f.pem("issuing.pem", t.issuing), "-cert", f.pem("leaf.pem", c), "-reqout", path}, flags...)...)
	der, err := os.ReadFile(path)
	must(f, err)
	return der
}
