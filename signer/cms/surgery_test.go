package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// inside are the elements in a constructed one.
func inside(tb testing.TB, der []byte) [][]byte {
	tb.Helper()
	var e asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &e); err != nil || len(rest) > 0 {
		tb.Fatalf("test bug: %v", err)
	}
	var out [][]byte
	for rest := e.Bytes; len(rest) > 0; {
		var child asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &child); err != nil {
			tb.Fatalf("test bug: %v", err)
		}
		out = append(out, child.FullBytes)
	}
	return out
}

func around(identifier byte, members ...[]byte) []byte {
	return element(identifier, bytes.Join(members, nil), false)
}

// surgery changes the members of SignedData.
func surgery(tb testing.TB, der []byte, change func(members [][]byte) [][]byte) []byte {
	tb.Helper()
	info := inside(tb, der)
	data := around(0x30, change(inside(tb, inside(tb, info[1])[0]))...)
	return around(0x30, info[0], around(0xa0, data))
}

// signerSurgery changes the members of the only SignerInfo.
func signerSurgery(tb testing.TB, der []byte, change func(members [][]byte) [][]byte) []byte {
	tb.Helper()
	return surgery(tb, der, func(members [][]byte) [][]byte {
		signer := inside(tb, inside(tb, members[len(members)-1])[0])
		members[len(members)-1] = around(0x31, around(0x30, change(signer)...))
		return members
	})
}

// TestOrder: what others have written out of order stays as it is, and what is
// added to it comes last.
func TestOrder(t *testing.T) {
	t.Parallel()
	authority := cmstest.NewAuthority(t)
	s := authority.Signer(t, "p256")
	content := []byte("contenido")
	odd := surgery(t, s.Sign(t, content, crypto.SHA256), func(members [][]byte) [][]byte {
		certificates := inside(t, members[3])
		slices.Reverse(certificates)
		members[3] = around(0xa0, certificates...)
		return members
	})
	m := open(t, odd)
	if got := written(t, m); !bytes.Equal(got, odd) {
		t.Fatal("a message out of order is not written as it was")
	}
	before := m.RawCertificates()
	for range 4 { // of random serial numbers, so that some would not be the last
		added := authority.Signer(t, "p256").Certificate
		if err := m.AddCertificates(added); err != nil {
			t.Fatal(err)
		}
		before = append(before, added.Raw)
	}
	if diff := cmp.Diff(before, open(t, written(t, m)).RawCertificates()); diff != "" {
		t.Error(diff)
	}

	// An old archive time-stamp depends on the order of the unsigned attributes.
	m = open(t, s.Sign(t, content, crypto.SHA256))
	var want []string
	for _, oid := range []asn1.ObjectIdentifier{{1, 2, 840, 113549, 1, 9, 16, 2, 48}, {1, 2, 3}, {1, 2, 840, 113549, 1, 9, 16, 2, 14}, {0, 1}} {
		if err := m.AddUnsigned(0, cms.Attribute{Type: oid, Value: []byte{5, 0}}); err != nil {
			t.Fatal(err)
		}
		want = append(want, oid.String())
	}
	var got []string
	for _, a := range open(t, written(t, m)).Signers[0].Unsigned {
		got = append(got, a.Type.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestBasicOCSP: who puts BasicOCSPResponse into crls is understood, too.
func TestBasicOCSP(t *testing.T) {
	t.Parallel()
	authority := cmstest.NewAuthority(t)
	s := authority.Signer(t, "p256")
	answer := authority.OCSP(t, s.Certificate, nil)
	typed := inside(t, inside(t, inside(t, answer)[1])[0]) // responseType, response
	var basic []byte
	if _, err := asn1.Unmarshal(typed[1], &basic); err != nil {
		t.Fatal(err)
	}
	der := surgery(t, s.Sign(t, []byte("contenido"), crypto.SHA256), func(members [][]byte) [][]byte {
		return slices.Insert(members, 4, around(0xa1, around(0xa1, typed[0], basic)))
	})
	m := open(t, der)
	if diff := cmp.Diff([][]byte{answer}, m.OCSPs()); diff != "" {
		t.Error(diff)
	}
	if err := m.AddRevocations(nil, [][]byte{answer}); err != nil {
		t.Fatal(err)
	}
	if got := len(m.RawRevocations()); got != 1 {
		t.Errorf("got %d members of crls, want 1: the answer is there already", got)
	}
}

// TestConforms takes a good message and makes it one that can be read, and that
// no standard allows.
func TestConforms(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	good := s.Sign(t, []byte("contenido"), crypto.SHA256)
	set := func(i int, to []byte) func([][]byte) [][]byte {
		return func(members [][]byte) [][]byte {
			members[i] = to
			return members
		}
	}
	insert := func(i int, what []byte) func([][]byte) [][]byte {
		return func(members [][]byte) [][]byte { return slices.Insert(members, i, what) }
	}
	if err := open(t, good).Conforms(); err != nil {
		t.Fatalf("a good message: %v", err)
	}
	for name, der := range map[string][]byte{
		"version of SignedData":     surgery(t, good, set(0, []byte{2, 1, 3})),
		"no digest algorithm":       surgery(t, good, set(1, []byte{0x31, 0})),
		"another digest algorithm":  surgery(t, good, set(1, around(0x31, around(0x30, []byte{6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2})))),
		"empty certificates":        surgery(t, good, set(3, []byte{0xa0, 0})),
		"empty crls":                surgery(t, good, insert(4, []byte{0xa1, 0})),
		"no signer":                 surgery(t, good, set(4, []byte{0x31, 0})),
		"version of SignerInfo":     signerSurgery(t, good, set(0, []byte{2, 1, 3})),
		"empty unsigned attributes": signerSurgery(t, good, insert(6, []byte{0xa1, 0})),
		"an attribute twice": signerSurgery(t, good, func(members [][]byte) [][]byte {
			attributes := inside(t, members[3])
			members[3] = around(0xa0, append(attributes, attributes[0])...)
			return members
		}),
	} {
		m := open(t, der)
		if got := written(t, m); !bytes.Equal(got, der) {
			t.Errorf("%s: not written as it was", name)
		}
		if err := m.Conforms(); !errors.Is(err, cms.ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, cms.ErrMalformed)
		}
	}
	none := surgery(t, good, set(4, []byte{0x31, 0}))
	if err := cms.CrossCheck(none, []byte("contenido")); !errors.Is(err, cms.ErrInvalid) {
		t.Errorf("CrossCheck of no signer: got %v, want %v", err, cms.ErrInvalid)
	}
	// An attribute that encoding/asn1 has no type for.
	large := around(0x30, []byte{6, 11, 0x69, 0x83, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, around(0x31, []byte{5, 0}))
	m := open(t, signerSurgery(t, good, insert(6, around(0xa1, large))))
	if len(m.Signers[0].Unsigned) != 1 || m.Signers[0].Unsigned[0].Type != nil {
		t.Errorf("got %v, want one attribute without a type", m.Signers[0].Unsigned)
	}
	if err := m.RemoveUnsigned(0, nil); !errors.Is(err, cms.ErrMalformed) {
		t.Errorf("removing no type: got %v, want %v", err, cms.ErrMalformed)
	}
}

// TestCostlyKeys: a certificate with a key that would take hours is refused.
func TestCostlyKeys(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "rsa")
	content := []byte("contenido")
	signer := open(t, s.Sign(t, content, crypto.SHA256)).Signers[0]
	n := new(big.Int).Lsh(big.NewInt(1), 1<<20)
	n.Add(n, big.NewInt(1))
	costly := *s.Certificate
	costly.PublicKey = &rsa.PublicKey{N: n, E: 65537}
	if err := signer.Verify(&costly, cmstest.Digest(crypto.SHA256, content)); !errors.Is(err, cms.ErrUnsupported) {
		t.Errorf("got %v, want %v", err, cms.ErrUnsupported)
	}
}

// TestPSSKeys: certificates may name a key as one for PSS alone, which crypto/x509
// does not read.
func TestPSSKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must("req", "-x509", "-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048", "-nodes", "-subj", "/CN=PSS",
		"-keyout", b.path("key"), "-outform", "DER", "-out", b.path("certificate"), "-days", "2")
	certificate, err := x509.ParseCertificate(b.read("certificate"))
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 100)
	rand.Read(content)
	b.must("x509", "-inform", "DER", "-in", b.path("certificate"), "-out", b.path("certificate.pem"))
	b.must("cms", "-sign", "-binary", "-in", b.write("content", content), "-signer", b.path("certificate.pem"),
		"-inkey", b.path("key"), "-keyopt", "rsa_padding_mode:pss", "-outform", "DER", "-out", b.path("made"))
	m := open(t, b.read("made"))
	verified(t, m, content, certificate)
	if m.Signers[0].Scheme != cms.PSS {
		t.Errorf("got %q, want %q", m.Signers[0].Scheme, cms.PSS)
	}
}

