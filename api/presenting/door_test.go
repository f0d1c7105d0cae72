package presenting

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ocsp"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
)

func webOf(w *world) augment.WebConfig {
	return augment.WebConfig{Hosts: []string{strings.TrimPrefix(w.server.URL, "http://")}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

func newWeb(c augment.WebConfig) (*augment.Web, error) { return augment.NewWeb(c) }

// pen signs as an office does, and shows what.
type pen struct{ last atomic.Pointer[wireAct] }

func (p *pen) Sign(wanted any) (citizen.Act, error) {
	act, ok := wanted.(wireAct)
	if !ok {
		return citizen.Act{}, errors.New("not an act of this door")
	}
	p.last.Store(&act)
	return citizen.Act{Office: "office", JWS: "signed"}, nil
}

// ledger keeps what the door records.
type ledger struct {
	mu      sync.Mutex
	entries []audit.Entry
}

func (l *ledger) RecordAudit(_ context.Context, e audit.Entry) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	return int64(len(l.entries)), nil
}

// open makes a door over a trust list.
func open(tb testing.TB, w *world, trust *TrustList) (*Door, *pen) {
	tb.Helper()
	p := &pen{}
	d, err := New(Config{
		Trust: trust, Office: p, Recorder: &ledger{}, ServiceURL: "https://firma.example.es", Logger: slog.New(slog.DiscardHandler), Now: w.now,
		Perform: func(_ context.Context, act citizen.Act) (string, error) {
			if act.JWS != "signed" {
				return "", policies.Refuse(policies.OfficeActInvalid)
			}
			return "one-time", nil
		},
	})
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	return d, p
}

// outcome is what the door says to whoever shows a certificate.
type outcome struct{ Code, Reason, Identifier, Name, Class, Source string }

// show is a TLS connection with a certificate, judged at the other end.
func show(tb testing.TB, d *Door, p *party, e Errand) outcome {
	tb.Helper()
	got, err := handshake(tb, d, p, e, tls.VersionTLS13)
	if err != nil {
		tb.Fatalf("showing the certificate: %v", err)
	}
	return got
}

func handshake(tb testing.TB, d *Door, p *party, e Errand, version uint16) (outcome, error) {
	tb.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := d.Look(r, e)
		out := outcome{Identifier: s.Identifier.String(), Name: s.Name.Given() + "|" + s.Name.Surnames(), Class: string(s.Class), Source: s.Source}
		if refusal := (*policies.Refusal)(nil); errors.As(err, &refusal) {
			out = outcome{Code: string(refusal.Code), Reason: refusal.Params["reason"]}
		} else if err != nil {
			out = outcome{Code: err.Error()}
		}
		if err := json.NewEncoder(w).Encode(out); err != nil {
			tb.Error(err)
		}
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert, ClientCAs: d.Trust.List(tb.Context()).Authorities(), SessionTicketsDisabled: true}
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		tb.Fatal("the test client's transport is another")
	}
	transport.TLSClientConfig.MaxVersion = version
	if p != nil {
		// A browser would keep back what the server does not ask for; an attacker
		// does not.
		transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &tls.Certificate{Certificate: [][]byte{p.certificate.Raw}, PrivateKey: p.key}, nil
		}
	}
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		return outcome{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return outcome{}, err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	var got outcome
	return got, json.NewDecoder(response.Body).Decode(&got)
}

func entering() Errand {
	return Errand{Challenge: sha256.Sum256([]byte("verifier")), Procedure: Entrance}
}

func untrustedFor(reason string) outcome {
	return outcome{Code: string(policies.CertificateUntrusted), Reason: reason}
}

func unreadableFor(reason string) outcome {
	return outcome{Code: string(policies.CertificateUnreadable), Reason: reason}
}

