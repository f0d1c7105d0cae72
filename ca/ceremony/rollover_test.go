package ceremony_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/ca/lint"
)

// authority is a member with its key, as the signer has it.
func (h *house) authority(t *testing.T, name string) *ca.Authority {
	t.Helper()
	m, there := h.hierarchy(t).Named(name)
	if !there {
		t.Fatalf("got no %s", name)
	}
	certificate, err := m.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	key, err := h.Service.ServiceKey(t.Context(), m.KeyLabel)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ca.New(ca.Config{
		Certificate: certificate, Signer: key, Lint: lint.Certificate,
		Addresses: ca.Addresses{Issuer: "http://ca.example/ca/" + name + ".cer", OCSP: "http://ca.example/ocsp"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (h *house) citizen(t *testing.T, issuer string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	p, err := h.authority(t, issuer).Prepare(ca.Request{
		Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez Pérez", PublicKey: key.Public(),
		NotBefore: now, NotAfter: now.AddDate(4, 0, 0), CRL: "http://ca.example/ca/" + issuer + "-2026-1.crl",
	})
	if err != nil {
		t.Fatal(err)
	}
	der, err := p.Issue()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func write(t *testing.T, kind string, ders ...[]byte) string {
	t.Helper()
	var text bytes.Buffer
	for _, der := range ders {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// verify asks openssl about a chain.
func (h *house) verify(t *testing.T, leaf []byte, issuer string, more ...string) (string, error) {
	t.Helper()
	hierarchy := h.hierarchy(t)
	root, _ := hierarchy.Named("root")
	between, _ := hierarchy.Named(issuer)
	args := append([]string{"verify", "-x509_strict", "-CAfile", write(t, "CERTIFICATE", root.DER), "-untrusted", write(t, "CERTIFICATE", between.DER)}, more...)
	out, err := exec.CommandContext(t.Context(), "openssl", append(args, write(t, "CERTIFICATE", leaf))...).CombinedOutput()
	return string(out), err
}

// TestRollover lets another authority take over, and asks openssl about what
// both issued.
func TestRollover(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"rsa-3072", "ec-p384"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.IssuingAlgorithm = algorithm
			if err := h.Init(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := h.citizen(t, "issuing-1")
			if err := h.Rollover(t.Context()); err != nil {
				t.Fatal(err)
			}
			hierarchy := h.hierarchy(t)
			if got, want := names(hierarchy), "root issuing-1 ocsp-1 tsa-1 ocsp-2 issuing-2"; len(strings.Fields(got)) != 6 || len(hierarchy.Under("issuing-2")) != 1 {
				t.Errorf("got members %s, want those of %s", got, want)
			}
			if current, _ := hierarchy.Current(ca.RoleIssuing); current.Name != "issuing-2" {
				t.Errorf("got %s as the issuing authority, want issuing-2", current.Name)
			}
			for name, want := range map[string]bool{"issuing-1": false, "issuing-2": true, "ocsp-1": true, "ocsp-2": true, "tsa-1": true} {
				if m, _ := hierarchy.Named(name); m.InUse() != want {
					t.Errorf("got %s in use: %v, want %v", name, m.InUse(), want)
				}
			}
			for issuer, leaf := range map[string][]byte{"issuing-1": before, "issuing-2": h.citizen(t, "issuing-2")} {
				if out, err := h.verify(t, leaf, issuer); err != nil {
					t.Errorf("got %v about a certificate of %s, want openssl to accept it: %s", err, issuer, out)
				}
				if got := h.authority(t, issuer).Certificate; ceremony.AlgorithmOf(got.PublicKey) != algorithm {
					t.Errorf("got %s as the key of %s, want %s", ceremony.AlgorithmOf(got.PublicKey), issuer, algorithm)
				}
			}
			h.oldListsGoOn(t)
		})
	}
}

// oldListsGoOn revokes something of the authority that issues nothing any more.
func (h *house) oldListsGoOn(t *testing.T) {
	t.Helper()
	old := h.authority(t, "issuing-1")
	now := time.Now()
	der, err := old.CRL(ca.List{
		Number: 7, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 7), DistributionPoint: "http://ca.example/ca/issuing-1-2026-1.crl",
		Revoked: []ca.Revocation{{Serial: []byte{1, 2, 3}, At: now, Reason: ca.Superseded}},
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "openssl", "crl", "-in", write(t, "X509 CRL", der), "-noout",
		"-CAfile", write(t, "CERTIFICATE", old.Certificate.Raw)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "verify OK") {
		t.Errorf("got %v, want openssl to accept the old authority's list: %s", err, out)
	}
}

// TestRolloverInterrupted dies at each trace of a rollover and goes on with the
// same one.
func TestRolloverInterrupted(t *testing.T) {
	t.Parallel()
	const traces = 2 + 4 + 2 // keys, records, intents
	h := newHouse(t)
	if err := h.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	generation := 1
	for at := range traces {
		for _, after := range []bool{false, true} {
			generation++
			if err := h.crashing(&crash{at: at + 1, after: after}).Rollover(t.Context()); !errors.Is(err, errCrash) {
				t.Fatalf("got %v at %d, want a crash", err, at+1)
			}
			if at == traces-1 && after {
				continue // the last step was done: nothing is left to go on with
			}
			if err := h.Rollover(t.Context()); err != nil {
				t.Fatal(err)
			}
			hierarchy := h.hierarchy(t)
			current, _ := hierarchy.Current(ca.RoleIssuing)
			responders := hierarchy.Under(current.Name)
			if current.Generation != generation || len(responders) != 1 || len(hierarchy.Of(ca.RoleIssuing)) != generation {
				t.Fatalf("got %s with %d services, %s; want generation %d with one", current.Name, len(responders), names(hierarchy), generation)
			}
		}
	}
	for label, n := range keys(t, h.service) {
		if n != 1 {
			t.Errorf("got %d keys %s, want 1", n, label)
		}
	}
	if got := len(h.hierarchy(t).Of(ca.RoleOCSP)); got != generation {
		t.Errorf("got %d responders, want %d", got, generation)
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := h.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Root = func(context.Context) (ceremony.Token, error) { return nil, errors.New("away") }
	for role, want := range map[ca.Role]string{ca.RoleTSA: "tsa-2", ca.RoleOCSP: "ocsp-2"} {
		if err := h.Renew(t.Context(), role, ""); err != nil {
			t.Fatal(err)
		}
		hierarchy := h.hierarchy(t)
		if current, _ := hierarchy.Current(role); current.Name != want || current.Issuer != "issuing-1" {
			t.Errorf("got %s of %s, want %s of issuing-1", current.Name, current.Issuer, want)
		}
		if old, _ := hierarchy.Named(string(role) + "-1"); old.InUse() {
			t.Errorf("got %s still in use", old.Name)
		}
	}
	for _, test := range []struct {
		role   ca.Role
		issuer string
		want   error
	}{
		{ca.RoleRoot, "", ceremony.ErrRole},
		{ca.RoleIssuing, "", ceremony.ErrRole},
		{ca.RoleTSA, "issuing-1", ceremony.ErrRole},
		{ca.RoleOCSP, "issuing-9", ceremony.ErrNoMember},
		{ca.RoleOCSP, "tsa-1", ceremony.ErrNoMember},
	} {
		if err := h.Renew(t.Context(), test.role, test.issuer); !errors.Is(err, test.want) {
			t.Errorf("got %v for %s of %q, want %v", err, test.role, test.issuer, test.want)
		}
	}
}

// TestRevoke revokes an issuing authority: the root's list says so at once, and
// openssl refuses what it issued.
func TestRevoke(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := h.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	leaf := h.citizen(t, "issuing-1")
	away := h.Root
	h.Root = func(context.Context) (ceremony.Token, error) { return nil, errors.New("away") }
	if err := h.Revoke(t.Context(), "issuing-1", ceremony.Compromise); err == nil {
		t.Fatal("got an authority revoked without the root")
	}
	if err := h.Revoke(t.Context(), "tsa-1", ceremony.Compromise); err != nil {
		t.Errorf("got %v, want a service revoked without the root's token", err)
	}
	h.Root = away
	if err := h.Revoke(t.Context(), "issuing-1", ceremony.Compromise); err != nil {
		t.Fatal(err)
	}
	list, err := h.db.NewestList(t.Context(), "root")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseRevocationList(list.DER)
	if err != nil {
		t.Fatal(err)
	}
	issuing := h.authority(t, "issuing-1").Certificate
	if len(parsed.RevokedCertificateEntries) != 1 || parsed.RevokedCertificateEntries[0].SerialNumber.Cmp(issuing.SerialNumber) != 0 ||
		parsed.RevokedCertificateEntries[0].ReasonCode != 2 || parsed.Number.Int64() != 2 {
		t.Errorf("got list %v with %v, want number 2 with issuing-1, reason 2", parsed.Number, parsed.RevokedCertificateEntries)
	}
	lists := write(t, "X509 CRL", list.DER)
	now := time.Now()
	own, err := h.authority(t, "issuing-1").CRL(ca.List{Number: 1, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 7)})
	if err != nil {
		t.Fatal(err)
	}
	out, err := h.verify(t, leaf, "issuing-1", "-crl_check_all", "-CRLfile", lists, "-CRLfile", write(t, "X509 CRL", own))
	if err == nil || !strings.Contains(out, "certificate revoked") {
		t.Errorf("got %q, want openssl to find the authority revoked", out)
	}
	for name, want := range map[string]error{"root": ceremony.ErrRoot, "issuing-1": ceremony.ErrRevoked, "tsa-9": ceremony.ErrNoMember} {
		if err := h.Revoke(t.Context(), name, ceremony.Cessation); !errors.Is(err, want) {
			t.Errorf("got %v for %s, want %v", err, name, want)
		}
	}

	// What comes next: another authority, and a list that remembers.
	if err := h.Rollover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.RootList(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err = h.db.NewestList(t.Context(), "root"); err != nil || list.Number != 4 {
		t.Fatalf("got list %d (%v), want number 4: of the rollover and of its own ceremony", list.Number, err)
	}
	if parsed, err = x509.ParseRevocationList(list.DER); err != nil || len(parsed.RevokedCertificateEntries) != 1 {
		t.Errorf("got %v, %v, want the revoked authority still there", parsed, err)
	}
	if out, err := h.verify(t, h.citizen(t, "issuing-2"), "issuing-2"); err != nil {
		t.Errorf("got %v, want openssl to accept the new authority: %s", err, out)
	}
	if got := h.events(t)["authority.revoked issuing-1"]; got != 1 {
		t.Errorf("got %d entries authority.revoked, want 1", got)
	}
}

// TestExport reads the files back with openssl.
func TestExport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := h.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	files, err := h.Export(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var got []string
	for _, f := range files {
		got = append(got, f.Name)
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := "[root.pem root.cer issuing-1.cer ocsp-1.cer tsa-1.cer root.crl minutes.txt]"; fmt.Sprint(got) != want {
		t.Errorf("got files %v, want %s", got, want)
	}
	for _, args := range [][]string{
		{"x509", "-in", "root.pem", "-noout"},
		{"x509", "-inform", "DER", "-in", "tsa-1.cer", "-noout"},
		{"crl", "-inform", "DER", "-in", "root.crl", "-noout", "-CAfile", "root.pem"},
	} {
		cmd := exec.CommandContext(t.Context(), "openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("got %v from openssl %v: %s", err, args, out)
		}
	}
	minutes := string(files[len(files)-1].Content)
	for _, want := range []string{"init/root-key", "rubrica-kek-1        check value ", "key rubrica-root in the root token", "The root's list: number 1"} {
		if !strings.Contains(minutes, want) {
			t.Errorf("got minutes\n%s\nwant %q in them", minutes, want)
		}
	}
}
