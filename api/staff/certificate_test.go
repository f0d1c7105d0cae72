package staff_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

func TestCertificateEnters(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	for _, role := range []string{personnel.RoleAuditor, personnel.RoleAdministrator} {
		pair := h.ca.person(t)
		a := h.addWith(t, role, pair)
		b := h.browser(t, pair)
		if got := b.get(t, "/auditoria/offered").body; got != "true\n" {
			t.Errorf("offered: got %q", got)
		}
		b.post(t, "/auditoria/entrar/certificado", nil).want(t, http.StatusNoContent)
		entry := h.log.only(t, audit.AuditorLoggedIn)
		want := map[string]any{
			"name": a.Name, "role": role, "by": "certificate", "address": "127.0.0.1", "certificate_sha256": hex.EncodeToString(a.Certificate),
		}
		if diff := cmp.Diff(want, entry.Payload); diff != "" || entry.Operation != a.ID {
			t.Errorf("entry of %s (-want +got):\n%s", entry.Operation, diff)
		}
		asking := b.get(t, "/auditoria/estado").asking(t)
		if want := (personnel.Identity{ID: a.ID, Name: a.Name, Role: role, By: "certificate"}); asking.Identity != want {
			t.Errorf("got %+v, want %+v", asking.Identity, want)
		}
	}
}

// Whatever is wrong with a certificate, the answer is the same to the byte, and
// the log knows.
func TestCertificateRefused(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	other := newAuthority(t, "Otra autoridad")
	disabled := h.ca.person(t)
	closed := h.addWith(t, personnel.RoleAuditor, disabled)
	if err := h.accounts.Disable(t.Context(), closed.ID, h.clock.now()); err != nil {
		t.Fatal(err)
	}
	expired := h.ca.issue(t, leaf{name: "persona", use: x509.ExtKeyUsageClientAuth, until: time.Now().Add(-time.Hour)})
	servers := h.ca.issue(t, leaf{name: "persona", use: x509.ExtKeyUsageServerAuth})
	foreign := other.person(t)
	for _, pair := range []tls.Certificate{expired, servers, foreign} {
		h.addWith(t, personnel.RoleAuditor, pair)
	}
	h.log.take()
	var first string
	for _, tt := range []struct {
		name  string
		pair  []tls.Certificate
		cause string
	}{
		{"none", nil, "missing"},
		{"unknown", []tls.Certificate{h.ca.person(t)}, "unknown"},
		{"disabled", []tls.Certificate{disabled}, "disabled"},
		{"expired", []tls.Certificate{expired}, "expired"},
		{"of another authority", []tls.Certificate{foreign}, "untrusted"},
		{"for another use", []tls.Certificate{servers}, "untrusted"},
	} {
		b := h.browser(t, tt.pair...)
		reply := b.post(t, "/auditoria/entrar/certificado", nil)
		reply.refused(t, policies.AuditorRefused)
		if first == "" {
			first = reply.body
		}
		if reply.body != first {
			t.Errorf("%s: got %s, want %s as all others", tt.name, reply.body, first)
		}
		if b.cookie("__Host-rubrica-auditor") != nil {
			t.Errorf("%s: got a session", tt.name)
		}
		if got := h.log.only(t, audit.AuditorLoginFailed).Payload["cause"]; got != tt.cause {
			t.Errorf("%s: got cause %v, want %s", tt.name, got, tt.cause)
		}
		b.get(t, "/auditoria/estado").refused(t, policies.SessionExpired)
	}
}

