package pages_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/api/presenting"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// issuer issues certificates that are too short-lived to be revoked (EN 319
// 412-1, section 5.2): nobody has to be asked about them.
type issuer struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newIssuer(t *testing.T) issuer {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{Country: []string{"ES"}, CommonName: "AC de pruebas"}, SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	i := issuer{}
	i.key, i.certificate = certified(t, template, issuer{certificate: template})
	return i
}

func certified(t *testing.T, template *x509.Certificate, by issuer) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by.key == nil {
		by.key = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, c
}

// person is a certificate of Ana, for an hour, with that common name.
func (i issuer) person(t *testing.T, commonName string) *tls.Certificate {
	t.Helper()
	policy, err := x509.ParseOID("1.3.6.1.4.1.5734.3.10.1")
	if err != nil {
		t.Fatal(err)
	}
	key, c := certified(t, &x509.Certificate{
		Subject: pkix.Name{Country: []string{"ES"}, SerialNumber: "IDCES-12345678Z", CommonName: commonName, ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 42}, Value: "ANA"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 4}, Value: "NÚÑEZ PÉREZ"},
		}},
		SerialNumber: big.NewInt(2), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, Policies: []x509.OID{policy},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{0, 4, 0, 194121, 2, 1}, Value: asn1.NullBytes}},
	}, i)
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}

// signs is an office that signs whatever it is given.
type signs struct{ acts atomic.Int64 }

func (s *signs) Sign(any) (citizen.Act, error) {
	s.acts.Add(1)
	return citizen.Act{JWS: "signed"}, nil
}

// doorway is a certificate door that listens, and what its signer says.
type doorway struct {
	*httptest.Server
	*signs

	issuer  issuer
	refusal atomic.Pointer[policies.Refusal]
}

// deafLog takes everything.
type deafLog struct{}

func (deafLog) RecordAudit(context.Context, audit.Entry) (int64, error) { return 1, nil }

const publicSide = "https://firma.example.es"