// TestLook shows certificates to a door over real connections.
func TestLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := open(t, w, w.trust(w.reach()))
	anaOf := func(class, source string) outcome {
		return outcome{Identifier: "12345678Z", Name: "ANA|NÚÑEZ PÉREZ", Class: class, Source: source}
	}
	old := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.RawSubject = spain(gn("ANA"), sn("NÚÑEZ PÉREZ"), cn(name))
			c.Policies = []x509.OID{oid("1.3.6.1.4.1.5734.3.5")}
		}
	}
	for name, test := range map[string]struct {
		by       *desk
		template *x509.Certificate
		want     outcome
	}{
		"dnie": {w.sub, anaDNIe(nil), anaOf("dnie", SourceOCSP)},
		"dnie, one surname": {
			w.sub, anaDNIe(subjectOf(serial("12345678Z"), sn("SMITH"), gn("JOHN PAUL"), cn("SMITH, JOHN PAUL (AUTENTICACIÓN)"))),
			outcome{Identifier: "12345678Z", Name: "JOHN PAUL|SMITH", Class: "dnie", Source: SourceOCSP},
		},
		"dnie, version of its practices": {
			w.sub, anaDNIe(func(c *x509.Certificate) { c.Policies = []x509.OID{oid("2.16.724.1.2.2.2.4.1.2")} }), anaOf("dnie", SourceOCSP),
		},
		"dnie, signature certificate": {w.sub, anaDNIe(func(c *x509.Certificate) {
			c.Policies, c.KeyUsage = []x509.OID{oid("2.16.724.1.2.2.2.3")}, x509.KeyUsageContentCommitment
		}), untrustedFor(reasonUsage)},
		"dnie, signature certificate with the policy of authentication": {w.sub, anaDNIe(func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageContentCommitment
		}), untrustedFor(reasonUsage)},
		"dnie, policy that only begins alike": {w.sub, anaDNIe(func(c *x509.Certificate) {
			c.Policies = []x509.OID{oid("2.16.724.1.2.2.2.41")}
		}), untrustedFor(reasonUsage)},
		"dnie, surname of another": {
			w.sub, anaDNIe(subjectOf(serial("12345678Z"), sn("GIL"), gn("ANA"), cn("NÚÑEZ PÉREZ, ANA (AUTENTICACIÓN)"))), unreadableFor(reasonName),
		},
		"fnmt": {w.fnmt, anaFNMT(nil), anaOf("qualified", SourceOCSP)},
		"fnmt, NIE": {
			w.fnmt, anaFNMT(subjectOf(serial("IDCES-X1234567L"), gn("JOÃO"), sn("DA SILVA"), cn("DA SILVA JOÃO - X1234567L"))),
			outcome{Identifier: "X1234567L", Name: "JOÃO|DA SILVA", Class: "qualified", Source: SourceOCSP},
		},
		"fnmt, for servers": {w.fnmt, anaFNMT(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), untrustedFor(reasonUsage)},
		"fnmt, representative": {w.fnmt, anaFNMT(subjectOf(
			orgID("VATES-B12345674"), o("EJEMPLO SL"), serial("IDCES-12345678Z"), gn("ANA"), sn("NÚÑEZ PÉREZ"), cn("12345678Z ANA NÚÑEZ (R: B12345674)"),
		)), unreadableFor(reasonOrganisation)},
		"fnmt, representative by the name alone": {w.fnmt, anaFNMT(subjectOf(
			serial("IDCES-12345678Z"), gn("ANA"), sn("NÚÑEZ PÉREZ"), cn("12345678Z ANA NÚÑEZ (R: B12345674)"),
		)), unreadableFor(reasonOrganisation)},
		"fnmt, public employee": {w.fnmt, anaFNMT(subjectOf(
			o("AYUNTAMIENTO DE GIJÓN"), ou("CERTIFICADO ELECTRONICO DE EMPLEADO PUBLICO"), serial("IDCES-12345678Z"), gn("ANA"), sn("NÚÑEZ PÉREZ - DNI 12345678Z"),
			cn("NÚÑEZ PÉREZ ANA - DNI 12345678Z"),
		)), unreadableFor(reasonOrganisation)},
		"fnmt, pseudonym": {
			w.fnmt, anaFNMT(subjectOf(serial("IDCES-12345678Z"), gn("ANA"), sn("NÚÑEZ"), pseudo("JUEZ 4"), cn("JUEZ 4"))), unreadableFor(reasonIdentifier),
		},
		"forged DNI in the common name": {
			w.fnmt, anaFNMT(subjectOf(serial("IDCES-12345678Z"), gn("ANA"), sn("NÚÑEZ PÉREZ"), cn("NÚÑEZ PÉREZ ANA - 87654321X"))), unreadableFor(reasonConflict),
		},
		"DNI in the common name alone": {
			w.fnmt, anaFNMT(subjectOf(gn("ANA"), sn("NÚÑEZ PÉREZ"), cn("NÚÑEZ PÉREZ ANA - 12345678Z"))), unreadableFor(reasonIdentifier),
		},
		"two serial numbers": {
			w.fnmt, anaFNMT(subjectOf(serial("IDCES-87654321X"), serial("IDCES-12345678Z"), gn("ANA"), sn("NÚÑEZ PÉREZ"), cn("NÚÑEZ PÉREZ ANA"))), unreadableFor(reasonConflict),
		},
		"passport": {
			w.fnmt, anaFNMT(subjectOf(serial("PASES-AAA123456"), gn("ANA"), sn("NÚÑEZ PÉREZ"), cn("NÚÑEZ PÉREZ ANA"))), unreadableFor(reasonIdentifier),
		},
		"wrong letter": {
			w.fnmt, anaFNMT(subjectOf(serial("IDCES-12345678A"), gn("ANA"), sn("NÚÑEZ PÉREZ"), cn("NÚÑEZ PÉREZ ANA"))), unreadableFor(reasonIdentifier),
		},
		"right-to-left mark in the name": {
			w.fnmt, anaFNMT(subjectOf(serial("IDCES-12345678Z"), gn("ANA\u202e"), sn("NÚÑEZ PÉREZ"), cn("NÚÑEZ PÉREZ ANA"))), unreadableFor(reasonName),
		},
		"name of 300 characters": {
			w.fnmt, anaFNMT(subjectOf(serial("IDCES-12345678Z"), gn(strings.Repeat("A", 300)), sn("NÚÑEZ PÉREZ"), cn("NÚÑEZ PÉREZ ANA"))), unreadableFor(reasonName),
		},
		"another country": {w.fnmt, anaFNMT(func(t *x509.Certificate) {
			t.RawSubject = named(c("PT"), serial("IDCES-12345678Z"), gn("ANA"), sn("NÚÑEZ PÉREZ"), cn("NÚÑEZ PÉREZ ANA"))
		}), unreadableFor(reasonIdentifier)},
		"old profile":          {w.old, anaFNMT(old("NÚÑEZ PÉREZ ANA - 12345678Z")), anaOf("qualified", SourceOCSP)},
		"old profile with NIF": {w.old, anaFNMT(old("NOMBRE NÚÑEZ PÉREZ ANA - NIF 12345678Z")), anaOf("qualified", SourceOCSP)},
		"old profile, nobody":  {w.old, anaFNMT(old("NÚÑEZ PÉREZ ANA")), unreadableFor(reasonIdentifier)},
		"old profile, two numbers": {
			w.old, anaFNMT(old("NÚÑEZ PÉREZ ANA 87654321X - 12345678Z")), unreadableFor(reasonConflict),
		},
		"expired": {w.fnmt, anaFNMT(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().AddDate(-4, 0, 0), time.Now().Add(-time.Minute)
		}), untrustedFor(reasonExpired)},
		"not valid yet": {w.fnmt, anaFNMT(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().AddDate(4, 0, 0)
		}), untrustedFor(reasonEarly)},
		"authority with the same name": {w.others, anaDNIe(nil), untrustedFor(reasonAuthority)},
		"the root itself issued it":    {w.dnie, anaDNIe(nil), untrustedFor(reasonAuthority)},
		"another authority's policy":   {w.sub, anaFNMT(nil), untrustedFor(reasonUsage)},
		"an authority":                 {w.fnmt, anaFNMT(func(c *x509.Certificate) { c.IsCA = true }), untrustedFor(reasonUsage)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := w.issue(test.by, test.template)
			if got := show(t, d, &p, entering()); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestNoCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := open(t, w, w.trust(w.reach()))
	if got, want := show(t, d, nil, entering()), untrustedFor(reasonMissing); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	selfSigned := anaDNIe(nil)
	selfSigned.NotBefore, selfSigned.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	alone := party{key: newKey(t)}
	alone.certificate = w.sign(selfSigned, selfSigned, alone.key.Public(), alone.key)
	if got, want := show(t, d, &alone, entering()), untrustedFor(reasonAuthority); got != want {
		t.Errorf("self-signed: got %+v, want %+v", got, want)
	}
}