// TestHostileMemory: what is made to cost much costs a small multiple of its
// octets. It is not parallel: it measures the memory of the whole process.
func TestHostileMemory(t *testing.T) {
	s := cmstest.New(t, "p256")
	good := s.Sign(t, []byte("contenido"), crypto.SHA256)
	const size = 3 << 20
	nulls := bytes.Repeat([]byte{5, 0}, size/2)
	pieces := append(append([]byte{0x24, 0x80}, bytes.Repeat([]byte{4, 1, 0}, size/3)...), 0, 0)
	values := func(value []byte) []byte {
		attribute := around(0x30, []byte{6, 2, 0x2a, 3}, around(0x31, value))
		return signerSurgery(t, good, func(members [][]byte) [][]byte { return slices.Insert(members, 6, around(0xa1, attribute)) })
	}
	members := func(at int, member []byte) []byte {
		return surgery(t, good, func(members [][]byte) [][]byte { return slices.Insert(members, at, member) })
	}
	for name, der := range map[string][]byte{
		"values of an attribute": values(nulls),
		"a string in pieces":     values(pieces),
		"members of crls":        members(4, around(0xa1, nulls)),
		"nested in crls":         members(4, around(0xa1, bytes.Repeat([]byte{0x30, 0x80}, 90), nulls, make([]byte, 180))),
		"empty, indefinite":      members(4, around(0xa1, around(0x30, bytes.Repeat([]byte{0x30, 0x80, 0, 0}, size/4)))),
		"digest algorithms":      surgery(t, good, func(members [][]byte) [][]byte { members[1] = around(0x31, nulls); return members }),
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err := cms.Open(bytes.NewReader(der), int64(len(der)))
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8*size {
			t.Errorf("%s: %d KB allocated for %d (%v)", name, used>>10, len(der)>>10, err)
		}
	}
}
