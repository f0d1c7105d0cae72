package ca

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
)

// A list of a shard is good for those who name it, and for no others.
func TestShardIsJudgedByOpenSSL(t *testing.T) {
	t.Parallel()
	for kind, h := range map[string]hierarchy{"EC": ecHierarchy(t), "RSA": newHierarchy(t, ecKey(t, elliptic.P384()), rsaKey(t, 3072))} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			asked := request(ecKey(t, elliptic.P256()).Public())
			asked.CRL = shardAddress
			good, revoked, held := h.issue(t, asked), h.issue(t, asked), h.issue(t, asked)
			stranger := h.issue(t, request(ecKey(t, elliptic.P256()).Public()))
			list := List{
				Number: 7, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 7), DistributionPoint: shardAddress,
				Revoked: []Revocation{
					{Serial: revoked.SerialNumber.Bytes(), At: now.Add(-time.Hour), Reason: KeyCompromise},
					{Serial: held.SerialNumber.Bytes(), At: now.Add(-time.Hour), Reason: CertificateHold},
				},
			}
			der, err := h.authority.CRL(list)
			if err != nil {
				t.Fatal(err)
			}
			dir := directory(t.TempDir())
			crl := dir.write(t, "list.pem", "X509 CRL", der)
			root := dir.write(t, "root.pem", "CERTIFICATE", h.root.Raw)
			issuing := dir.write(t, "issuing.pem", "CERTIFICATE", h.authority.Certificate.Raw)
			text := openssl(t, "crl", "-in", crl, "-noout", "-text", "-verify", "-CAfile", issuing)
			for _, want := range []string{
				"verify OK", "X509v3 Issuing Distribution Point: critical", "URI:" + shardAddress, "Only User Certificates",
				"X509v3 CRL Number: \n                7", "X509v3 Authority Key Identifier", "Key Compromise", "Certificate Hold",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("openssl crl: got %s, want %q in it", text, want)
				}
			}
			verify := []string{"verify", "-x509_strict", "-crl_check", "-attime", "1773144000", "-CAfile", root, "-untrusted", issuing, "-CRLfile", crl}
			openssl(t, append(verify, dir.write(t, "good.pem", "CERTIFICATE", good.Raw))...)
			for what, c := range map[string]*x509.Certificate{"certificate revoked": revoked, "revoked": held, "different CRL scope": stranger} {
				if out := opensslFails(t, append(verify, dir.write(t, "other.pem", "CERTIFICATE", c.Raw))...); !strings.Contains(out, what) {
					t.Errorf("openssl verify: got %s, want %q in it", out, what)
				}
			}

			list.NextUpdate = LastNextUpdate()
			if der, err = h.authority.CRL(list); err != nil {
				t.Fatal(err)
			}
			crl = dir.write(t, "list.pem", "X509 CRL", der)
			if text := openssl(t, "crl", "-in", crl, "-noout", "-nextupdate"); text != "nextUpdate=Dec 31 23:59:59 9999 GMT\n" {
				t.Errorf("last list: got %s", text)
			}
			if !bytes.Contains(der, []byte("\x18\x0f99991231235959Z")) {
				t.Error("the last list's nextUpdate is not the GeneralizedTime 99991231235959Z")
			}
			openssl(t, append(verify, dir.write(t, "good.pem", "CERTIFICATE", good.Raw))...)
		})
	}
}

