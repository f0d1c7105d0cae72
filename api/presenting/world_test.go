package presenting

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	own "github.com/rubrica-firma/rubrica/ca/ocsp"
)

// party is a key with its certificate.
type party struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// desk is an authority and how it speaks of what it issued. A test may change
// that; world.mu guards it.
type desk struct {
	party

	name      string
	responder party
	revoked   map[string]bool // by serial number
	ocsp, crl http.HandlerFunc
	answer    func(*ocsp.Response)
	list      func(*x509.RevocationList)
}

// world is authorities like Spain's: that of the DNI with its root, that of the
// FNMT, one that the list does not have; and the machine that they publish on.
type world struct {
	tb                           testing.TB
	dnie, sub, fnmt, old, others *desk
	server                       *httptest.Server
	dir                          string

	mu    sync.Mutex
	desks map[string]*desk
	asked map[string]int // by path
	ahead time.Duration
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

// change bends the world while nobody asks it.
func (w *world) change(bend func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	bend()
}

func (w *world) count(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[path]
}

// dgp is the name of the DNI's authorities.
func dgp(name string) pkix.Name {
	return pkix.Name{Country: []string{"ES"}, Organization: []string{"DIRECCION GENERAL DE LA POLICIA"}, OrganizationalUnit: []string{"DNIE"}, CommonName: name}
}

func ceres(name string) pkix.Name {
	return pkix.Name{Country: []string{"ES"}, Organization: []string{"FNMT-RCM"}, OrganizationalUnit: []string{"Ceres"}, CommonName: name}
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{tb: tb, desks: map[string]*desk{}, asked: map[string]int{}, dir: tb.TempDir()}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	tb.Cleanup(w.server.Close)
	w.dnie = w.found("raiz", dgp("AC RAIZ DNIE 2"), nil)
	w.sub = w.found("dnie", dgp("AC DNIE 004"), w.dnie)
	w.fnmt = w.found("fnmt", ceres("AC FNMT Usuarios"), nil)
	w.old = w.found("antigua", ceres("AC de perfil antiguo"), nil)
	w.others = w.found("otra", dgp("AC DNIE 004"), nil) // a name is not a key
	return w
}

// found makes an authority, under another or by itself.
func (w *world) found(name string, subject pkix.Name, above *desk) *desk {
	w.tb.Helper()
	d := &desk{name: name, revoked: map[string]bool{}}
	template := &x509.Certificate{
		Subject: subject, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: time.Now().AddDate(-5, 0, 0), NotAfter: time.Now().AddDate(10, 0, 0),
	}
	if above == nil {
		d.key = newKey(w.tb)
		d.certificate = w.sign(template, template, d.key.Public(), d.key)
	} else {
		d.party = w.issue(above, template)
	}
	w.desks[name] = d
	d.responder = w.issue(d, &x509.Certificate{
		Subject: pkix.Name{Country: []string{"ES"}, CommonName: "OCSP de " + name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes}},
	})
	return d
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// issue certifies a fresh key, for two years from an hour ago unless the template
// says otherwise.
func (w *world) issue(by *desk, template *x509.Certificate) party {
	w.tb.Helper()
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(2, 0, 0)
	}
	if template.OCSPServer == nil {
		template.OCSPServer = []string{w.server.URL + "/ocsp/" + by.name}
		template.CRLDistributionPoints = []string{w.server.URL + "/crl/" + by.name}
	}
	p := party{key: newKey(w.tb)}
	p.certificate = w.sign(template, by.certificate, p.key.Public(), by.key)
	return p
}

func (w *world) sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	w.tb.Helper()
	template.BasicConstraintsValid = true
	template.SerialNumber, _ = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		w.tb.Fatalf("issuing: %v", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		w.tb.Fatalf("parsing what was issued: %v", err)
	}
	return c
}

// serve is the publishing machine.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	w.mu.Lock()
	w.asked[r.URL.Path]++
	d := w.desks[name]
	var special http.HandlerFunc
	if d != nil {
		special = map[string]http.HandlerFunc{"ocsp": d.ocsp, "crl": d.crl}[kind]
	}
	w.mu.Unlock()
	switch {
	case d == nil:
		rw.WriteHeader(http.StatusNotFound)
	case special != nil:
		special(rw, r)
	case kind == "ocsp":
		request, err := own.Parse(body)
		if err != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		write(rw, w.ocsp(d, request.Certificates[0].Serial))
	default:
		write(rw, w.crl(d))
	}
}

func write(w io.Writer, content []byte) { _, _ = w.Write(content) }

// ocsp is the desk's answer.
func (w *world) ocsp(d *desk, serial *big.Int) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now().UTC().Truncate(time.Second)
	answer := ocsp.Response{
		SerialNumber: serial, Certificate: d.responder.certificate, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 3), IssuerHash: crypto.SHA1,
	}
	if d.revoked[serial.String()] {
		answer.Status, answer.RevokedAt, answer.RevocationReason = ocsp.Revoked, now.Add(-time.Minute), ocsp.KeyCompromise
	}
	if d.answer != nil {
		d.answer(&answer)
	}
	der, err := ocsp.CreateResponse(d.certificate, d.responder.certificate, answer, d.responder.key)
	if err != nil {
		w.tb.Errorf("answering: %v", err)
	}
	return der
}

// crl is the desk's list.
func (w *world) crl(d *desk) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now().UTC().Truncate(time.Second)
	list := &x509.RevocationList{Number: big.NewInt(now.Unix()), ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 3)}
	for serial := range d.revoked {
		n, _ := new(big.Int).SetString(serial, 10)
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: now.Add(-time.Minute)})
	}
	if d.list != nil {
		d.list(list)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, d.certificate, d.key)
	if err != nil {
		w.tb.Errorf("listing: %v", err)
	}
	return der
}