// TestStolenCertificate: a certificate is public, its key is not.
func TestStolenCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := open(t, w, w.trust(w.reach()))
	stolen := party{key: newKey(t), certificate: w.issue(w.sub, anaDNIe(nil)).certificate}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if got, err := handshake(t, d, &stolen, entering(), version); err == nil {
			t.Errorf("%s: got %+v, want no connection", tls.VersionName(version), got)
		}
	}
	mine := w.issue(w.sub, anaDNIe(nil)) // cards that know no RSA-PSS need the older version
	if got, err := handshake(t, d, &mine, entering(), tls.VersionTLS12); err != nil || got.Identifier != "12345678Z" {
		t.Errorf("TLS 1.2: got %+v, %v, want Ana", got, err)
	}
}

func TestProcedures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := open(t, w, w.trust(w.reach()))
	dnie, fnmt := w.issue(w.sub, anaDNIe(nil)), w.issue(w.fnmt, anaFNMT(nil))
	for _, procedure := range Procedures() {
		e := Errand{Procedure: procedure}
		if got := show(t, d, &dnie, e); got.Class != "dnie" {
			t.Errorf("%s with a DNIe: got %+v, want it taken", procedure, got)
		}
		got := show(t, d, &fnmt, e)
		if refused := got.Code == string(policies.DNIeRequired); refused != (procedure == Renewal) {
			t.Errorf("%s with another certificate: got %+v, want it refused for a renewal alone", procedure, got)
		}
	}
}

