package cades_test

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestStructure compares the skeleton of a B-LTA signature with all signed
// attributes with the one that was read by eye against the norms.
func TestStructure(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	citizen := p.citizen(t, "p256")
	content := []byte("contenido")
	der, err := cms.Assemble(p.parts(t, citizen, content, suite{hash: crypto.SHA256}, func(p *cades.Params) {
		p.MimeType, p.ContentHints = "text/plain", &cades.ContentHints{Description: "text/plain"}
		p.Commitment, p.Policy = cades.ProofOfApproval, cades.AGE19()
		p.Location = &cades.Location{Country: "ES", Locality: "Teruel", PostalAddress: []string{"Plaza Mayor, 1"}}
	}))
	must(t, err)
	if *update { // the seeds of the fuzz tests
		must(t, os.WriteFile("testdata/b-b.der", der, 0o600))
	}
	m := open(t, der)
	for _, l := range levels()[1:] {
		p.lift(t, m, 0, citizen, content, crypto.SHA512, l)
	}
	var got strings.Builder
	skeleton(t, &got, encode(t, m), 0)
	const golden = "testdata/b-lta.txt"
	if *update {
		must(t, os.WriteFile(golden, []byte(got.String()), 0o600))
		must(t, os.WriteFile("testdata/b-lta.der", encode(t, m), 0o600))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

// skeleton writes tags and identifiers, and what small elements say. Signed
// objects of others are one line.
func skeleton(t *testing.T, out *strings.Builder, der []byte, depth int) {
	t.Helper()
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		must(t, err)
		der = rest
		line := func(format string, args ...any) {
			fmt.Fprintf(out, "%s%s\n", strings.Repeat("  ", depth), fmt.Sprintf(format, args...))
		}
		var oid asn1.ObjectIdentifier
		switch {
		case foreignObject(v.FullBytes) != "":
			line("%s", foreignObject(v.FullBytes))
		case v.IsCompound && v.Class == asn1.ClassContextSpecific:
			line("[%d]", v.Tag)
			skeleton(t, out, v.Bytes, depth+1)
		case v.IsCompound:
			line("%s", map[int]string{asn1.TagSequence: "SEQUENCE", asn1.TagSet: "SET"}[v.Tag])
			skeleton(t, out, v.Bytes, depth+1)
		case v.Tag == asn1.TagOID && oids(v.FullBytes, &oid):
			line("%v", oid)
		case v.Tag == asn1.TagInteger && len(v.Bytes) == 1:
			line("INTEGER %d", v.Bytes[0])
		case slices.Contains([]int{asn1.TagUTF8String, asn1.TagIA5String, asn1.TagPrintableString}, v.Tag):
			line("%q", v.Bytes)
		case v.Tag == asn1.TagOctetString && slices.Contains([]int{20, 32, 64}, len(v.Bytes)):
			line("OCTET STRING of %d", len(v.Bytes))
		default:
			line("%s", map[int]string{
				asn1.TagInteger: "INTEGER", asn1.TagOctetString: "OCTET STRING", asn1.TagUTCTime: "UTCTime", asn1.TagNull: "NULL",
			}[v.Tag])
		}
	}
}

func oids(der []byte, oid *asn1.ObjectIdentifier) bool {
	_, err := asn1.Unmarshal(der, oid)
	return err == nil
}

func foreignObject(der []byte) string {
	if _, err := x509.ParseCertificate(der); err == nil {
		return "Certificate"
	}
	if _, err := x509.ParseRevocationList(der); err == nil {
		return "CertificateList"
	}
	var response struct {
		Status asn1.Enumerated
		Bytes  asn1.RawValue
	}
	if _, err := asn1.Unmarshal(der, &response); err == nil && response.Bytes.Class == asn1.ClassContextSpecific {
		return "OCSPResponse"
	}
	return ""
}
