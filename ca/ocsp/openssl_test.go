package ocsp

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// desk is a directory with what openssl needs.
type desk struct {
	t   *testing.T
	dir string
}

func (d desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d desk) pem(name string, der []byte) string {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return d.path(name)
}

func (d desk) key(key crypto.Signer) string {
	d.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(d.path("key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return d.path("key.pem")
}

func (d desk) openssl(arguments ...string) string {
	d.t.Helper()
	out, err := exec.CommandContext(d.t.Context(), "openssl", arguments...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("openssl %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// openssl asks, and judges the answers: signature, responder, nonce, dates.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	for kind, h := range map[string]house{
		"EC":  newHouse(t, "issuing-1", ecKey(t), ecKey(t)),
		"RSA": newHouse(t, "issuing-1", rsaKey(t), rsaKey(t)),
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d := desk{t: t, dir: t.TempDir()}
			authority := d.pem("ca.pem", h.Certificate.Raw)
			good := d.pem("good.pem", h.leaf(t, big.NewInt(11)).Raw)
			revoked := d.pem("revoked.pem", h.leaf(t, big.NewInt(12)).Raw)
			held := d.pem("held.pem", h.leaf(t, big.NewInt(13)).Raw)
			stranger := d.pem("stranger.pem", h.leaf(t, big.NewInt(14)).Raw)
			hall := newHall(t, h)
			ago := hall.now.Add(-time.Hour)
			hall.ledger.set("issuing-1", big.NewInt(11), Status{State: Good})
			hall.ledger.set("issuing-1", big.NewInt(12), Status{State: Revoked, RevokedAt: ago, Reason: 1})
			hall.ledger.set("issuing-1", big.NewInt(13), Status{State: Revoked, RevokedAt: ago, Reason: 6})
			for name, c := range map[string]struct {
				options []string
				want    []string
			}{
				"good":        {[]string{"-no_nonce", "-cert", good}, []string{"good.pem: good"}},
				"with nonce":  {[]string{"-nonce", "-cert", good}, []string{"good.pem: good"}},
				"SHA-256":     {[]string{"-no_nonce", "-sha256", "-cert", good}, []string{"good.pem: good"}},
				"SHA-512":     {[]string{"-nonce", "-sha512", "-cert", revoked}, []string{"revoked.pem: revoked", "Reason: keyCompromise"}},
				"by serial":   {[]string{"-no_nonce", "-serial", "12"}, []string{"12: revoked", "Reason: keyCompromise"}},
				"suspended":   {[]string{"-no_nonce", "-cert", held}, []string{"held.pem: revoked", "Reason: certificateHold"}},
				"not issued":  {[]string{"-nonce", "-cert", stranger}, []string{"stranger.pem: unknown"}},
				"all at once": {[]string{"-nonce", "-cert", good, "-cert", revoked, "-cert", held, "-cert", stranger}, []string{"good.pem: good", "revoked.pem: revoked", "held.pem: revoked", "stranger.pem: unknown"}},
				"signed":      {[]string{"-no_nonce", "-signer", authority, "-signkey", d.key(h.key), "-cert", good}, []string{"good.pem: good"}},
			} {
				prefix := strings.ReplaceAll(name, " ", "-")
				ask, reply := d.path(prefix+".req"), d.path(prefix+".resp")
				options := append([]string{"ocsp", "-issuer", authority}, c.options...)
				d.openssl(append(options, "-reqout", ask)...)
				request, err := os.ReadFile(ask)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(reply, hall.ask(t, request).DER, 0o600); err != nil {
					t.Fatal(err)
				}
				// The request is read again so that its nonce is compared. -no_nonce
				// keeps openssl from adding another.
				judge := append([]string{"ocsp", "-issuer", authority, "-no_nonce"}, slices.DeleteFunc(c.options, func(o string) bool { return o == "-nonce" })...)
				judge = append(judge, "-reqin", ask, "-respin", reply, "-CAfile", authority, "-status_age", "60")
				out := d.openssl(judge...)
				for _, want := range append(c.want, "Response verify OK") {
					if !strings.Contains(out, want) {
						t.Errorf("%s: got %s, want %q in it", name, out, want)
					}
				}
				if strings.Contains(out, "WARNING") || strings.Contains(out, "Nonce Verify error") {
					t.Errorf("%s: got %s, want no complaint", name, out)
				}
			}
			text := d.openssl("ocsp", "-respin", d.path("good.resp"), "-noverify", "-resp_text", "-no_nonce")
			for _, want := range []string{"OCSP Archive Cutoff", "OCSP Signing", "OCSP No Check", "Responder Id: ", "sha"} {
				if !strings.Contains(text, want) {
					t.Errorf("openssl ocsp -resp_text: got %s, want %q in it", text, want)
				}
			}
		})
	}
}
