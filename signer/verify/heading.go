package verify

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rubrica-firma/rubrica/signer/cms"
)

// maxHeading bounds what stands before the content of SignedData.
const maxHeading = 4 << 10

// heading is the beginning of SignedData, which nobody signs.
type heading struct {
	version int
	digests []asn1.ObjectIdentifier
}

// readHeading reads version and digestAlgorithms (RFC 5652, 5.1), in DER or in BER
// with outer lengths left open.
func readHeading(r io.ReaderAt) (heading, error) {
	octets := make([]byte, maxHeading)
	n, err := r.ReadAt(octets, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return heading{}, fmt.Errorf("reading the signature: %w", err)
	}
	rest := octets[:n]
	var h heading
	var contentType asn1.ObjectIdentifier
	if rest, err = inside(rest, 0x30); err == nil {
		rest, err = asn1.Unmarshal(rest, &contentType)
	}
	for _, identifier := range []byte{0xa0, 0x30} {
		if err == nil {
			rest, err = inside(rest, identifier)
		}
	}
	if err == nil {
		rest, err = asn1.Unmarshal(rest, &h.version)
	}
	var algorithms []struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}
	if err == nil {
		_, err = asn1.UnmarshalWithParams(rest, &algorithms, "set")
	}
	for _, a := range algorithms {
		h.digests = append(h.digests, a.Algorithm)
	}
	return h, err
}

// inside is what follows identifier and length octets.
func inside(octets []byte, identifier byte) ([]byte, error) {
	if len(octets) < 2 || octets[0] != identifier {
		return nil, asn1.SyntaxError{Msg: "another element"}
	}
	skip := 2
	if octets[1] > 0x80 {
		skip += int(octets[1] & 0x7f)
	}
	if len(octets) < skip {
		return nil, asn1.SyntaxError{Msg: "truncated"}
	}
	return octets[skip:], nil
}

// conforms checks what RFC 5652, 5.1 and 5.3 say of the beginning of SignedData and
// of each SignerInfo. No signature covers it, and none shall depend on who
// changes it: a version that CMS does not know, or a digest that is not listed, is
// a fault. (Which of the known versions it is, too many get wrong.)
func conforms(m *cms.Message, octets io.ReaderAt) *Conclusion {
	h, err := readHeading(octets)
	if err != nil {
		return failed(FormatFailure, "beginning of SignedData: %v", err)
	}
	if !slices.Contains([]int{1, 3, 4, 5}, h.version) {
		return failed(FormatFailure, "SignedData of version %d", h.version)
	}
	for _, s := range m.Signers {
		if !slices.ContainsFunc(h.digests, s.DigestAlgorithm.Equal) {
			return failed(FormatFailure, "digestAlgorithms do not list %v", s.DigestAlgorithm)
		}
		var version int
		want := 1
		if s.Serial == nil {
			want = 3
		}
		if _, err := asn1.Unmarshal(s.ImprintFields()[0], &version); err != nil || version != want {
			return failed(FormatFailure, "SignerInfo of version %d, which should be %d", version, want)
		}
	}
	return nil
}
