package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// dump writes a certificate element by element, each by its tag, so that a
// change of form shows as well as one of content. What differs from run to run
// is named instead of written.
func dump(tb testing.TB, c *x509.Certificate) string {
	tb.Helper()
	d := dumper{tb: tb, named: map[string]string{
		string(c.SerialNumber.Bytes()): "SERIAL", string(c.SubjectKeyId): "SUBJECT-KEY", string(c.AuthorityKeyId): "ISSUER-KEY",
		string(c.Signature): "SIGNATURE",
	}}
	if bytes.Equal(c.SubjectKeyId, c.AuthorityKeyId) {
		d.named[string(c.SubjectKeyId)] = "SUBJECT-KEY"
	}
	d.element(c.Raw, 0)
	return d.out.String()
}

type dumper struct {
	tb    testing.TB
	out   strings.Builder
	named map[string]string // content to name
}

func (d *dumper) line(depth int, format string, a ...any) {
	fmt.Fprintf(&d.out, "%s%s\n", strings.Repeat("  ", depth), fmt.Sprintf(format, a...))
}

func (d *dumper) element(der []byte, depth int) {
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			d.tb.Fatalf("reading an element: %v", err)
		}
		der = rest
		if v.Class == asn1.ClassUniversal {
			d.universal(v, depth)
			continue
		}
		if v.IsCompound {
			d.line(depth, "[%d]", v.Tag)
			d.element(v.Bytes, depth+1)
			continue
		}
		d.line(depth, "[%d] %s", v.Tag, d.octets(v.Bytes))
	}
}

func (d *dumper) universal(v asn1.RawValue, depth int) {
	switch v.Tag {
	case asn1.TagSequence, asn1.TagSet:
		d.line(depth, "%s", map[int]string{asn1.TagSequence: "SEQUENCE", asn1.TagSet: "SET"}[v.Tag])
		d.element(v.Bytes, depth+1)
	case asn1.TagOID:
		var id asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(v.FullBytes, &id); err != nil {
			d.tb.Fatal(err)
		}
		d.line(depth, "%s", strings.TrimSpace(id.String()+" "+d.oids()[id.String()]))
	case asn1.TagOctetString:
		// What an extension holds is DER again.
		var inner asn1.RawValue
		if rest, err := asn1.Unmarshal(v.Bytes, &inner); err == nil && len(rest) == 0 && d.named[string(v.Bytes)] == "" {
			d.line(depth, "OCTET STRING")
			d.element(v.Bytes, depth+1)
			return
		}
		d.line(depth, "OCTET STRING %s", d.octets(v.Bytes))
	case asn1.TagBitString:
		if content := v.Bytes[1:]; len(content) > 2 && d.named[string(content)] == "" {
			d.line(depth, "BIT STRING PUBLIC-KEY")
			return
		}
		d.line(depth, "BIT STRING %d unused, %s", v.Bytes[0], d.octets(v.Bytes[1:]))
	case asn1.TagInteger:
		d.line(depth, "INTEGER %s", d.octets(v.Bytes))
	case asn1.TagBoolean:
		d.line(depth, "BOOLEAN %t", v.Bytes[0] == 0xff)
	case asn1.TagNull:
		d.line(depth, "NULL")
	default:
		kind := map[int]string{
			asn1.TagPrintableString: "PrintableString", asn1.TagUTF8String: "UTF8String", asn1.TagIA5String: "IA5String",
			asn1.TagUTCTime: "UTCTime", asn1.TagGeneralizedTime: "GeneralizedTime",
		}[v.Tag]
		if kind == "" {
			d.tb.Fatalf("no name for tag %d", v.Tag)
		}
		d.line(depth, "%s %q", kind, v.Bytes)
	}
}

func (d *dumper) octets(b []byte) string {
	if name := d.named[string(b)]; name != "" {
		return name
	}
	if len(b) > 3 && utf8.Valid(b) {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%x", b)
}

// oids gives names to what the profiles name.
func (*dumper) oids() map[string]string {
	names := map[string]string{
		"1.2.840.10045.2.1": "ecPublicKey", "1.2.840.10045.3.1.7": "P-256", "1.3.132.0.34": "P-384",
		"1.2.840.10045.4.3.2": "ecdsa-with-SHA256", "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
		"1.2.840.113549.1.1.1": "rsaEncryption", "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
		oidMethodOCSP: "id-ad-ocsp", oidMethodIssuers: "id-ad-caIssuers",
		oidTimeStamping: "id-kp-timeStamping", oidOCSPSigning: "id-kp-OCSPSigning",
		oidAnyPolicy: "anyPolicy", oidNCPPlus: "NCP+",
		oidQcCompliance: "QcCompliance", oidQcSSCD: "QcSSCD", oidQcPDS: "QcPDS", oidQcType: "QcType", oidQcTypeESign: "esign",
	}
	for _, k := range Kinds() {
		for _, a := range k.Subject {
			names[a.OID] = a.Name
		}
		for _, e := range k.Extensions {
			names[e.OID] = e.Name
		}
	}
	return names
}
