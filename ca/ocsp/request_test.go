package ocsp

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"math/big"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// draft is a request to be spoilt, part by part.
type draft struct {
	before, list, extensions, after []byte
}

func (d draft) der(tb testing.TB) []byte {
	tb.Helper()
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(d.before)
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(d.list) })
			if d.extensions != nil {
				b.AddASN1(tag(2), func(b *cryptobyte.Builder) {
					b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(d.extensions) })
				})
			}
		})
		b.AddBytes(d.after)
	})
	return b.BytesOrPanic()
}

// certificate is a Request with a CertID.
func certificate(algorithm string, nameSize, keySize int, serial, extensions string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(unhex(algorithm)) })
			b.AddASN1OctetString(bytes.Repeat([]byte{1}, nameSize))
			b.AddASN1OctetString(bytes.Repeat([]byte{2}, keySize))
			b.AddASN1(der.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(unhex(serial)) })
		})
		b.AddBytes(unhex(extensions))
	})
	return b.BytesOrPanic()
}

func nonceExtension(length int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidNonce())
		b.AddASN1(der.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(make([]byte, length)) })
	})
	return b.BytesOrPanic()
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

const (
	sha1NULL   = "06052b0e03021a0500"
	sha1Bare   = "06052b0e03021a"
	sha256Bare = "0609608648016503040201"
	sha256NULL = "06096086480165030402010500"
	sha384Bare = "0609608648016503040202"
	sha512Bare = "0609608648016503040203"
	md5NULL    = "06082a864886f70d02050500"
	// Extensions for one certificate, of the unknown 1.2.3.4: not critical,
	// said not to be critical, critical.
	lax      = "a00b3009300706032a03040400"
	laxFalse = "a00e300c300a06032a03040101000400"
	critical = "a00e300c300a06032a03040101ff0400"
)