// BouncyCastle reads a shard's list, and judges by it whoever names it.
func TestShardIsJudgedByBouncyCastle(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	asked := request(ecKey(t, elliptic.P256()).Public())
	asked.CRL = shardAddress
	good, revoked, stranger := h.issue(t, asked), h.issue(t, asked), h.issue(t, request(ecKey(t, elliptic.P256()).Public()))
	issuing := h.authority.Certificate
	der, err := h.authority.CRL(List{
		Number: 7, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 7), DistributionPoint: shardAddress,
		Revoked: []Revocation{{Serial: revoked.SerialNumber.Bytes(), At: now, Reason: CertificateHold}},
	})
	if err != nil {
		t.Fatal(err)
	}
	roots, err := CRL(List{Number: 1, ThisUpdate: now, NextUpdate: now.AddDate(1, 0, 0)}, h.root, h.rootKey)
	if err != nil {
		t.Fatal(err)
	}
	second := now.Truncate(time.Second)
	got, err := bouncycastle.CRL(t, der, issuing)
	if err != nil {
		t.Fatal(err)
	}
	want := &bouncycastle.RevocationList{
		Number: big.NewInt(7), ThisUpdate: second, NextUpdate: second.AddDate(0, 0, 7), Partition: shardAddress, PartitionCritical: true, OnlyUser: true,
		Entries: map[string]bouncycastle.Entry{revoked.SerialNumber.Text(16): {At: second, Reason: 6}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	for name, c := range map[string]struct {
		leaf  *x509.Certificate
		valid bool
	}{"good": {good, true}, "suspended": {revoked, false}, "of another shard": {stranger, false}} {
		err := bouncycastle.Path(t, bouncycastle.Chain{
			Root: h.root, Intermediates: []*x509.Certificate{issuing}, Leaf: c.leaf, CRLs: [][]byte{der, roots}, At: now.Add(time.Hour),
		})
		if (err == nil) != c.valid {
			t.Errorf("%s: got %v, want valid %v", name, err, c.valid)
		}
	}
}

func TestReadList(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	for _, address := range []string{"", shardAddress} {
		list := List{
			Number: 3, ThisUpdate: now.Truncate(time.Second), NextUpdate: now.Add(time.Hour).Truncate(time.Second), DistributionPoint: address,
			Revoked: []Revocation{{Serial: []byte{2}, At: now.Truncate(time.Second)}, {Serial: []byte{1, 0}, At: now.Truncate(time.Second), Reason: CertificateHold}},
		}
		der, err := h.authority.CRL(list)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readList(der)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(digest(got.DistributionPoint, got.Revoked), digest(address, list.Revoked)) || got.Number != 3 ||
			!got.ThisUpdate.Equal(list.ThisUpdate) || !got.NextUpdate.Equal(list.NextUpdate) {
			t.Errorf("got %+v, want %+v", got, list)
		}
	}
}

func TestShardRefuses(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	good := List{Number: 1, ThisUpdate: now, NextUpdate: now.Add(time.Hour), DistributionPoint: shardAddress}
	for name, change := range map[string]func(*List){
		"https":         func(l *List) { l.DistributionPoint = "https://pki.example.org/a.crl" },
		"no address":    func(l *List) { l.DistributionPoint = "a.crl" },
		"removeFromCRL": func(l *List) { l.Revoked = []Revocation{{Serial: []byte{1}, At: now, Reason: 8}} },
		"reason 7":      func(l *List) { l.Revoked = []Revocation{{Serial: []byte{1}, At: now, Reason: 7}} },
		"reason -1":     func(l *List) { l.Revoked = []Revocation{{Serial: []byte{1}, At: now, Reason: -1}} },
	} {
		l := good
		change(&l)
		if _, err := h.authority.CRL(l); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: got %v, want ErrRequest", name, err)
		}
	}
}

// full is a shard of which all certificates are revoked, with a reason each.
func full(certificates int) List {
	list := List{Number: 1 << 20, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 7), DistributionPoint: shardAddress}
	for range certificates {
		serial := make([]byte, 16)
		rand.Read(serial)
		serial[0] = serial[0]&0x7f | 0x40
		list.Revoked = append(list.Revoked, Revocation{Serial: serial, At: now, Reason: KeyCompromise})
	}
	return list
}

func TestFullShardStaysUnderAMegabyte(t *testing.T) {
	t.Parallel()
	h := newHierarchy(t, ecKey(t, elliptic.P384()), rsaKey(t, 3072))
	der, err := h.authority.CRL(full(18_000))
	if err != nil {
		t.Fatal(err)
	}
	if len(der) >= 1_000_000 {
		t.Errorf("18,000 entries take %d octets, want less than 1,000,000", len(der))
	}
}

func BenchmarkCRL20000(b *testing.B) {
	h := ecHierarchy(b)
	list := full(20_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.authority.CRL(list); err != nil {
			b.Fatal(err)
		}
	}
}
