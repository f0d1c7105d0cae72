package cades_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

func TestSignedAttributes(t *testing.T) {
	t.Parallel()
	const contentType, messageDigest, signingTime, ess, mime = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4",
		"1.2.840.113549.1.9.5", "1.2.840.113549.1.9.16.2.47", "0.4.0.1733.2.1"
	s := cmstest.New(t, "p256")
	for name, tc := range map[string]struct {
		mime  string
		pades bool
		want  []string
	}{
		"CAdES":           {"", false, []string{contentType, messageDigest, signingTime, ess}},
		"CAdES with type": {"text/plain", false, []string{contentType, messageDigest, signingTime, ess, mime}},
		"PAdES":           {"", true, []string{contentType, messageDigest, ess}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := cades.Params{
				ContentDigest: make([]byte, 32), Hash: crypto.SHA256, Certificate: s.Certificate,
				SigningTime: time.Now(), MimeType: tc.mime, PAdES: tc.pades,
			}
			der, err := cades.SignedAttributes(p)
			if err != nil {
				t.Fatal(err)
			}
			again, err := cades.SignedAttributes(p)
			if err != nil || !bytes.Equal(der, again) {
				t.Errorf("not deterministic: %v", err)
			}
			if der[0] != 0x31 {
				t.Errorf("got identifier %#x, want SET", der[0])
			}
			attributes, err := cms.ParseAttributes(der)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for _, a := range attributes {
				got[a.Type.String()] = true
			}
			want := map[string]bool{}
			for _, oid := range tc.want {
				want[oid] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSigningTimeForms: RFC 5652, 11.3.
func TestSigningTimeForms(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		at  time.Time
		tag int
	}{
		{time.Date(2049, 12, 31, 23, 59, 59, 999, time.UTC), asn1.TagUTCTime},
		{time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), asn1.TagGeneralizedTime},
	} {
		a, err := cms.SigningTime(tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if int(a.Value[0]) != tc.tag {
			t.Errorf("%v: got tag %d, want %d", tc.at, a.Value[0], tc.tag)
		}
	}
}

func TestSignedAttributesRefuses(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	good := cades.Params{
		ContentDigest: make([]byte, 32), Hash: crypto.SHA256, Certificate: s.Certificate, SigningTime: time.Now(),
	}
	for name, change := range map[string]func(*cades.Params){
		"SHA-1":               func(p *cades.Params) { p.Hash, p.ContentDigest = crypto.SHA1, make([]byte, 20) },
		"SHA-512/256":         func(p *cades.Params) { p.Hash = crypto.SHA512_256 },
		"SHA3-256":            func(p *cades.Params) { p.Hash = crypto.SHA3_256 },
		"length of another":   func(p *cades.Params) { p.Hash = crypto.SHA384 },
		"no digest":           func(p *cades.Params) { p.ContentDigest = nil },
		"no certificate":      func(p *cades.Params) { p.Certificate = nil },
		"no time":             func(p *cades.Params) { p.SigningTime = time.Time{} },
		"mime type in a PDF":  func(p *cades.Params) { p.PAdES, p.MimeType = true, "application/pdf" },
		"hints in a PDF":      func(p *cades.Params) { p.PAdES, p.ContentHints = true, &cades.ContentHints{Description: "x"} },
		"location in a PDF":   func(p *cades.Params) { p.PAdES, p.Location = true, &cades.Location{Country: "ES"} },
		"hints of nothing":    func(p *cades.Params) { p.ContentHints = &cades.ContentHints{} },
		"hints not UTF-8":     func(p *cades.Params) { p.ContentHints = &cades.ContentHints{Description: "\xff"} },
		"unknown commitment":  func(p *cades.Params) { p.Commitment = "proof-of-nothing" },
		"nowhere":             func(p *cades.Params) { p.Location = &cades.Location{} },
		"country not UTF-8":   func(p *cades.Params) { p.Location = &cades.Location{Country: "\xff"} },
		"seven lines":         func(p *cades.Params) { p.Location = &cades.Location{PostalAddress: make([]string, 7)} },
		"an empty line":       func(p *cades.Params) { p.Location = &cades.Location{PostalAddress: []string{""}} },
		"policy without hash": func(p *cades.Params) { p.Policy = cades.AGE19(); p.Policy.Hash = nil },
		"policy of no hash":   func(p *cades.Params) { p.Policy = cades.AGE19(); p.Policy.HashAlgorithm = crypto.MD5 },
		"policy without name": func(p *cades.Params) { p.Policy = cades.AGE19(); p.Policy.OID = nil },
		"policy at no URI":    func(p *cades.Params) { p.Policy = cades.AGE19(); p.Policy.URI = "https://ñ" },
		"mime type not UTF-8": func(p *cades.Params) { p.MimeType = "\xff" },
	} {
		p := good
		change(&p)
		if _, err := cades.SignedAttributes(p); !errors.Is(err, cades.ErrParams) {
			t.Errorf("%s: got %v, want %v", name, err, cades.ErrParams)
		}
	}
}

func TestDTBSR(t *testing.T) {
	t.Parallel()
	set := []byte{0x31, 0x00}
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if diff := cmp.Diff(cmstest.Digest(hash, set), cades.DTBSR(set, hash)); diff != "" {
			t.Errorf("%v: %s", hash, diff)
		}
	}
}