func newDoorway(t *testing.T) *doorway {
	t.Helper()
	d := &doorway{signs: &signs{}, issuer: newIssuer(t)}
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"ca.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.issuer.certificate.Raw}),
		"trust.toml": []byte("[[authority]]\nname = \"Pruebas\"\nclass = \"qualified\"\nsubject = \"etsi\"\n" +
			"issuers = [\"ca.pem\"]\npolicies = [\"1.3.6.1.4.1.5734.3.10.1\"]\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust, err := presenting.OpenTrust(filepath.Join(dir, "trust.toml"))
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	door, err := presenting.New(presenting.Config{
		Trust: trust, Office: d.signs, Recorder: deafLog{}, ServiceURL: publicSide, Logger: logger, Now: time.Now,
		Perform: func(context.Context, citizen.Act) (string, error) {
			if refusal := d.refusal.Load(); refusal != nil {
				return "", refusal
			}
			return "one-time", nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	words, drawn := shared(t)
	rooms := pages.NewCertificateDoor(pages.CertificateDoorConfig{Pages: drawn, Presenting: door, ServiceURL: publicSide, Now: time.Now})
	d.Server = httptest.NewUnstartedServer(nil)
	site, err := api.New(api.Config{
		PublicURL: "https://" + d.Listener.Addr().String(), Catalogue: words, ErrorPage: rooms.Trouble, Rooms: []func(*api.Site){rooms.Room},
		Limits: api.DefaultLimits(), Logger: logger, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Config.Handler, d.Config.ErrorLog = site, slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	d.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert, ClientCAs: trust.Authorities(), SessionTicketsDisabled: true}
	d.StartTLS()
	t.Cleanup(d.Close)
	return d
}

// visitor is a browser with a certificate, or none, that follows no redirects.
func (d *doorway) visitor(t *testing.T, c *tls.Certificate) func(method, path string, fields url.Values, origin string) (*http.Response, string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(d.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c == nil {
				return &tls.Certificate{}, nil
			}
			return c, nil
		},
	}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(method, path string, fields url.Values, origin string) (*http.Response, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, d.URL+path, strings.NewReader(fields.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Language", "es")
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if origin != "" {
			request.Header.Set("Origin", origin)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close() //nolint:errcheck // it was only read
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(body)
	}
}

// errand is one of a test, as address and as form.
func errand(procedure presenting.Procedure) (path string, fields url.Values) {
	e := presenting.Errand{Challenge: sha256.Sum256([]byte("verifier")), Procedure: procedure}
	return pages.PresentURL("", e), url.Values{"desafio": {e.Encode()}, "tramite": {string(procedure)}}
}

// TestCertificateDoor goes through the door as a citizen does.
func TestCertificateDoor(t *testing.T) {
	t.Parallel()
	d := newDoorway(t)
	ask := d.visitor(t, d.issuer.person(t, "NÚÑEZ PÉREZ ANA - 12345678Z"))
	path, fields := errand(presenting.Registration)
	response, page := ask(http.MethodGet, path, nil, "")
	for _, want := range []string{"¿Es usted quien dice este certificado?", "ANA NÚÑEZ PÉREZ", "12345678Z", "Emitido por AC de pruebas", `value="registro"`} {
		if response.StatusCode != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("got %d without %q: %s", response.StatusCode, want, page)
		}
	}
	if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' "+publicSide+";") {
		t.Errorf("policy: got %q, want the way back open to the form", policy)
	}
	if got := d.acts.Load(); got != 0 {
		t.Errorf("the office signed %d acts before anybody continued, want none", got)
	}
	response, _ = ask(http.MethodPost, pages.PresentPath, fields, d.URL)
	if got, want := response.Header.Get("Location"), publicSide+"/certificado-presentado?codigo=one-time&tramite=registro"; response.StatusCode != http.StatusSeeOther || got != want {
		t.Errorf("continue: got %d to %q, want %q", response.StatusCode, got, want)
	}
	if got := d.acts.Load(); got != 1 {
		t.Errorf("the office signed %d acts, want one", got)
	}

	if response, _ = ask(http.MethodPost, pages.PresentPath, fields, "https://evil.example"); response.StatusCode != http.StatusBadRequest {
		t.Errorf("form of another site: got %d, want it refused", response.StatusCode)
	}
	for _, wrong := range []string{"/certificado", "/certificado?desafio=x&tramite=acceso", strings.Replace(path, "registro", "otro", 1)} {
		if response, _ = ask(http.MethodGet, wrong, nil, ""); response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got %d, want it refused", wrong, response.StatusCode)
		}
	}
	if response, _ = ask(http.MethodPost, pages.PresentPath, url.Values{"tramite": {"registro"}}, d.URL); response.StatusCode != http.StatusBadRequest {
		t.Errorf("form without a challenge: got %d, want it refused", response.StatusCode)
	}
	d.refusal.Store(policies.Refuse(policies.Unavailable))
	if response, page = ask(http.MethodPost, pages.PresentPath, fields, d.URL); response.StatusCode != http.StatusServiceUnavailable || strings.Contains(page, "certificado no") {
		t.Errorf("without a signer: got %d, want it told as no fault of the certificate", response.StatusCode)
	}
	if response, _ = ask(http.MethodGet, "/", nil, ""); response.Header.Get("Location") != publicSide {
		t.Errorf("front page: got to %q, want to the service", response.Header.Get("Location"))
	}
}

// TestRefusedCertificates tells each what is wrong and what to do, by GET and by
// POST.
func TestRefusedCertificates(t *testing.T) {
	t.Parallel()
	d := newDoorway(t)
	stranger := newIssuer(t)
	for name, test := range map[string]struct {
		certificate *tls.Certificate
		procedure   presenting.Procedure
		says        string
	}{
		"none":         {nil, presenting.Entrance, "No se ha presentado ningún certificado"},
		"stranger":     {stranger.person(t, "NÚÑEZ PÉREZ ANA"), presenting.Entrance, "no es de una autoridad admitida"},
		"two numbers":  {d.issuer.person(t, "NÚÑEZ PÉREZ ANA - 87654321X"), presenting.Entrance, "se contradicen"},
		"organisation": {d.issuer.person(t, "12345678Z ANA NÚÑEZ (R: B12345674)"), presenting.Entrance, "representa a una organización"},
		"not a DNIe":   {d.issuer.person(t, "NÚÑEZ PÉREZ ANA"), presenting.Renewal, "DNI electrónico"},
	} {
		ask := d.visitor(t, test.certificate)
		path, fields := errand(test.procedure)
		for method, at := range map[string]string{http.MethodGet: path, http.MethodPost: pages.PresentPath} {
			response, page := ask(method, at, fields, d.URL)
			if response.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, test.says) || !strings.Contains(page, publicSide+pages.OfficesPath) {
				t.Errorf("%s, %s: got %d, want it told %q and where to go: %s", name, method, response.StatusCode, test.says, page)
			}
		}
	}
	if got := d.acts.Load(); got != 0 {
		t.Errorf("the office signed %d acts, want none", got)
	}
}
