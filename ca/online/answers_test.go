package online_test

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	foreign "golang.org/x/crypto/ocsp"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
	"github.com/rubrica-firma/rubrica/internal/catest"
)

// ask asks a process about a certificate, has BouncyCastle judge the answer, and
// says what it says.
func (p *process) ask(i issued) *bouncycastle.OCSPAnswer {
	p.h.Helper()
	by := p.h.member(i.place.Issuer)
	query, err := foreign.CreateRequest(i.Certificate, by, &foreign.RequestOptions{Hash: crypto.SHA1})
	if err != nil {
		p.h.Fatal(err)
	}
	answer, err := p.OCSP(p.h.Context(), query)
	if err != nil {
		p.h.Fatalf("OCSP: %v", err)
	}
	judged, err := bouncycastle.OCSP(p.h, bouncycastle.OCSPQuestion{
		Response: answer.DER, Serial: i.SerialNumber, Issuer: by, Root: p.h.root, At: p.h.clock.Now(),
	})
	if err != nil {
		p.h.Fatalf("BouncyCastle on the answer: %v", err)
	}
	return judged
}

func (p *process) answers(i issued, status string, reason ca.Reason) {
	p.h.Helper()
	a := p.ask(i)
	if a.ResponseStatus != 0 || a.Status != status || a.Reason != int(reason) {
		p.h.Errorf("got status %d %s with reason %d, want %s with %d", a.ResponseStatus, a.Status, a.Reason, status, reason)
	}
}

// The answer changes with the commit, whether another was kept or not, and
// whoever is asked.
func TestAnswersChangeWithTheCommit(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	one, two := h.process(), h.process()
	c := one.issue()
	for _, step := range []struct {
		change func()
		status string
		reason ca.Reason
	}{
		{func() {}, "good", 0},
		{func() { h.revoke(c, ca.CertificateHold) }, "revoked", ca.CertificateHold},
		{func() { h.release(c) }, "good", 0},
		{func() { h.revoke(c, ca.CertificateHold) }, "revoked", ca.CertificateHold},
		{func() { h.revoke(c, ca.KeyCompromise) }, "revoked", ca.KeyCompromise},
	} {
		step.change()
		for _, p := range []*process{one, two, one} {
			p.answers(c, step.status, step.reason)
		}
	}
	one.quiet()
	two.quiet()
}

// Answers are there before anybody asks, of each change.
func TestAnswersAheadOfQuestions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.process()
	p.keep()
	p.twoTurns()
	c := p.issue()
	const kept = `SELECT coalesce((SELECT status_version FROM ocsp_answers WHERE serial = $1), 0)`
	p.twoTurns()
	if got := value[int64](h, kept, c.serial()); got != 1 {
		t.Errorf("kept an answer of version %d, want 1", got)
	}
	h.revoke(c, ca.CertificateHold)
	h.release(c)
	p.twoTurns()
	if got := value[int64](h, kept, c.serial()); got != 3 {
		t.Errorf("kept an answer of version %d, want 3", got)
	}
	p.answers(c, "good", 0)
	p.quiet()
}

// After another authority has taken over, it issues; the old one is answered
// for, and stands above what it issued.
func TestRollOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	running := h.process()
	running.keep()
	before := running.issue()
	if before.place.Issuer != "issuing-1" || len(before.IssuingCertificateURL) != 1 || before.IssuingCertificateURL[0] != catest.Base+"/ca/issuing-1.cer" {
		t.Errorf("got %+v of %v", before.place, before.IssuingCertificateURL)
	}
	catest.Authority{CA: h.process().CA, Root: h.root}.RollOver(t, h.db, h.token, h.clock.Now())
	running.twoTurns() // by then it has learnt of that
	after := running.issue()
	if after.place.Issuer != "issuing-2" || !strings.HasPrefix(after.place.Shard, "issuing-2-") || after.CRLDistributionPoints[0] != catest.Base+"/ca/"+after.place.Shard+".crl" {
		t.Errorf("got %+v, %v", after.place, after.CRLDistributionPoints)
	}
	running.twoTurns()
	for _, c := range []issued{before, after} {
		chain, err := running.Chain(c.Certificate)
		if err != nil || len(chain) != 1 || !chain[0].Equal(h.member(c.place.Issuer)) {
			t.Fatalf("got the chain %v, %v", chain, err)
		}
		running.answers(c, "good", 0)
		if err := h.path(c); err != nil {
			t.Errorf("BouncyCastle on the path: %v", err)
		}
		h.revoke(c, ca.Superseded)
		running.twoTurns()
		running.answers(c, "revoked", ca.Superseded)
		var rejected *bouncycastle.RejectedError
		if err := h.path(c); !errors.As(err, &rejected) {
			t.Errorf("BouncyCastle on the revoked certificate: %v", err)
		}
	}
	if _, err := running.Chain(h.root); err == nil {
		t.Error("got a chain for what we have not issued")
	}
	running.quiet()
}

