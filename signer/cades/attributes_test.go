package cades_test

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rubrica-firma/rubrica/internal/bouncycastle"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// tlv writes an element of less than 256 octets.
func tlv(tag byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	if len(body) < 0x80 {
		return append([]byte{tag, byte(len(body))}, body...)
	}
	return append([]byte{tag, 0x81, byte(len(body))}, body...)
}

func text(s string) []byte { return tlv(0x0c, []byte(s)) }

func oid(tb testing.TB, hexadecimal string) []byte {
	tb.Helper()
	body, err := hex.DecodeString(hexadecimal)
	must(tb, err)
	return tlv(0x06, body)
}

// TestAttributes compares each attribute octet by octet with what the norm's
// ASN.1 gives, and has BouncyCastle read it.
func TestAttributes(t *testing.T) {
	t.Parallel()
	age := bytes.Clone(cades.AGE19().Hash)
	for name, tc := range map[string]struct {
		change func(p *cades.Params)
		oid    asn1.ObjectIdentifier
		want   []byte
		read   bouncycastle.Signer
	}{
		"content-hints": {
			func(p *cades.Params) { p.ContentHints = &cades.ContentHints{Description: "Petición; text/plain"} },
			asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 4},
			tlv(0x30, text("Petición; text/plain"), oid(t, "2a864886f70d010701")),
			bouncycastle.Signer{Hints: "Petición; text/plain 1.2.840.113549.1.7.1"},
		},
		"content-hints of a type": {
			func(p *cades.Params) { p.ContentHints = &cades.ContentHints{Type: asn1.ObjectIdentifier{1, 2, 3}} },
			asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 4},
			tlv(0x30, oid(t, "2a03")),
			bouncycastle.Signer{Hints: "null 1.2.3"},
		},
		"mime-type": {
			func(p *cades.Params) { p.MimeType = "text/plain; charset=utf-8" },
			asn1.ObjectIdentifier{0, 4, 0, 1733, 2, 1},
			text("text/plain; charset=utf-8"),
			bouncycastle.Signer{MimeType: "text/plain; charset=utf-8"},
		},
		"commitment-type-indication": {
			func(p *cades.Params) { p.Commitment = cades.ProofOfApproval },
			asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 16},
			tlv(0x30, oid(t, "2a864886f70d0109100605")),
			bouncycastle.Signer{Commitment: "1.2.840.113549.1.9.16.6.5"},
		},
		"signer-location": {
			func(p *cades.Params) {
				p.Location = &cades.Location{Country: "ES", Locality: "Cáceres", PostalAddress: []string{"Plaza Mayor, 1", "10003 Cáceres"}}
			},
			asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 17},
			tlv(0x30, tlv(0xa0, text("ES")), tlv(0xa1, text("Cáceres")), tlv(0xa2, tlv(0x30, text("Plaza Mayor, 1"), text("10003 Cáceres")))),
			bouncycastle.Signer{Location: "ES|Cáceres|Plaza Mayor, 1|10003 Cáceres"},
		},
		"signer-location, locality": {
			func(p *cades.Params) { p.Location = &cades.Location{Locality: "Teruel"} },
			asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 17},
			tlv(0x30, tlv(0xa1, text("Teruel"))),
			bouncycastle.Signer{Location: "Teruel"},
		},
		"signature-policy-identifier": {
			func(p *cades.Params) { p.Policy = cades.AGE19() },
			asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 15},
			// sigPolicyHash, and one qualifier: id-spq-ets-uri with an IA5String.
			tlv(0x30, oid(t, "60855401030101020109"),
				tlv(0x30, tlv(0x30, oid(t, "2b0e03021a")), tlv(0x04, age)),
				tlv(0x30, tlv(0x30, oid(t, "2a864886f70d0109100501"),
					tlv(0x16, []byte("https://sede.administracion.gob.es/politica_de_firma_anexo_1.pdf"))))),
			bouncycastle.Signer{Policy: "2.16.724.1.3.1.1.2.1.9 1.3.14.3.2.26 " + hex.EncodeToString(age) +
				" 1.2.840.113549.1.9.16.5.1 https://sede.administracion.gob.es/politica_de_firma_anexo_1.pdf"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPKI(t)
			citizen := p.citizen(t, "p256")
			content := []byte("contenido")
			parts := p.parts(t, citizen, content, suite{hash: crypto.SHA256}, tc.change)
			der, err := cms.Assemble(parts)
			must(t, err)
			if diff := cmp.Diff(tc.want, open(t, der).Signers[0].Attribute(tc.oid)); diff != "" {
				t.Error(diff)
			}
			must(t, cms.Verify(der, digest(crypto.SHA256, content), citizen.Certificate))
			got := p.judge(t, der, content)
			tc.read.SigningTime = p.now
			ignored := cmpopts.IgnoreFields(bouncycastle.Signer{}, "Serial", "Digest", "Algorithm")
			if diff := cmp.Diff([]bouncycastle.Signer{tc.read}, got, ignored); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAGE19: the hash as its publisher writes it.
func TestAGE19(t *testing.T) {
	t.Parallel()
	const published = "G7roucf600+f03r/o0bAOQ6WAs0="
	p := cades.AGE19()
	if got := base64.StdEncoding.EncodeToString(p.Hash); got != published || p.HashAlgorithm != crypto.SHA1 {
		t.Errorf("got %s by %v, want %s by SHA-1", got, p.HashAlgorithm, published)
	}
	if p.OID.String() != "2.16.724.1.3.1.1.2.1.9" {
		t.Errorf("got %v", p.OID)
	}
	p.Hash[0] ^= 1
	if cades.AGE19().Hash[0] == p.Hash[0] {
		t.Error("got a policy that others can change")
	}
}

// TestPAdESPolicy: a PDF signature may have a policy and a commitment.
func TestPAdESPolicy(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	parts := p.parts(t, p.citizen(t, "p256"), nil, suite{hash: crypto.SHA256}, func(p *cades.Params) {
		p.PAdES, p.Policy, p.Commitment = true, cades.AGE19(), cades.ProofOfApproval
	})
	attributes, err := cms.ParseAttributes(parts.SignedAttributes)
	must(t, err)
	var got []string
	for _, a := range attributes {
		got = append(got, a.Type.String())
	}
	want := []string{
		"1.2.840.113549.1.9.3", "1.2.840.113549.1.9.16.2.16", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.16.2.47",
		"1.2.840.113549.1.9.16.2.15",
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
