package ca

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
)

var update = flag.Bool("update", false, "write the golden files")

func serviceRequest(public crypto.PublicKey) ServiceRequest {
	return ServiceRequest{
		Name:      Name{Country: "ES", Organisation: "Ayuntamiento de Ejemplo", OrganisationIdentifier: "VATES-P0000000A", CommonName: "Servicio 1"},
		PublicKey: public, NotBefore: now,
	}
}

func stampRequest(public crypto.PublicKey) ServiceRequest {
	r := serviceRequest(public)
	r.CRL = "http://pki.example.org/issuing-2026-1.crl"
	return r
}

// qualified is what a qualified provider would configure.
func qualified() *QcStatements {
	return &QcStatements{SSCD: true, Disclosures: []Disclosure{
		{URL: "https://pki.example.org/pds_en.pdf", Language: "en"}, {URL: "https://pki.example.org/pds_es.pdf", Language: "es"},
	}}
}

// with is another authority of the same certificate.
func (h hierarchy) with(tb testing.TB, change func(*Config)) hierarchy {
	tb.Helper()
	c := h.authority.Config
	change(&c)
	a, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	h.authority = a
	return h
}

// issued signs what was prepared.
func (h hierarchy) issued(tb testing.TB, p *Prepared, err error) *x509.Certificate {
	tb.Helper()
	if err != nil {
		tb.Fatalf("preparing: %v", err)
	}
	der, err := h.authority.Issue(p)
	if err != nil {
		tb.Fatalf("Issue: %v", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// certificates are one of each kind, and the citizen's in its fullest form.
func certificates(tb testing.TB) (hierarchy, map[string]*x509.Certificate) {
	tb.Helper()
	h := ecHierarchy(tb).with(tb, func(c *Config) { c.Addresses.OCSP = "http://pki.example.org/ocsp" })
	key := ecKey(tb, elliptic.P256()).Public()
	ocsp, err := h.authority.PrepareOCSP(serviceRequest(key))
	responder := h.issued(tb, ocsp, err)
	tsa, err := h.authority.PrepareTSA(stampRequest(key))
	return h, map[string]*x509.Certificate{
		"Root": h.root, "Issuing": h.authority.Certificate, "OCSPResponder": responder, "TimeStamping": h.issued(tb, tsa, err),
		"Citizen":           h.issue(tb, request(key)),
		"Citizen-qualified": h.with(tb, func(c *Config) { c.Profile.QcStatements = qualified() }).issue(tb, request(key)),
	}
}

// Each profile, whole: an element more, or another form, changes the text.
func TestGolden(t *testing.T) {
	t.Parallel()
	_, all := certificates(t)
	for _, k := range Kinds() {
		if all[k.Name] == nil {
			t.Errorf("no certificate of kind %s", k.Name)
		}
	}
	for name, c := range all {
		path := filepath.Join("testdata", name+".golden")
		got := dump(t, c)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if err := lint.Certificate(c.Raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// OpenSSL and crypto/x509 take each for what it is, and for nothing else;
// BouncyCastle builds a path to each.
func TestPurposes(t *testing.T) {
	t.Parallel()
	h, all := certificates(t)
	dir := directory(t.TempDir())
	root := dir.write(t, "root.pem", "CERTIFICATE", h.root.Raw)
	issuing := dir.write(t, "issuing.pem", "CERTIFICATE", h.authority.Certificate.Raw)
	for name, purpose := range map[string]string{"OCSPResponder": "ocsphelper", "TimeStamping": "timestampsign", "Citizen": "any", "Citizen-qualified": "any"} {
		file := dir.write(t, name+".pem", "CERTIFICATE", all[name].Raw)
		as := func(purpose string) []string {
			return []string{
				"verify", "-x509_strict", "-check_ss_sig", "-attime", "1773144001", "-CAfile", root, "-untrusted", issuing,
				"-purpose", purpose, file,
			}
		}
		openssl(t, as(purpose)...)
		if name != "TimeStamping" {
			opensslFails(t, as("timestampsign")...)
		}
		path := bouncycastle.Chain{Root: h.root, Intermediates: []*x509.Certificate{h.authority.Certificate}, Leaf: all[name], At: now.Add(time.Hour)}
		if err := bouncycastle.Path(t, path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if purpose != "any" { // to OpenSSL, a person without purposes may be a server
			opensslFails(t, as("sslserver")...)
		}
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(h.root)
	intermediates.AddCert(h.authority.Certificate)
	for name, usage := range map[string]x509.ExtKeyUsage{"OCSPResponder": x509.ExtKeyUsageOCSPSigning, "TimeStamping": x509.ExtKeyUsageTimeStamping} {
		for other, want := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageOCSPSigning: true, x509.ExtKeyUsageTimeStamping: true, x509.ExtKeyUsageEmailProtection: false} {
			_, err := all[name].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now.Add(time.Hour), KeyUsages: []x509.ExtKeyUsage{other}})
			if ok := err == nil; ok != (want && other == usage) {
				t.Errorf("%s for usage %d: got %v", name, other, err)
			}
		}
	}
}

func TestServiceValidity(t *testing.T) {
	t.Parallel()
	h, all := certificates(t)
	day := 24 * time.Hour
	from := now.Truncate(time.Second)
	if got, want := all["OCSPResponder"].NotAfter, from.Add(90*day); !got.Equal(want) {
		t.Errorf("end of a responder: got %v, want %v", got, want)
	}
	if got, want := all["TimeStamping"].NotAfter, from.AddDate(8, 0, 0); !got.Equal(want) {
		t.Errorf("end of a time-stamping unit: got %v, want %v", got, want)
	}
	late := h.authority.Certificate.NotAfter.Add(-30 * day)
	for name, tc := range map[string]struct {
		certificate *x509.Certificate
		change      func(*ServiceRequest)
		end, key    time.Time
	}{
		"three years of use": {certificate: all["TimeStamping"], end: from.AddDate(8, 0, 0), key: from.AddDate(3, 0, 0)},
		"no period named":    {certificate: all["OCSPResponder"], end: from.Add(90 * day), key: from.Add(90 * day)},
		"issuer ends first":  {change: func(r *ServiceRequest) { r.NotBefore = late }, end: late.Add(30 * day), key: late.Add(15 * day)},
		"as asked":           {change: func(r *ServiceRequest) { r.NotAfter = from.Add(90 * day) }, end: from.Add(90 * day), key: from.Add(45 * day)},
	} {
		if tc.change != nil {
			r := stampRequest(ecKey(t, elliptic.P256()).Public())
			tc.change(&r)
			p, err := h.authority.PrepareTSA(r)
			tc.certificate = h.issued(t, p, err)
		}
		end, err := KeyEnd(tc.certificate)
		if err != nil || !end.Equal(tc.key) || !tc.certificate.NotAfter.Equal(tc.end) {
			t.Errorf("%s: got end %v, of the key %v, %v, want %v and %v", name, tc.certificate.NotAfter, end, err, tc.end, tc.key)
		}
	}
}

func BenchmarkPrepareAndIssue(b *testing.B) {
	h := ecHierarchy(b)
	public := ecKey(b, elliptic.P256()).Public()
	for b.Loop() {
		h.issue(b, request(public))
	}
}

func BenchmarkPrepareRSA(b *testing.B) {
	h := newHierarchy(b, rsaKey(b, 4096), rsaKey(b, 3072))
	public := rsaKey(b, 3072).Public()
	for b.Loop() {
		if _, err := h.authority.Prepare(request(public)); err != nil {
			b.Fatal(err)
		}
	}
}