// path has BouncyCastle judge a certificate by the lists that are published.
func (h *house) path(c issued) error {
	h.Helper()
	return bouncycastle.Path(h, bouncycastle.Chain{
		Root: h.root, Intermediates: []*x509.Certificate{h.member(c.place.Issuer)}, Leaf: c.Certificate,
		CRLs: [][]byte{h.rootList(), h.list(c.place.Shard).Raw}, At: h.clock.Now(),
	})
}

// rootList is what a ceremony would have signed.
func (h *house) rootList() []byte {
	h.Helper()
	key, err := h.token.ServiceKey(h.Context(), "rubrica-root")
	if err != nil {
		h.Fatal(err)
	}
	now := h.clock.Now()
	der, err := ca.CRL(ca.List{Number: 1, ThisUpdate: now, NextUpdate: now.AddDate(0, 6, 0)}, h.root, key)
	if err != nil {
		h.Fatal(err)
	}
	return der
}

// desk is a directory with what openssl needs.
type desk struct {
	*testing.T

	dir string
}

func (d desk) write(name string, content []byte) string {
	d.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		d.Fatal(err)
	}
	return path
}

func (d desk) pem(name, kind string, ders ...[]byte) string {
	d.Helper()
	var text []byte
	for _, der := range ders {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	return d.write(name, text)
}

func (d desk) openssl(arguments ...string) (string, error) {
	d.Helper()
	out, err := exec.CommandContext(d.Context(), "openssl", arguments...).CombinedOutput()
	return string(out), err
}

// openssl says of lists, answers and stamps what we say.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.process()
	p.keep()
	good, revoked := p.issue(), p.issue()
	h.revoke(revoked, ca.KeyCompromise)
	p.twoTurns()

	d := desk{t, t.TempDir()}
	issuing := h.member("issuing-1")
	above := d.pem("above.pem", "CERTIFICATE", h.root.Raw, issuing.Raw)
	lists := d.pem("lists.pem", "X509 CRL", h.rootList(), h.list(good.place.Shard).Raw)
	by := d.pem("issuing.pem", "CERTIFICATE", issuing.Raw)
	for name, c := range map[string]issued{"good": good, "revoked": revoked} {
		leaf := d.pem(name+".pem", "CERTIFICATE", c.Raw)
		out, err := d.openssl("verify", "-crl_check_all", "-CAfile", above, "-CRLfile", lists, leaf)
		if ok := err == nil; ok != (name == "good") || !ok && !strings.Contains(out, "certificate revoked") {
			t.Errorf("openssl verify of the %s certificate: %v\n%s", name, err, out)
		}
		ask := filepath.Join(d.dir, name+".req")
		if out, err := d.openssl("ocsp", "-issuer", by, "-cert", leaf, "-reqout", ask); err != nil {
			t.Fatalf("openssl ocsp -reqout: %v\n%s", err, out)
		}
		query, err := os.ReadFile(ask)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := p.OCSP(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		out, err = d.openssl("ocsp", "-issuer", by, "-cert", leaf, "-reqin", ask, "-no_nonce", "-respin", d.write(name+".resp", answer.DER), "-CAfile", above)
		for _, want := range []string{"Response verify OK", name + ".pem: " + name} {
			if err != nil || !strings.Contains(out, want) || strings.Contains(out, "WARNING") {
				t.Errorf("openssl ocsp: %v, want %q in\n%s", err, want, out)
			}
		}
	}

	data, query := d.write("content", []byte("sellado")), filepath.Join(d.dir, "query")
	if out, err := d.openssl("ts", "-query", "-data", data, "-sha256", "-cert", "-out", query); err != nil {
		t.Fatalf("openssl ts -query: %v\n%s", err, out)
	}
	asked, err := os.ReadFile(query)
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := p.TimeStamp(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	root := d.pem("root.pem", "CERTIFICATE", h.root.Raw)
	if out, err := d.openssl("ts", "-verify", "-in", d.write("stamp", stamp), "-queryfile", query, "-CAfile", root, "-untrusted", by); err != nil {
		t.Errorf("openssl ts -verify: %v\n%s", err, out)
	}
	d.write("content", []byte("otra cosa"))
	if out, err := d.openssl("ts", "-verify", "-in", filepath.Join(d.dir, "stamp"), "-data", data, "-CAfile", root, "-untrusted", by); err == nil {
		t.Errorf("openssl accepts the stamp for something else: %s", out)
	}
	p.quiet()
}
