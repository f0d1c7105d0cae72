package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// bench is a folder with what openssl signs and verifies with.
type bench struct {
	*testing.T

	dir string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return &bench{T: t, dir: t.TempDir()}
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(name string, data []byte) string {
	b.Helper()
	if err := os.WriteFile(b.path(name), data, 0o600); err != nil {
		b.Fatal(err)
	}
	return b.path(name)
}

func (b *bench) read(name string) []byte {
	b.Helper()
	data, err := os.ReadFile(b.path(name))
	if err != nil {
		b.Fatal(err)
	}
	return data
}

// keep writes key and certificate of a signer, and gives openssl's arguments.
func (b *bench) keep(name string, s *cmstest.Signer) []string {
	b.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(s.Key)
	if err != nil {
		b.Fatal(err)
	}
	return []string{
		"-signer", b.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate.Raw})),
		"-inkey", b.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	}
}

func (b *bench) run(args ...string) (string, error) {
	out, err := exec.CommandContext(b.Context(), "openssl", args...).CombinedOutput()
	return string(out), err
}

func (b *bench) must(args ...string) {
	b.Helper()
	if out, err := b.run(args...); err != nil {
		b.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

// accepts asks openssl about a message whose signers are all below the root;
// content is nil for an attached one.
func (b *bench) accepts(der, content []byte, root *x509.Certificate, more ...string) {
	b.Helper()
	args := append([]string{
		"cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-in", b.write("asked.der", der), "-out", b.path("out"),
		"-CAfile", b.write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})),
	}, more...)
	if content != nil {
		args = append(args, "-content", b.write("asked", content))
	}
	if out, err := b.run(args...); err != nil {
		b.Errorf("openssl rejects it: %v\n%s", err, out)
	}
}

func open(tb testing.TB, der []byte) *cms.Message {
	tb.Helper()
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	if err != nil {
		tb.Fatalf("opening: %v", err)
	}
	return m
}

func written(tb testing.TB, m *cms.Message) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := m.Write(&out); err != nil {
		tb.Fatalf("writing: %v", err)
	}
	return out.Bytes()
}

// verified verifies all signers of a message over a content.
func verified(tb testing.TB, m *cms.Message, content []byte, among ...*x509.Certificate) {
	tb.Helper()
	digests, err := m.Digests(bytes.NewReader(content))
	if err != nil {
		tb.Fatal(err)
	}
	for i, s := range m.Signers {
		certificate := s.Certificate(append(among, m.Certificates...))
		if certificate == nil {
			tb.Fatalf("signer %d: no certificate", i)
		}
		if err := s.Verify(certificate, digests[s.Hash]); err != nil {
			tb.Errorf("signer %d: %v", i, err)
		}
	}
}