// A session that began with a certificate is worth nothing on a connection
// without it, or when it has expired.
func TestSessionIsBoundToItsCertificate(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	pair := h.ca.issue(t, leaf{name: "persona", use: x509.ExtKeyUsageClientAuth, until: time.Now().Add(10 * time.Minute)})
	h.addWith(t, personnel.RoleAuditor, pair)
	mine := h.browser(t, pair)
	mine.enter(t)
	mine.get(t, "/auditoria/estado").want(t, http.StatusOK)

	thieves := h.ca.person(t)
	h.addWith(t, personnel.RoleAuditor, thieves)
	for name, thief := range map[string]*browser{"without a certificate": h.browser(t), "with an own one": h.browser(t, thieves)} {
		thief.client.Jar.SetCookies(h.url, mine.client.Jar.Cookies(h.url))
		if got := thief.get(t, "/auditoria/estado"); got.status != http.StatusForbidden {
			t.Errorf("stolen cookie %s: got %d, want it refused", name, got.status)
		}
	}
	h.clock.pass(11 * time.Minute)
	mine.get(t, "/auditoria/estado").refused(t, policies.SessionExpired)
}

// No header of a proxy, nor of anybody, stands for a certificate.
func TestCertificateOfAHeader(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	pair := h.ca.person(t)
	h.addWith(t, personnel.RoleAuditor, pair)
	reply := h.browser(t).ask(t, http.MethodPost, "/auditoria/entrar/certificado", "",
		"Ssl-Client-Verify", "SUCCESS", "X-Forwarded-Client-Cert", "Hash="+hex.EncodeToString(staff.Fingerprint(pair.Leaf)))
	reply.refused(t, policies.AuditorRefused)
}

// TLS is 1.3, and a connection shows its certificate itself: there are no tickets
// to come back with.
func TestTLS(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	config := &tls.Config{RootCAs: h.roots, ServerName: "localhost", MaxVersion: tls.VersionTLS12}
	if conn, err := tls.Dial("tcp", h.url.Host, config); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.2: got a connection")
	}
	config = &tls.Config{RootCAs: h.roots, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	for range 2 {
		transport := &http.Transport{TLSClientConfig: config}
		response, err := (&http.Client{Transport: transport}).Get(h.url.String() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.TLS.DidResume {
			t.Error("a connection was resumed")
		}
		transport.CloseIdleConnections()
	}
	var asked []string
	config = &tls.Config{
		RootCAs: h.roots, ServerName: "localhost",
		GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			for _, name := range info.AcceptableCAs {
				asked = append(asked, string(name))
			}
			return &tls.Certificate{}, nil
		},
	}
	conn, err := tls.Dial("tcp", h.url.Host, config)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if want := []string{string(h.ca.certificate.RawSubject)}; !cmp.Equal(asked, want) {
		t.Errorf("authorities that the browser is told: got %q, want %q", asked, want)
	}
}

// A certificate that was revoked lets nobody in, nor does one of which nobody
// knows; a session that began with it ends.
func TestRevokedCertificate(t *testing.T) {
	t.Parallel()
	var (
		mu   sync.Mutex
		says error
		path []*x509.Certificate
	)
	h := build(t, func(c *staff.Config) {
		c.Revoked = func(_ context.Context, asked []*x509.Certificate) error {
			mu.Lock()
			defer mu.Unlock()
			path = asked
			return says
		}
	})
	pair := h.ca.person(t)
	h.addWith(t, personnel.RoleAuditor, pair)
	inside := h.browser(t, pair)
	inside.enter(t)
	if len(path) != 2 || !path[0].Equal(pair.Leaf) || !path[1].Equal(h.ca.certificate) {
		t.Errorf("got asked about %d certificates, want the path from the person's to the authority", len(path))
	}
	for cause, err := range map[string]error{
		"revoked": policies.Refuse(policies.CertificateUntrusted, "reason", "revoked"),
		"unclear": policies.Refuse(policies.RevocationUnknown),
	} {
		mu.Lock()
		says = err
		mu.Unlock()
		h.log.take()
		inside.get(t, "/auditoria/estado").refused(t, policies.SessionExpired)
		h.browser(t, pair).post(t, "/auditoria/entrar/certificado", nil).refused(t, policies.AuditorRefused)
		if got := h.log.only(t, audit.AuditorLoginFailed).Payload["cause"]; got != cause {
			t.Errorf("got cause %v, want %s", got, cause)
		}
	}
}