// file writes certificates for the trust list.
func (w *world) file(name string, certificates ...*x509.Certificate) {
	w.tb.Helper()
	var content []byte
	for _, c := range certificates {
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	if err := os.WriteFile(filepath.Join(w.dir, name), content, 0o600); err != nil {
		w.tb.Fatal(err)
	}
}

// trust writes the trust list and reads it. reach is what it says of hosts.
func (w *world) trust(reach string) *TrustList {
	w.tb.Helper()
	w.file("root.pem", w.dnie.certificate)
	w.file("dnie.pem", w.sub.certificate)
	w.file("fnmt.pem", w.fnmt.certificate)
	w.file("old.pem", w.old.certificate)
	path := filepath.Join(w.dir, "trust.toml")
	content := `
[[authority]]
name = "DNI electrónico"
class = "dnie"
subject = "dnie"
issuers = ["dnie.pem"]
roots = ["root.pem"]
policies = ["2.16.724.1.2.2.2.4", "2.16.724.1.2.2.2.4.*"]
` + reach + `
[[authority]]
name = "FNMT"
class = "qualified"
subject = "etsi"
issuers = ["fnmt.pem"]
policies = ["1.3.6.1.4.1.5734.3.10.1"]
` + reach + `
[[authority]]
name = "FNMT, perfil antiguo"
class = "qualified"
subject = "common_name"
issuers = ["old.pem"]
policies = ["1.3.6.1.4.1.5734.3.5"]
` + reach
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.tb.Fatal(err)
	}
	list, err := OpenTrust(path)
	if err != nil {
		w.tb.Fatalf("OpenTrust: %v", err)
	}
	return list
}

// reach is what lets the door ask the world's machine.
func (w *world) reach() string {
	return `hosts = ["` + strings.TrimPrefix(w.server.URL, "http://") + `"]` + "\nnetworks = [\"127.0.0.0/8\"]\n"
}

// hurried is a trust list that waits for nobody longer than that.
func (w *world) hurried(wait time.Duration) *TrustList {
	w.tb.Helper()
	list := w.trust(w.reach())
	for _, a := range list.authorities {
		config := webOf(w)
		config.Timeout = wait
		web, err := newWeb(config)
		if err != nil {
			w.tb.Fatal(err)
		}
		a.web = web
	}
	return list
}

// attribute is one of a subject.
type attribute struct {
	kind  []int
	value string
}

func of(kind []int, value string) attribute { return attribute{kind, value} }

// The attributes of subjects, by their names in certificates.
func c(value string) attribute       { return of([]int{2, 5, 4, 6}, value) }
func serial(value string) attribute  { return of([]int{2, 5, 4, 5}, value) }
func sn(value string) attribute      { return of([]int{2, 5, 4, 4}, value) }
func gn(value string) attribute      { return of([]int{2, 5, 4, 42}, value) }
func cn(value string) attribute      { return of([]int{2, 5, 4, 3}, value) }
func o(value string) attribute       { return of([]int{2, 5, 4, 10}, value) }
func ou(value string) attribute      { return of([]int{2, 5, 4, 11}, value) }
func orgID(value string) attribute   { return of([]int{2, 5, 4, 97}, value) }
func pseudo(value string) attribute  { return of([]int{2, 5, 4, 65}, value) }
func spain(rest ...attribute) []byte { return named(append([]attribute{c("ES")}, rest...)...) }

// named is a subject in DER, each attribute in an RDN of its own.
func named(attributes ...attribute) []byte {
	var sequence pkix.RDNSequence
	for _, a := range attributes {
		sequence = append(sequence, pkix.RelativeDistinguishedNameSET{{Type: a.kind, Value: a.value}})
	}
	der, err := asn1.Marshal(sequence)
	if err != nil {
		panic(err)
	}
	return der
}

// oid reads an object identifier of the test.
func oid(s string) x509.OID {
	id, err := x509.ParseOID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// anaDNIe is as the DNI's authentication certificates are.
func anaDNIe(change func(*x509.Certificate)) *x509.Certificate {
	t := &x509.Certificate{
		RawSubject: spain(serial("12345678Z"), sn("NÚÑEZ"), gn("ANA"), cn("NÚÑEZ PÉREZ, ANA (AUTENTICACIÓN)")),
		KeyUsage:   x509.KeyUsageDigitalSignature, Policies: []x509.OID{oid("2.16.724.1.2.2.2.4")},
	}
	if change != nil {
		change(t)
	}
	return t
}

// anaFNMT is as the FNMT's certificates of natural persons are.
func anaFNMT(change func(*x509.Certificate)) *x509.Certificate {
	t := &x509.Certificate{
		RawSubject: spain(serial("IDCES-12345678Z"), gn("ANA"), sn("NÚÑEZ PÉREZ"), cn("NÚÑEZ PÉREZ ANA - 12345678Z")),
		KeyUsage:   x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{
			x509.ExtKeyUsageClientAuth,
		},
		Policies: []x509.OID{oid("1.3.6.1.4.1.5734.3.10.1"), oid("0.4.0.194112.1.0")},
	}
	if change != nil {
		change(t)
	}
	return t
}

// subjectOf changes the subject alone.
func subjectOf(attributes ...attribute) func(*x509.Certificate) {
	return func(t *x509.Certificate) { t.RawSubject = spain(attributes...) }
}

// down is a machine that is.
func down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }

// slow answers when nobody waits any more.
func slow(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	<-ctx.Done()
	w.WriteHeader(http.StatusServiceUnavailable)
}

// huge never ends.
func huge(w http.ResponseWriter, r *http.Request) {
	block := make([]byte, 64<<10)
	for r.Context().Err() == nil {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}
