package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// TestForeignVerdict signs with every accepted key and hash, detached and
// attached, and asks OpenSSL, go.mozilla.org/pkcs7 and ourselves.
func TestForeignVerdict(t *testing.T) {
	t.Parallel()
	content := []byte("Solicitud de ayuda al alquiler\r\nEspaña, 100 €\n\x00\xff")
	for _, kind := range cmstest.Kinds() {
		s := cmstest.New(t, kind)
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			t.Run(fmt.Sprintf("%s/%v", kind, hash), func(t *testing.T) {
				t.Parallel()
				detached := s.Sign(t, content, hash)
				if out, err := s.OpenSSL(t, detached, content); err != nil {
					t.Errorf("openssl on the detached signature: %v\n%s", err, out)
				}
				if out, err := s.OpenSSL(t, detached, append(content, '.')); err == nil {
					t.Errorf("openssl accepts another content: %s", out)
				}
				var attached bytes.Buffer
				if err := cms.Attach(&attached, detached, bytes.NewReader(content), int64(len(content))); err != nil {
					t.Fatalf("attaching: %v", err)
				}
				if out, err := s.OpenSSL(t, attached.Bytes(), nil); err != nil {
					t.Errorf("openssl on the attached signature: %v\n%s", err, out)
				}
				for name, der := range map[string][]byte{"detached": detached, "attached": attached.Bytes()} {
					if err := cms.Verify(der, cmstest.Digest(hash, content), s.Certificate); err != nil {
						t.Errorf("Verify %s: %v", name, err)
					}
					if err := cms.CrossCheck(der, content); err != nil {
						t.Errorf("CrossCheck %s: %v", name, err)
					}
				}
			})
		}
	}
}

