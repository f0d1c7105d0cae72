package cades_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// lta makes a B-LTA signature with two archive time-stamps.
func lta(t *testing.T, p *pki, citizen entity, content []byte) *cms.Message {
	t.Helper()
	m := p.sign(t, citizen, content, suite{hash: crypto.SHA256}, false)
	for _, l := range levels()[1:] {
		p.lift(t, m, 0, citizen, content, crypto.SHA256, l)
	}
	p.lift(t, m, 0, citizen, content, crypto.SHA512, cades.BLTA)
	return open(t, encode(t, m))
}

func kinds(stamps []*cades.TimeStamp) []cades.Kind {
	var out []cades.Kind
	for _, s := range stamps {
		out = append(out, s.Kind)
	}
	return out
}

func TestTimeStamps(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizen := p.citizen(t, "p256")
	content := []byte("contenido")
	m := lta(t, p, citizen, content)
	stamps, err := cades.TimeStamps(m, 0)
	must(t, err)
	want := []cades.Kind{cades.SignatureTimeStamp, cades.ArchiveTimeStamp, cades.ArchiveTimeStamp}
	if got := kinds(stamps); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i, s := range stamps {
		if err := s.Check(bytes.NewReader(content)); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		if s.Time.Before(p.now) || len(s.Imprint) != s.Hash.Size() {
			t.Errorf("%d: got %+v", i, s)
		}
	}
	if err := stamps[0].Check(nil); err != nil {
		t.Errorf("a signature-time-stamp without content: %v", err)
	}
	if err := stamps[1].Check(bytes.NewReader([]byte("otro"))); !errors.Is(err, cades.ErrContent) {
		t.Errorf("another content: got %v", err)
	}
	if stamps[1].Hash != crypto.SHA256 || stamps[2].Hash != crypto.SHA512 {
		t.Errorf("got the archives by %v and %v, want the oldest first", stamps[1].Hash, stamps[2].Hash)
	}
	covers := func(i int, element []byte, want bool) {
		t.Helper()
		if stamps[i].Covers(element) != want {
			t.Errorf("%d: got covers = %v, want %v", i, !want, want)
		}
	}
	for _, element := range slices.Concat(m.RawCertificates(), m.RawRevocations()) {
		covers(0, element, false)
		covers(1, element, true)
		covers(2, element, true)
	}
	covers(1, stamps[0].Token, true)
	covers(1, stamps[1].Token, false)
	covers(2, stamps[1].Token, true)
	covers(2, []byte("otro"), false)
}