// TestRevocation bends what the authority says, and what stands between.
func TestRevocation(t *testing.T) {
	t.Parallel()
	unknown := outcome{Code: string(policies.RevocationUnknown)}
	revoked := untrustedFor(reasonRevoked)
	good := func(source string) outcome {
		return outcome{Identifier: "12345678Z", Name: "ANA|NÚÑEZ PÉREZ", Class: "qualified", Source: source}
	}
	never := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, test := range map[string]struct {
		bend func(w *world, d *desk, serial *big.Int)
		want outcome
	}{
		"good":                     {func(*world, *desk, *big.Int) {}, good(SourceOCSP)},
		"revoked":                  {func(_ *world, d *desk, s *big.Int) { d.revoked[s.String()] = true }, revoked},
		"suspended":                {func(_ *world, d *desk, _ *big.Int) { d.answer = hold }, revoked},
		"OCSP down, list good":     {func(_ *world, d *desk, _ *big.Int) { d.ocsp = down }, good(SourceCRL)},
		"OCSP cut, list good":      {func(_ *world, d *desk, _ *big.Int) { d.ocsp = never }, good(SourceCRL)},
		"OCSP down, list names it": {func(_ *world, d *desk, s *big.Int) { d.ocsp, d.revoked[s.String()] = down, true }, revoked},
		"both down":                {func(_ *world, d *desk, _ *big.Int) { d.ocsp, d.crl = down, down }, unknown},
		"slow answers":             {func(_ *world, d *desk, _ *big.Int) { d.ocsp = slow }, good(SourceCRL)},
		"all slow":                 {func(_ *world, d *desk, _ *big.Int) { d.ocsp, d.crl = slow, slow }, unknown},
		"huge answers":             {func(_ *world, d *desk, _ *big.Int) { d.ocsp, d.crl = huge, huge }, unknown},
		"elsewhere": {func(_ *world, d *desk, _ *big.Int) {
			d.ocsp = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
			}
			d.crl = d.ocsp
		}, unknown},
		"the authority does not know it": {func(_ *world, d *desk, _ *big.Int) {
			d.answer = func(a *ocsp.Response) { a.Status = ocsp.Unknown }
		}, unknown},
		"responder of another authority": {func(w *world, d *desk, _ *big.Int) { d.responder, d.crl = w.others.responder, down }, unknown},
		"answer about another": {func(_ *world, d *desk, _ *big.Int) {
			d.answer, d.crl = func(a *ocsp.Response) { a.SerialNumber = big.NewInt(7) }, down
		}, unknown},
		"old answer": {func(_ *world, d *desk, _ *big.Int) {
			d.answer, d.crl = func(a *ocsp.Response) { a.NextUpdate = a.ThisUpdate.Add(-time.Minute) }, down
		}, unknown},
		"answer of a time to come": {func(_ *world, d *desk, _ *big.Int) {
			d.answer, d.crl = func(a *ocsp.Response) { a.ThisUpdate = a.ThisUpdate.Add(time.Hour) }, down
		}, unknown},
		"old list": {func(_ *world, d *desk, _ *big.Int) {
			d.ocsp = down
			d.list = func(l *x509.RevocationList) {
				l.ThisUpdate, l.NextUpdate = l.ThisUpdate.AddDate(0, 0, -2), l.ThisUpdate.AddDate(0, 0, -1)
			}
		}, unknown},
		"list of another authority": {func(w *world, d *desk, _ *big.Int) {
			d.ocsp = down
			d.crl = func(rw http.ResponseWriter, _ *http.Request) { write(rw, w.crl(w.others)) }
		}, unknown},
		"no answers but noise": {func(_ *world, d *desk, _ *big.Int) {
			d.ocsp = func(w http.ResponseWriter, _ *http.Request) { write(w, []byte("hola")) }
			d.crl = d.ocsp
		}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d, _ := open(t, w, w.hurried(300*time.Millisecond))
			p := w.issue(w.fnmt, anaFNMT(nil))
			w.change(func() { test.bend(w, w.fnmt, p.certificate.SerialNumber) })
			awake := cputest.Awake(t)
			if got := show(t, d, &p, entering()); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if took := awake(); took > 5*time.Second {
				t.Errorf("took %v, want nobody waited for so long", took)
			}
		})
	}
}