// TestOpenSSLMakes reads what openssl writes, in each of its shapes, adds a
// signer of ours to it, and has openssl judge both what was written again and
// what was added.
func TestOpenSSLMakes(t *testing.T) {
	t.Parallel()
	authority := cmstest.NewAuthority(t)
	signers := map[string]*cmstest.Signer{}
	for _, kind := range []string{"rsa", "p256", "p384", "p521"} {
		signers[kind] = authority.Signer(t, kind)
	}
	content := bytes.Repeat([]byte("Expediente 2026/0001, España\n"), 3000)
	for name, tc := range map[string]struct {
		kinds []string
		args  []string
		want  func(*testing.T, *cms.Message)
	}{
		"rsa":              {kinds: []string{"rsa"}},
		"p256":             {kinds: []string{"p256"}},
		"p384 SHA-384":     {kinds: []string{"p384"}, args: []string{"-md", "sha384"}},
		"p521 SHA-512":     {kinds: []string{"p521"}, args: []string{"-md", "sha512"}},
		"SHA-1":            {kinds: []string{"rsa"}, args: []string{"-md", "sha1"}, want: hashes(crypto.SHA1)},
		"PSS":              {kinds: []string{"rsa"}, args: []string{"-keyopt", "rsa_padding_mode:pss"}, want: schemes(cms.PSS)},
		"PSS, short salt":  {kinds: []string{"rsa"}, args: []string{"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:8"}, want: schemes(cms.PSS)},
		"PSS, SHA-1":       {kinds: []string{"rsa"}, args: []string{"-keyopt", "rsa_padding_mode:pss", "-md", "sha1"}, want: schemes(cms.PSS)},
		"by key":           {kinds: []string{"rsa"}, args: []string{"-keyid"}, want: named(false)},
		"no certificates":  {kinds: []string{"p256"}, args: []string{"-nocerts"}, want: named(true)},
		"no attributes":    {kinds: []string{"rsa"}, args: []string{"-noattr"}},
		"CAdES":            {kinds: []string{"rsa"}, args: []string{"-cades"}},
		"several":          {kinds: []string{"rsa", "p256", "p384"}, want: schemes(cms.PKCS1v15, cms.ECDSA, cms.ECDSA)},
		"another type":     {kinds: []string{"p256"}, args: []string{"-econtent_type", "1.2.3.4"}},
		"several by key":   {kinds: []string{"rsa", "p256"}, args: []string{"-keyid", "-cades"}},
		"no S/MIME, chain": {kinds: []string{"p256"}, args: []string{"-nosmimecap", "-certfile", "CHAIN"}},
	} {
		for shape, more := range map[string][]string{"detached": nil, "attached": {"-nodetach"}, "stream": {"-nodetach", "-stream"}} {
			t.Run(name+"/"+shape, func(t *testing.T) {
				t.Parallel()
				if shape == "stream" && strings.HasPrefix(name, "PSS") {
					more = more[:1] // openssl 3.0 fails to stream these
				}
				b := newBench(t)
				args := []string{"cms", "-sign", "-binary", "-outform", "DER", "-in", b.write("content", content), "-out", b.path("made")}
				var certificates []*x509.Certificate
				for _, kind := range tc.kinds {
					args = append(args, b.keep(kind, signers[kind])...)
					certificates = append(certificates, signers[kind].Certificate)
				}
				for _, a := range append(tc.args, more...) {
					if a == "CHAIN" {
						a = b.write("chain.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Root.Raw}))
					}
					args = append(args, a)
				}
				b.must(args...)
				made := b.read("made")
				m := open(t, made)
				if tc.want != nil {
					tc.want(t, m)
				}
				if len(m.Signers) != len(tc.kinds) {
					t.Fatalf("got %d signers, want %d", len(m.Signers), len(tc.kinds))
				}
				detached := content
				if m.Attached() != (shape != "detached") {
					t.Fatalf("attached: got %v", m.Attached())
				}
				if m.Attached() {
					detached = nil
					var got bytes.Buffer
					if _, err := got.ReadFrom(m.Content()); err != nil || !bytes.Equal(got.Bytes(), content) || m.ContentSize() != int64(len(content)) {
						t.Errorf("got %d octets of content, want %d: %v", got.Len(), len(content), err)
					}
				}
				verified(t, m, content, certificates...)
				again := written(t, m)
				if slices.Contains(more, "-stream") == bytes.Equal(again, made) {
					t.Errorf("writing %d octets gives %d", len(made), len(again))
				}
				if twice := written(t, open(t, again)); !bytes.Equal(twice, again) {
					t.Error("writing again gives other octets")
				}
				ours := authority.Signer(t, "p256")
				chain := []string{"-certfile", b.allCertificates(certificates)}
				other := !m.ContentType.Equal([]int{1, 2, 840, 113549, 1, 7, 1})
				if other || slices.Contains(more, "-stream") {
					b.accepts(again, detached, authority.Root, chain...)
				}
				if other {
					return
				}
				if err := m.AddSigner(ours.Parts(t, params(ours, content, crypto.SHA384))); err != nil {
					t.Fatalf("adding a signer: %v", err)
				}
				verified(t, open(t, written(t, m)), content, certificates...)
				b.accepts(written(t, m), detached, authority.Root, chain...)
			})
		}
	}
}

func (b *bench) allCertificates(certificates []*x509.Certificate) string {
	b.Helper()
	var out []byte
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b.write("certificates.pem", out)
}

func hashes(want crypto.Hash) func(*testing.T, *cms.Message) {
	return func(t *testing.T, m *cms.Message) {
		t.Helper()
		for _, s := range m.Signers {
			if s.Hash != want {
				t.Errorf("got %v, want %v", s.Hash, want)
			}
		}
	}
}

func schemes(want ...cms.Scheme) func(*testing.T, *cms.Message) {
	return func(t *testing.T, m *cms.Message) {
		t.Helper()
		got := map[cms.Scheme]int{}
		for _, s := range m.Signers {
			got[s.Scheme]++
		}
		for _, s := range want {
			got[s]--
		}
		for s, n := range got {
			if n != 0 {
				t.Errorf("%s: %d too many", s, n)
			}
		}
	}
}

func named(bySerial bool) func(*testing.T, *cms.Message) {
	return func(t *testing.T, m *cms.Message) {
		t.Helper()
		s := m.Signers[0]
		if (s.Serial != nil) != bySerial || (len(s.KeyID) > 0) == bySerial {
			t.Errorf("got serial %v, key %x", s.Serial, s.KeyID)
		}
	}
}

// TestOpenSSLReSigns has openssl add a signer to a message of ours, and reads
// the result.
func TestOpenSSLReSigns(t *testing.T) {
	t.Parallel()
	authority := cmstest.NewAuthority(t)
	ours, theirs := authority.Signer(t, "pss"), authority.Signer(t, "p256")
	content := []byte("contenido")
	b := newBench(t)
	var attached bytes.Buffer
	if err := cms.Attach(&attached, ours.Sign(t, content, crypto.SHA256), bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	b.must(append([]string{
		"cms", "-resign", "-binary", "-inform", "DER", "-outform", "DER",
		"-in", b.write("ours", attached.Bytes()), "-out", b.path("both"),
	}, b.keep("theirs", theirs)...)...)
	m := open(t, b.read("both"))
	if len(m.Signers) != 2 {
		t.Fatalf("got %d signers, want 2", len(m.Signers))
	}
	verified(t, m, content)
	b.accepts(written(t, m), nil, authority.Root)
}