// TestGone: an archive time-stamp falls with anything that its index names.
func TestGone(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizen := p.citizen(t, "p256")
	content := []byte("contenido")
	for name, change := range map[string]func(der []byte, m *cms.Message) []byte{
		"certificate": func(der []byte, _ *cms.Message) []byte {
			return bytes.Replace(der, p.tsa.RawSubject, append(slices.Clip(p.tsa.RawSubject[:len(p.tsa.RawSubject)-1]), 'x'), 1)
		},
		"revocation value": func(der []byte, m *cms.Message) []byte {
			raw := bytes.Clone(m.CRLs()[0])
			raw[len(raw)-1] ^= 1
			return bytes.Replace(der, m.CRLs()[0], raw, 1)
		},
		"signature-time-stamp": func(der []byte, m *cms.Message) []byte {
			must(t, m.RemoveUnsigned(0, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}))
			return encode(t, m)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := lta(t, p, citizen, content)
			m = open(t, change(encode(t, m), m))
			stamps, err := cades.TimeStamps(m, 0)
			must(t, err)
			for _, s := range stamps {
				if s.Kind != cades.ArchiveTimeStamp {
					continue
				}
				if err := s.Check(bytes.NewReader(content)); !errors.Is(err, cades.ErrTimeStamp) || s.Covers(m.RawCertificates()[0]) {
					t.Errorf("got %v, want %v", err, cades.ErrTimeStamp)
				}
			}
			if got := cades.LevelOf(m, 0); got.AtLeast(cades.BLTA) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestOldHashIndex reads archive time-stamps of TS 101 733, whose index names
// attributes as a whole, and SHA-256 by saying nothing.
func TestOldHashIndex(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizen := p.citizen(t, "p256")
	content := []byte("contenido")
	for name, tc := range map[string]struct {
		hash     crypto.Hash
		spoil    bool
		expected error
	}{
		"SHA-256": {crypto.SHA256, false, nil},
		"SHA-512": {crypto.SHA512, false, cades.ErrTimeStamp}, // by default it says SHA-256
		"gone":    {crypto.SHA256, true, cades.ErrTimeStamp},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := p.sign(t, citizen, content, suite{hash: crypto.SHA256}, false)
			p.lift(t, m, 0, citizen, content, crypto.SHA256, cades.BT)
			p.lift(t, m, 0, citizen, content, crypto.SHA256, cades.BLT)
			var index struct{ Certificates, Revocations, Attributes [][]byte }
			for _, raw := range m.RawCertificates() {
				index.Certificates = append(index.Certificates, digest(tc.hash, raw))
			}
			for _, raw := range m.RawRevocations() {
				index.Revocations = append(index.Revocations, digest(tc.hash, raw))
			}
			stamp := m.Signers[0].Unsigned[0]
			attribute, err := asn1.Marshal(struct {
				Type   asn1.ObjectIdentifier
				Values []asn1.RawValue `asn1:"set"`
			}{stamp.Type, []asn1.RawValue{{FullBytes: stamp.Values[0]}}})
			must(t, err)
			index.Attributes = [][]byte{digest(tc.hash, attribute)}
			if tc.spoil {
				index.Attributes[0][0] ^= 1
			}
			der, err := asn1.Marshal(index)
			must(t, err)
			parts := slices.Concat([][]byte{oid(t, "2a864886f70d010701"), digest(tc.hash, content)}, m.Signers[0].ImprintFields(), [][]byte{der})
			token := open(t, p.stamp(t, tc.hash, digest(tc.hash, bytes.Join(parts, nil))))
			must(t, token.AddUnsigned(0, cms.Attribute{Type: asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 5}, Value: der}))
			must(t, m.AddUnsigned(0, cms.Attribute{Type: asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 4}, Value: encode(t, token)}))

			stamps, err := cades.TimeStamps(m, 0)
			must(t, err)
			archive := stamps[len(stamps)-1]
			if err := archive.Check(bytes.NewReader(content)); !errors.Is(err, tc.expected) {
				t.Errorf("got %v, want %v", err, tc.expected)
			}
			want := map[bool]cades.Level{true: cades.BLTA, false: cades.BLT}[tc.expected == nil]
			if got := cades.LevelOf(m, 0); got != want || archive.Covers(stamps[0].Token) != (tc.expected == nil) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestUnreadable: a token that is none does not hide the others.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizen := p.citizen(t, "p256")
	m := lta(t, p, citizen, []byte("contenido"))
	for _, kind := range []asn1.ObjectIdentifier{{1, 2, 840, 113549, 1, 9, 16, 2, 14}, {0, 4, 0, 1733, 2, 4}} {
		must(t, m.AddUnsigned(0, cms.Attribute{Type: kind, Value: []byte{0x05, 0x00}}))
	}
	stamps, err := cades.TimeStamps(m, 0)
	must(t, err)
	if len(stamps) != 5 || stamps[0].Err == nil || stamps[1].Err == nil || stamps[2].Err != nil {
		t.Fatalf("got %v, want two that cannot be read, and then the others", kinds(stamps))
	}
	if err := stamps[0].Check(nil); !errors.Is(err, cades.ErrTimeStamp) {
		t.Errorf("got %v, want %v", err, cades.ErrTimeStamp)
	}
	if got := cades.LevelOf(m, 0); got != cades.BLTA {
		t.Errorf("got %q, want %q", got, cades.BLTA)
	}
}

// TestContentTimeStamp reads one, which we never write.
func TestContentTimeStamp(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizen := p.citizen(t, "p256")
	content := []byte("contenido")
	parts := p.parts(t, citizen, content, suite{hash: crypto.SHA256})
	attributes, err := cms.ParseAttributes(parts.SignedAttributes)
	must(t, err)
	attributes = append(attributes, cms.Attribute{
		Type:  asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 20},
		Value: p.stamp(t, crypto.SHA384, digest(crypto.SHA384, content)),
	})
	parts.SignedAttributes, err = cms.EncodeAttributes(attributes...)
	must(t, err)
	parts.Signature, err = citizen.key.Sign(nil, cades.DTBSR(parts.SignedAttributes, crypto.SHA256), crypto.SHA256)
	must(t, err)
	der, err := cms.Assemble(parts)
	must(t, err)
	stamps, err := cades.TimeStamps(open(t, der), 0)
	must(t, err)
	if len(stamps) != 1 || stamps[0].Kind != cades.ContentTimeStamp {
		t.Fatalf("got %v, want a content-time-stamp", kinds(stamps))
	}
	if err := stamps[0].Check(bytes.NewReader(content)); err != nil {
		t.Error(err)
	}
	if err := stamps[0].Check(bytes.NewReader(nil)); !errors.Is(err, cades.ErrContent) {
		t.Errorf("got %v, want %v", err, cades.ErrContent)
	}
}