func hold(a *ocsp.Response) {
	a.Status, a.RevokedAt, a.RevocationReason = ocsp.Revoked, time.Now().Add(-time.Hour), ocsp.CertificateHold
}

// TestAuthorityRevoked: what the root took back vouches for nobody.
func TestAuthorityRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := open(t, w, w.trust(w.reach()))
	p := w.issue(w.sub, anaDNIe(nil))
	w.change(func() { w.dnie.revoked[w.sub.certificate.SerialNumber.String()] = true })
	if got, want := show(t, d, &p, entering()), untrustedFor(reasonRevoked); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestResponderOfTheList: the list may name a responder that the issuer did not
// certify, and one that may be revoked is looked up.
func TestResponders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	trust := w.trust(w.reach())
	d, _ := open(t, w, trust)
	w.change(func() { w.fnmt.responder, w.fnmt.crl = w.others.responder, down })
	trust.authorities[1].responders = []*x509.Certificate{w.others.responder.certificate}
	p := w.issue(w.fnmt, anaFNMT(nil))
	if got := show(t, d, &p, entering()); got.Source != SourceOCSP {
		t.Errorf("responder of the list: got %+v, want it believed", got)
	}

	delegate := w.issue(w.old, &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}})
	w.change(func() { w.old.responder = delegate })
	oldProfile := func(c *x509.Certificate) {
		c.RawSubject, c.Policies = spain(gn("ANA"), sn("NÚÑEZ"), cn("NÚÑEZ ANA - 12345678Z")), []x509.OID{oid("1.3.6.1.4.1.5734.3.5")}
	}
	p = w.issue(w.old, anaFNMT(oldProfile))
	if got := show(t, d, &p, entering()); got.Source != SourceOCSP {
		t.Errorf("responder that can be revoked: got %+v, want it believed", got)
	}
	w.change(func() { w.old.revoked[delegate.certificate.SerialNumber.String()] = true })
	d, _ = open(t, w, trust)
	if got := show(t, d, &p, entering()); got.Source != SourceCRL {
		t.Errorf("responder that was revoked: got %+v, want the list asked instead", got)
	}
}

// TestForbiddenAddresses: certificates write addresses, the list says which are
// reached.
func TestForbiddenAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	host := strings.TrimPrefix(w.server.URL, "http://")
	unknown := outcome{Code: string(policies.RevocationUnknown)}
	for name, reach := range map[string]string{
		"no host":                  "",
		"another host":             `hosts = ["ocsp.example.es"]` + "\nnetworks = [\"127.0.0.0/8\"]\n",
		"host inside, network not": `hosts = ["` + host + `"]` + "\n",
	} {
		p := w.issue(w.fnmt, anaFNMT(nil))
		d, _ := open(t, w, w.trust(reach))
		before := w.count("/ocsp/fnmt") + w.count("/crl/fnmt")
		if got := show(t, d, &p, entering()); got != unknown {
			t.Errorf("%s: got %+v, want %+v", name, got, unknown)
		}
		if got := w.count("/ocsp/fnmt") + w.count("/crl/fnmt"); got != before {
			t.Errorf("%s: the machine was asked %d times, want never", name, got-before)
		}
	}
	inside := w.issue(w.fnmt, anaFNMT(func(c *x509.Certificate) {
		c.OCSPServer, c.CRLDistributionPoints = []string{"http://10.0.0.1/ocsp", "file:///etc/passwd"}, []string{"http://169.254.169.254/latest", "ldap://ldap.example.es/cn=crl"}
	}))
	d, _ := open(t, w, w.trust(w.reach()))
	if got := show(t, d, &inside, entering()); got != unknown {
		t.Errorf("addresses inside: got %+v, want %+v", got, unknown)
	}
	d, _ = open(t, w, w.trust(w.reach()+`ocsp = ["`+w.server.URL+`/ocsp/fnmt"]`+"\n"))
	if got := show(t, d, &inside, entering()); got.Source != SourceOCSP {
		t.Errorf("address of the list: got %+v, want it asked instead", got)
	}
}

