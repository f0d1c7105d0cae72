package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// verify checks a certificate against its facts on its bytes. It writes down
// every field a second time and shares nothing with the code that built them
// but the profile and DER's rules of length, which are written by hand here:
// neither crypto/x509 nor encoding/asn1 encodes what it expects. So a field
// more, or one in another form, is a mismatch too.
func (f *facts) verify(c *x509.Certificate) error {
	fields, err := elements(c.RawTBSCertificate)
	if err != nil {
		return err
	}
	want, err := f.expect(c)
	if err != nil {
		return err
	}
	for i, w := range want {
		if i >= len(fields) || !bytes.Equal(fields[i], w.der) {
			return fmt.Errorf("%w: %s", ErrMismatch, w.name)
		}
	}
	if len(fields) != len(want) {
		return fmt.Errorf("%w: fields after the extensions", ErrMismatch)
	}
	return nil
}

// field is what stands in a TBSCertificate (RFC 5280, section 4.1).
type field struct {
	name string
	der  []byte
}

func (f *facts) expect(c *x509.Certificate) ([]field, error) {
	serial := c.SerialNumber.Bytes()
	if c.SerialNumber.Sign() <= 0 || len(serial) != serialBytes || serial[0] >= 0x80 {
		return nil, fmt.Errorf("%w: serial number", ErrMismatch)
	}
	key, err := x509.MarshalPKIXPublicKey(f.public)
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	subject, err := f.expectSubject(c)
	if err != nil {
		return nil, err
	}
	issuer, signing := subject, f.public
	if f.issuer != nil {
		issuer, signing = f.issuer.RawSubject, f.issuer.PublicKey
	}
	if err := f.verifyExtensions(c, key); err != nil {
		return nil, err
	}
	var extensions [][]byte
	for _, e := range c.Extensions {
		critical := []byte{}
		if e.Critical {
			critical = tlv(0x01, []byte{0xff})
		}
		extensions = append(extensions, tlv(0x30, oidDER(e.Id.String()), critical, tlv(0x04, e.Value)))
	}
	return []field{
		{"version", []byte{0xa0, 0x03, 0x02, 0x01, 0x02}},
		{"serial number", tlv(0x02, serial)},
		{"signature algorithm", signatureAlgorithm(signing)},
		{"issuer", issuer},
		{"validity", tlv(0x30, validityTime(f.notBefore), validityTime(f.notAfter))},
		{"subject", subject},
		{"public key", key},
		{"extensions", tlv(0xa3, tlv(0x30, extensions...))},
	}, nil
}

// verifyExtensions names the one that is not as it should be.
func (f *facts) verifyExtensions(c *x509.Certificate, key []byte) error {
	next := 0
	for _, e := range f.kind.Extensions {
		value := f.expectExtension(e.OID, key)
		if value == nil && e.Optional {
			continue
		}
		if next == len(c.Extensions) {
			return fmt.Errorf("%w: no %s", ErrMismatch, e.Name)
		}
		got := c.Extensions[next]
		if got.Id.String() != e.OID || got.Critical != e.Critical || !bytes.Equal(got.Value, value) {
			return fmt.Errorf("%w: %s", ErrMismatch, e.Name)
		}
		next++
	}
	if next != len(c.Extensions) {
		return fmt.Errorf("%w: extension %s is not of the profile", ErrMismatch, c.Extensions[next].Id)
	}
	return nil
}