// malformedDrafts are requests with one thing wrong each.
func malformedDrafts(tb testing.TB) map[string][]byte {
	tb.Helper()
	one := certificate(sha1NULL, 20, 20, "42", "")
	good := draft{list: one}.der(tb)
	many := draft{list: bytes.Repeat(one, MaxCertificates+1)}
	return map[string][]byte{
		"empty":                 {},
		"a letter":              []byte("a"),
		"half":                  good[:len(good)/2],
		"something after":       append(bytes.Clone(good), 0),
		"indefinite length":     append([]byte{0x30, 0x80}, append(bytes.Clone(good[2:]), 0, 0)...),
		"no certificate":        draft{}.der(tb),
		"51 certificates":       many.der(tb),
		"huge":                  draft{list: one, before: append([]byte{0xa1, 0x82, 0x40, 0, 0x82, 0x82, 0x3f, 0xfc}, make([]byte, 0x3ffc)...)}.der(tb),
		"version 2":             draft{before: unhex("a003020101"), list: one}.der(tb),
		"empty requestor":       draft{before: unhex("a100"), list: one}.der(tb),
		"empty signature":       draft{list: one, after: unhex("a000")}.der(tb),
		"two signatures":        draft{list: one, after: unhex("a0023000a0023000")}.der(tb),
		"nonce of 0":            draft{list: one, extensions: nonceExtension(0)}.der(tb),
		"nonce of 129":          draft{list: one, extensions: nonceExtension(129)}.der(tb),
		"two nonces":            draft{list: one, extensions: append(nonceExtension(8), nonceExtension(8)...)}.der(tb),
		"nonce not wrapped":     draft{list: one, extensions: unhex("301306092b06010505073001020406ffffffffffff")}.der(tb),
		"no extension":          draft{list: one, extensions: []byte{}}.der(tb),
		"critical":              draft{list: one, extensions: unhex("300a06032a03040101ff0400")}.der(tb),
		"critical for one":      draft{list: certificate(sha1NULL, 20, 20, "42", critical)}.der(tb),
		"SHA-1 of 32":           draft{list: certificate(sha1NULL, 32, 32, "42", "")}.der(tb),
		"SHA-256 of 20":         draft{list: certificate(sha256Bare, 20, 20, "42", "")}.der(tb),
		"key hash of 19":        draft{list: certificate(sha1NULL, 20, 19, "42", "")}.der(tb),
		"parameters":            draft{list: certificate(sha1Bare+"020100", 20, 20, "42", "")}.der(tb),
		"no serial":             draft{list: certificate(sha1NULL, 20, 20, "", "")}.der(tb),
		"serial with zero lead": draft{list: certificate(sha1NULL, 20, 20, "0001", "")}.der(tb),
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, request := range malformedDrafts(t) {
		if r, err := Parse(request); !errors.Is(err, ErrMalformed) || r != nil {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
}

// goodDrafts are requests that are answered; plain ones come back octet for octet.
func goodDrafts(tb testing.TB) (plain, passed map[string][]byte) {
	tb.Helper()
	one := certificate(sha1NULL, 20, 20, "42", "")
	plain = map[string][]byte{
		"SHA-1":            draft{list: one}.der(tb),
		"SHA-1, bare":      draft{list: certificate(sha1Bare, 20, 20, "42", "")}.der(tb),
		"SHA-256":          draft{list: certificate(sha256Bare, 32, 32, "42", "")}.der(tb),
		"SHA-256, NULL":    draft{list: certificate(sha256NULL, 32, 32, "42", "")}.der(tb),
		"SHA-384":          draft{list: certificate(sha384Bare, 48, 48, "42", "")}.der(tb),
		"SHA-512":          draft{list: certificate(sha512Bare, 64, 64, "42", "")}.der(tb),
		"unknown hash":     draft{list: certificate(md5NULL, 16, 16, "42", "")}.der(tb),
		"50 certificates":  draft{list: bytes.Repeat(one, MaxCertificates)}.der(tb),
		"nonce of 1":       draft{list: one, extensions: nonceExtension(1)}.der(tb),
		"nonce of 128":     draft{list: one, extensions: nonceExtension(128)}.der(tb),
		"negative serial":  draft{list: certificate(sha1NULL, 20, 20, "ff", "")}.der(tb),
		"serial of 0":      draft{list: certificate(sha1NULL, 20, 20, "00", "")}.der(tb),
		"serial of 120":    draft{list: certificate(sha1NULL, 20, 20, "7f"+hex.EncodeToString(make([]byte, 119)), "")}.der(tb),
		"serial of 16, 8x": draft{list: certificate(sha1NULL, 20, 20, "0080000000000000000000000000000001", "")}.der(tb),
	}
	passed = map[string][]byte{
		"version 1":         draft{before: unhex("a003020100"), list: one}.der(tb),
		"requestor":         draft{before: unhex("a1038201ff"), list: one}.der(tb),
		"signed":            draft{list: one, after: unhex("a0023000")}.der(tb),
		"other extension":   draft{list: one, extensions: append(nonceExtension(8), unhex("300706032a03040400")...)}.der(tb),
		"extension for one": draft{list: certificate(sha1NULL, 20, 20, "42", lax)}.der(tb),
		"critical FALSE":    draft{list: certificate(sha1NULL, 20, 20, "42", laxFalse)}.der(tb),
	}
	return plain, passed
}

func TestParse(t *testing.T) {
	t.Parallel()
	plain, passed := goodDrafts(t)
	for name, request := range plain {
		r, err := Parse(request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if again, err := r.Marshal(); err != nil || !r.plain || !bytes.Equal(again, request) {
			t.Errorf("%s: got %x again, %v, want %x", name, again, err, request)
		}
	}
	for name, request := range passed {
		r, err := Parse(request)
		if err != nil || r.plain {
			t.Errorf("%s: got %v, want a request with something passed over", name, err)
		}
	}
	r, err := Parse(draft{list: certificate(sha256Bare, 32, 32, "0102", ""), extensions: nonceExtension(2)}.der(t))
	if err != nil {
		t.Fatal(err)
	}
	want := CertID{Hash: crypto.SHA256, IssuerName: bytes.Repeat([]byte{1}, 32), IssuerKey: bytes.Repeat([]byte{2}, 32), Serial: big.NewInt(258)}
	r.Certificates[0].raw = nil
	if diff := cmp.Diff([]CertID{want}, r.Certificates, cmp.AllowUnexported(CertID{}), cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Errorf("certificates (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]byte{0, 0}, r.Nonce); diff != "" {
		t.Errorf("nonce (-want +got):\n%s", diff)
	}
}

// What is accepted is written again as it was; if something was passed over,
// what is written is read as the same question.
func FuzzParse(f *testing.F) {
	plain, passed := goodDrafts(f)
	for _, seeds := range []map[string][]byte{plain, passed, malformedDrafts(f)} {
		for _, seed := range seeds {
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := Parse(request)
		runtime.ReadMemStats(&after)
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 4<<20 {
			t.Errorf("parsing %d octets took %d octets of memory", len(request), spent)
		}
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v, want ErrMalformed", err)
			}
			return
		}
		again, err := r.Marshal()
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}
		if r.plain && !bytes.Equal(again, request) {
			t.Fatalf("got %x again, want %x", again, request)
		}
		second, err := Parse(again)
		if err != nil || !second.plain {
			t.Fatalf("reading what was written: got %+v, %v", second, err)
		}
		if twice, err := second.Marshal(); err != nil || !bytes.Equal(twice, again) || len(second.Certificates) != len(r.Certificates) || !bytes.Equal(second.Nonce, r.Nonce) {
			t.Fatalf("got %x, then %x, %v", again, twice, err)
		}
	})
}

func TestCanonicalSerial(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"0a": "0a", "a": "0a", "000AbC": "0abc", "1000": "1000", "00": "", "": "", "-1": "", "xyz": "", "0x1": "", "1_0": ""} {
		if got, err := canonicalSerial(given); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", given, got, err, want)
		}
	}
	if got := Serial(big.NewInt(0x0abc)); got != "0abc" {
		t.Errorf("Serial: got %q, want 0abc", got)
	}
}