// TestReadTimeStamp reads a token that is not part of a CAdES signature.
func TestReadTimeStamp(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	content := []byte("%PDF-1.7")
	s, err := cades.ReadTimeStamp(p.stamp(t, crypto.SHA384, digest(crypto.SHA384, content)))
	must(t, err)
	if s.Kind != cades.DocumentTimeStamp || s.Hash != crypto.SHA384 || s.Time.Before(p.now) || s.Covers(content) {
		t.Errorf("got %+v", s)
	}
	if c := s.Authority(); c == nil || !c.Equal(p.tsa.Certificate) || len(s.Evidence().Certificates) != 2 {
		t.Errorf("got authority %v and %d certificates", c, len(s.Evidence().Certificates))
	}
	must(t, s.Check(bytes.NewReader(content)))
	if err := s.Check(bytes.NewReader([]byte("%PDF-1.8"))); !errors.Is(err, cades.ErrTimeStamp) {
		t.Errorf("another document: got %v", err)
	}
	if err := s.Check(nil); !errors.Is(err, cades.ErrContent) {
		t.Errorf("no document: got %v", err)
	}
	if _, err := cades.ReadTimeStamp([]byte{0x30, 0}); !errors.Is(err, cades.ErrTimeStamp) {
		t.Errorf("no token: got %v", err)
	}
}

// TestForeign extends what OpenSSL signed: BER in pieces with the content inside,
// by two signers, one after the other.
func TestForeign(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizens := []entity{p.citizen(t, "rsa"), p.citizen(t, "p384")}
	content := bytes.Repeat([]byte("Solicitud de ayuda al alquiler\r\n"), 2000)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(file("content"), content, 0o600))
	openssl := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	for i, c := range citizens {
		c.writePEM(t, file("signer.pem"))
		in, out := file("content"), file("signed"+string(rune('0'+i)))
		args := []string{"cms", "-sign", "-cades", "-binary", "-nodetach", "-stream", "-md", "sha256", "-in", in}
		if i > 0 {
			args = []string{"cms", "-resign", "-cades", "-md", "sha256", "-inform", "DER", "-in", file("signed0")}
		}
		openssl(append(args, "-signer", file("signer.pem"), "-outform", "DER", "-out", out)...)
	}
	der, err := os.ReadFile(file("signed1"))
	must(t, err)
	m := open(t, der)
	if len(m.Signers) != 2 || !m.Attached() {
		t.Fatalf("got %d signers, attached = %v", len(m.Signers), m.Attached())
	}
	for i := range m.Signers {
		who := citizens[slices.IndexFunc(citizens, func(c entity) bool { return m.Signers[i].Certificate(m.Certificates).Equal(c.Certificate) })]
		for _, to := range levels()[1:] {
			p.lift(t, m, i, who, content, crypto.SHA512, to)
		}
		p.lift(t, m, i, who, content, crypto.SHA256, cades.BLTA)
	}
	der = encode(t, m)
	m = open(t, der)
	for i := range m.Signers {
		if got := cades.LevelOf(m, i); got != cades.BLTA {
			t.Errorf("signer %d: got %q, want %q", i, got, cades.BLTA)
		}
		stamps, err := cades.TimeStamps(m, i)
		must(t, err)
		for _, s := range stamps {
			if err := s.Check(nil); err != nil {
				t.Errorf("signer %d, %s: %v", i, s.Kind, err)
			}
		}
	}
	p.judge(t, der, nil)
}