func (f *facts) expectExtension(extension string, key []byte) []byte {
	switch extension {
	case oidBasic:
		if f.kind.PathLength < 0 {
			return []byte{0x30, 0x03, 0x01, 0x01, 0xff}
		}
		return []byte{0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, byte(f.kind.PathLength)} //nolint:gosec // a path is short
	case oidKeyUsage:
		return keyUsageDER(f.kind.KeyUsage)
	case oidExtendedUsage:
		var purposes [][]byte
		for _, p := range f.kind.Purposes {
			purposes = append(purposes, oidDER(p))
		}
		return tlv(0x30, purposes...)
	case oidSubjectKey:
		return tlv(0x04, keyHash(key))
	case oidAuthorityKey:
		if f.issuer == nil {
			return tlv(0x30, tlv(0x80, keyHash(key)))
		}
		return tlv(0x30, tlv(0x80, f.issuer.SubjectKeyId))
	case oidPolicies:
		return f.expectPolicies()
	case oidAuthorityInfo:
		responder := []byte{}
		if f.addresses.OCSP != "" && f.kind.Name != "OCSPResponder" {
			responder = tlv(0x30, oidDER(oidMethodOCSP), tlv(0x86, []byte(f.addresses.OCSP)))
		}
		return tlv(0x30, responder, tlv(0x30, oidDER(oidMethodIssuers), tlv(0x86, []byte(f.addresses.Issuer))))
	case oidCRLPoints:
		return tlv(0x30, tlv(0x30, tlv(0xa0, tlv(0xa0, tlv(0x86, []byte(f.crl))))))
	case oidKeyPeriod:
		return tlv(0x30, tlv(0x80, generalized(f.notBefore)), tlv(0x81, generalized(f.keyEnd())))
	case oidOCSPNoCheck:
		return []byte{0x05, 0x00}
	case oidQcStatements:
		return f.expectStatements()
	default:
		return nil
	}
}

func (f *facts) expectPolicies() []byte {
	if f.kind.Policies == AnyPolicy {
		return tlv(0x30, tlv(0x30, oidDER(oidAnyPolicy)))
	}
	policies := [][]byte{tlv(0x30, oidDER(oidNCPPlus))}
	for _, own := range f.policies {
		policies = append(policies, tlv(0x30, oidDER(own.String())))
	}
	return tlv(0x30, policies...)
}

func (f *facts) expectStatements() []byte {
	if f.qc == nil {
		return nil
	}
	sscd := []byte{}
	if f.qc.SSCD {
		sscd = tlv(0x30, oidDER(oidQcSSCD))
	}
	var disclosures [][]byte
	for _, d := range f.qc.Disclosures {
		disclosures = append(disclosures, tlv(0x30, tlv(0x16, []byte(d.URL)), tlv(0x13, []byte(d.Language))))
	}
	return tlv(0x30,
		tlv(0x30, oidDER(oidQcCompliance)), sscd,
		tlv(0x30, oidDER(oidQcType), tlv(0x30, oidDER(oidQcTypeESign))),
		tlv(0x30, oidDER(oidQcPDS), tlv(0x30, disclosures...)))
}

// expectSubject takes a citizen's common name from the certificate, after
// finding that it is one: how it is cut is the builder's business.
func (f *facts) expectSubject(c *x509.Certificate) ([]byte, error) {
	var sets [][]byte
	for _, a := range f.kind.Subject {
		value := f.subject[a.OID]
		if value == "" && a.Optional {
			continue
		}
		if a.OID == oidCommonName && f.subject[oidSerialNumber] != "" {
			value = c.Subject.CommonName
			if !f.isCommonName(value) {
				return nil, fmt.Errorf("%w: common name", ErrMismatch)
			}
		}
		sets = append(sets, tlv(0x31, tlv(0x30, oidDER(a.OID), tlv(byte(a.Tag), []byte(value))))) //nolint:gosec // a tag is under 31
	}
	return tlv(0x30, sets...), nil
}

// isCommonName is whether it names nobody but the citizen: the whole name and
// the number if they fit, or as much of the name as ends with a letter's marks.
func (f *facts) isCommonName(cn string) bool {
	name, found := strings.CutSuffix(cn, " - "+strings.TrimPrefix(f.subject[oidSerialNumber], semanticsPrefix))
	whole := strings.TrimSpace(f.subject[oidGivenName] + " " + f.subject[oidSurname])
	rest, prefix := strings.CutPrefix(whole, name)
	if !found || !prefix || name == "" || utf8.RuneCountInString(cn) > maxCommonName {
		return false
	}
	next, _ := utf8.DecodeRuneInString(rest)
	fits := utf8.RuneCountInString(whole+cn)-utf8.RuneCountInString(name) <= maxCommonName
	return rest == "" || !fits && !unicode.Is(unicode.Mn, next)
}