// TestAttachSizes crosses every boundary of the length encoding.
func TestAttachSizes(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	for _, size := range []int{0, 1, 127, 128, 255, 256, 65535, 65536, 1<<24 - 1, 1 << 24} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			content := bytes.Repeat([]byte{'x'}, size)
			detached := s.Sign(t, content, crypto.SHA256)
			var got bytes.Buffer
			if err := cms.Attach(&got, detached, bytes.NewReader(content), int64(size)); err != nil {
				t.Fatalf("attaching: %v", err)
			}
			parsed, err := cms.Parse(got.Bytes())
			if err != nil {
				t.Fatalf("parsing the attached signature: %v", err)
			}
			if !parsed.Attached || !bytes.Equal(parsed.Content, content) {
				t.Errorf("got %d bytes attached (%v), want %d", len(parsed.Content), parsed.Attached, size)
			}
			if err := cms.Verify(got.Bytes(), cmstest.Digest(crypto.SHA256, content), s.Certificate); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

func TestAttachRefusesAnotherContent(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	content := []byte("contenido firmado")
	detached := s.Sign(t, content, crypto.SHA256)
	for name, tc := range map[string]struct {
		content string
		size    int64
	}{
		"other bytes": {"contenido cambiado", 18},
		"too short":   {"contenido", int64(len(content))},
		"too long":    {"contenido firmado y más", int64(len(content))},
	} {
		err := cms.Attach(&bytes.Buffer{}, detached, bytes.NewReader([]byte(tc.content)), tc.size)
		if !errors.Is(err, cms.ErrContentMismatch) {
			t.Errorf("%s: got %v, want %v", name, err, cms.ErrContentMismatch)
		}
	}
}

// TestVerifyRefuses takes one property after the other away from a good signature.
func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	s, other := cmstest.New(t, "p256"), cmstest.New(t, "p256")
	content := []byte("contenido")
	digest := cmstest.Digest(crypto.SHA256, content)
	must := func(a cms.Attribute, err error) cms.Attribute {
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	contentType, messageDigest, ess := must(cms.ContentType()), must(cms.MessageDigest(digest)), must(cms.SigningCertificateV2(s.Certificate))
	for name, tc := range map[string]struct {
		attributes []cms.Attribute
		cert       *x509.Certificate
		value      *cmstest.Signer
		want       error
	}{
		"good":                    {[]cms.Attribute{contentType, messageDigest, ess}, s.Certificate, s, nil},
		"no content-type":         {[]cms.Attribute{messageDigest, ess}, s.Certificate, s, cms.ErrInvalid},
		"no message-digest":       {[]cms.Attribute{contentType, ess}, s.Certificate, s, cms.ErrMalformed},
		"no ESS":                  {[]cms.Attribute{contentType, messageDigest}, s.Certificate, s, cms.ErrMalformed},
		"digest of another":       {[]cms.Attribute{contentType, must(cms.MessageDigest(make([]byte, 32))), ess}, s.Certificate, s, cms.ErrInvalid},
		"ESS of another":          {[]cms.Attribute{contentType, messageDigest, must(cms.SigningCertificateV2(other.Certificate))}, s.Certificate, s, cms.ErrInvalid},
		"signed by another key":   {[]cms.Attribute{contentType, messageDigest, ess}, s.Certificate, other, cms.ErrInvalid},
		"certificate of another":  {[]cms.Attribute{contentType, messageDigest, ess}, other.Certificate, s, cms.ErrInvalid},
		"message-digest too long": {[]cms.Attribute{contentType, must(cms.MessageDigest(append(digest, 0))), ess}, s.Certificate, s, cms.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := cms.EncodeAttributes(tc.attributes...)
			if err != nil {
				t.Fatal(err)
			}
			value, err := tc.value.Key.Sign(nil, cades.DTBSR(set, crypto.SHA256), crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			der, err := cms.Assemble(cms.Parts{SignedAttributes: set, Signature: value, Certificate: tc.cert, Hash: crypto.SHA256})
			if err != nil {
				t.Fatal(err)
			}
			if err := cms.Verify(der, digest, s.Certificate); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// TestEveryBitCounts flips each bit of a signature: none may verify, except
// where the bit belongs to a certificate that is not the signer's.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	content := []byte("contenido")
	digest := cmstest.Digest(crypto.SHA256, content)
	der := s.Sign(t, content, crypto.SHA256)
	root := bytes.Index(der, s.Root.Raw)
	for i := range der {
		if i >= root && i < root+len(s.Root.Raw) {
			continue
		}
		for bit := range 8 {
			mutant := bytes.Clone(der)
			mutant[i] ^= 1 << bit
			if cms.Verify(mutant, digest, s.Certificate) == nil {
				t.Errorf("octet %d, bit %d: a changed signature verifies", i, bit)
			}
		}
	}
}

// TestAttributesOrder: whatever the order given, the encoding is the one that
// DER asks for.
func TestAttributesOrder(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	p := cades.Params{
		ContentDigest: make([]byte, 32), Hash: crypto.SHA256, Certificate: s.Certificate,
		SigningTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), MimeType: "text/plain",
	}
	want, err := cades.SignedAttributes(p)
	if err != nil {
		t.Fatal(err)
	}
	attributes, err := cms.ParseAttributes(want)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		got, err := cms.EncodeAttributes(rapid.Permutation(attributes).Draw(t, "order")...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	s := cmstest.New(f, "p256")
	detached := s.Sign(f, []byte("contenido"), crypto.SHA256)
	var attached bytes.Buffer
	if err := cms.Attach(&attached, detached, bytes.NewReader([]byte("contenido")), 9); err != nil {
		f.Fatal(err)
	}
	f.Add(detached)
	f.Add(attached.Bytes())
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		parsed, err := cms.Parse(der)
		if err != nil {
			if !errors.Is(err, cms.ErrMalformed) && !errors.Is(err, cms.ErrUnsupported) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		again, err := parsed.Encode()
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("re-encoding: %v\ngot  %x\nwant %x", err, again, der)
		}
	})
}