// TestStrangersFetchNothing: who is of no authority of the list has the door ask
// nobody.
func TestStrangersFetchNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := open(t, w, w.trust(w.reach()))
	p := w.issue(w.others, anaDNIe(nil))
	show(t, d, &p, entering())
	if got := w.count("/ocsp/otra") + w.count("/crl/otra"); got != 0 {
		t.Errorf("the stranger's machine was asked %d times, want never", got)
	}
}

// TestKept: what was said is kept for a while and no longer.
func TestKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := open(t, w, w.trust(w.reach()))
	p := w.issue(w.fnmt, anaFNMT(nil))
	for range 3 {
		show(t, d, &p, entering())
	}
	if got := w.count("/ocsp/fnmt"); got != 1 {
		t.Errorf("asked %d times within minutes, want once", got)
	}
	w.change(func() { w.ahead, w.fnmt.revoked[p.certificate.SerialNumber.String()] = keepStatus+time.Second, true })
	if got, want := show(t, d, &p, entering()), untrustedFor(reasonRevoked); got != want {
		t.Errorf("after that: got %+v, want %+v", got, want)
	}

	w.change(func() { w.fnmt.ocsp = down })
	for range 3 {
		next := w.issue(w.fnmt, anaFNMT(nil))
		if got := show(t, d, &next, entering()); got.Source != SourceCRL {
			t.Fatalf("got %+v, want it of the list", got)
		}
	}
	if got := w.count("/crl/fnmt"); got != 1 {
		t.Errorf("the list was fetched %d times, want once", got)
	}
}

// TestOldAnswers: without our nonce an answer may be a repeated one.
func TestOldAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := open(t, w, w.trust(w.reach()))
	w.change(func() { w.ahead, w.fnmt.crl = maxAnswerAge+time.Hour, down })
	p := w.issue(w.fnmt, anaFNMT(nil))
	if got, want := show(t, d, &p, entering()), (outcome{Code: string(policies.RevocationUnknown)}); got != want {
		t.Errorf("answer of yesterday: got %+v, want %+v", got, want)
	}
}

// requestWith is one over a connection whose handshake showed the certificate.
func requestWith(tb testing.TB, c *x509.Certificate) *http.Request {
	tb.Helper()
	request := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/", http.NoBody)
	request.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}
	return request
}

func TestHandOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, pen := open(t, w, w.trust(w.reach()))
	p := w.issue(w.sub, anaDNIe(nil))
	shown, err := d.Look(requestWith(t, p.certificate), entering())
	if err != nil {
		t.Fatal(err)
	}
	address, err := d.HandOver(t.Context(), shown, entering())
	if want := "https://firma.example.es/certificado-presentado?codigo=one-time&tramite=acceso"; err != nil || address != want {
		t.Errorf("got %q, %v, want %q", address, err, want)
	}
	act := pen.last.Load()
	want := wireAct{
		Act: "present_certificate", Officer: "certificate-door", Challenge: entering().Encode(), Procedure: Entrance,
		Certificate: wireCertificate{DER: p.certificate.Raw, Class: DNIe, Identifier: "12345678Z", GivenName: "ANA", Surnames: "NÚÑEZ PÉREZ"},
		Evidence: wireEvidence{
			Authority: "DNI electrónico", Policy: "2.16.724.1.2.2.2.4", Revocation: "ocsp", CheckedAt: shown.At.UTC().Format(time.RFC3339),
		},
	}
	if diff := cmp.Diff(want, *act); diff != "" {
		t.Errorf("what the office said (-want +got):\n%s", diff)
	}
}

func TestParseErrand(t *testing.T) {
	t.Parallel()
	right := entering().Encode()
	for _, test := range []struct {
		challenge, procedure string
		ok                   bool
	}{
		{right, "acceso", true},
		{right, "registro", true},
		{right, "ACCESO", false},
		{right, "", false},
		{right + "A", "acceso", false},
		{right[:42], "acceso", false},
		{right[:42] + "/", "acceso", false},
		{right[:20] + "\n" + right[20:], "acceso", false},
		{"", "acceso", false},
	} {
		e, err := ParseErrand(test.challenge, test.procedure)
		if (err == nil) != test.ok || test.ok && e.Encode() != test.challenge {
			t.Errorf("ParseErrand(%q, %q): got %v, want it taken: %v", test.challenge, test.procedure, err, test.ok)
		}
	}
}