// keyHash is the key identifier, from the encoded key: the BIT STRING is its
// last element, and has no unused bits.
func keyHash(spki []byte) []byte {
	parts, err := elements(spki)
	if err != nil || len(parts) != 2 {
		return nil
	}
	var bits asn1.RawValue
	if _, err := asn1.Unmarshal(parts[1], &bits); err != nil || len(bits.Bytes) < 2 {
		return nil
	}
	sum := sha256.Sum256(bits.Bytes[1:])
	return sum[:keyIdentifierSize]
}

// signatureAlgorithm is the one that a key signs with: sha256WithRSAEncryption
// (RFC 4055, section 5), or ECDSA with the hash of the curve's size (RFC 5758,
// section 3.2).
func signatureAlgorithm(public any) []byte {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return tlv(0x30, oidDER("1.2.840.113549.1.1.11"), []byte{0x05, 0x00})
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize > 256 {
			return tlv(0x30, oidDER("1.2.840.10045.4.3.3"))
		}
		return tlv(0x30, oidDER("1.2.840.10045.4.3.2"))
	default:
		return nil
	}
}

// validityTime is UTCTime to 2049 and GeneralizedTime after (RFC 5280, section
// 4.1.2.5).
func validityTime(t time.Time) []byte {
	if t.Year() < 2050 {
		return tlv(0x17, generalized(t)[2:])
	}
	return tlv(0x18, generalized(t))
}

func generalized(t time.Time) []byte { return []byte(t.UTC().Format("20060102150405Z")) }

// keyUsageDER writes bit i of the usage as bit i of the string, counted from
// the left, and drops the zeros behind the last.
func keyUsageDER(usage x509.KeyUsage) []byte {
	octet, unused := byte(0), byte(8)
	for i := range byte(8) {
		if usage>>i&1 == 1 {
			octet, unused = octet|0x80>>i, 7-i
		}
	}
	return tlv(0x03, []byte{unused, octet})
}

// elements are the encodings inside a SEQUENCE.
func elements(sequence []byte) ([][]byte, error) {
	var parts []asn1.RawValue
	if rest, err := asn1.Unmarshal(sequence, &parts); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: not a sequence", ErrMismatch)
	}
	out := make([][]byte, len(parts))
	for i, p := range parts {
		out[i] = p.FullBytes
	}
	return out, nil
}

// tlv writes an element in DER.
func tlv(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	length := []byte{byte(len(content))} //nolint:gosec // the short form; replaced below if it is longer
	switch {
	case len(content) > 0xff:
		length = []byte{0x82, byte(len(content) >> 8), byte(len(content))} //nolint:gosec // certificates are under 64 KiB
	case len(content) > 0x7f:
		length = []byte{0x81, byte(len(content))} //nolint:gosec // under 256
	}
	return bytes.Join([][]byte{{tag}, length, content}, nil)
}

// oidDER writes an object identifier: two arcs in the first number, seven bits
// an octet.
func oidDER(dotted string) []byte {
	var numbers []uint64
	for arc := range strings.SplitSeq(dotted, ".") {
		n, err := strconv.ParseUint(arc, 10, 63)
		if err != nil {
			return nil
		}
		numbers = append(numbers, n)
	}
	if len(numbers) < 2 {
		return nil
	}
	numbers[1] += 40 * numbers[0]
	var content []byte
	for _, n := range numbers[1:] {
		octets := []byte{byte(n & 0x7f)}
		for n >>= 7; n > 0; n >>= 7 {
			octets = append([]byte{byte(n&0x7f | 0x80)}, octets...) //nolint:gosec // seven bits and the mark
		}
		content = append(content, octets...)
	}
	return tlv(0x06, content)
}
