package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/rubrica-firma/rubrica/signer"
)

// The types of authorization_details: Cloud Signature Consortium 2.0.0.2 and
// 2.2.
const (
	typeCredential     goidc.AuthDetailType = "credential"
	typeCredential2025 goidc.AuthDetailType = "https://cloudsignatureconsortium.org/2025/credential" //nolint:gosec // a name, no secret
)

func detailTypes() []goidc.AuthDetailType {
	return []goidc.AuthDetailType{typeCredential, typeCredential2025}
}

// maxSignatures is what one consent may cover.
const maxSignatures = 100

// Detail is what a citizen is asked to consent to, as the application states it.
type Detail struct {
	CredentialID  string
	Qualifier     string // signatureQualifier
	NumSignatures int
	HashAlgorithm string // OID
	HashType      string // 2.2: dtbsr or sodr; empty if not said
	Hashes        []Hash
}

// Hash is one of a detail's.
type Hash struct {
	Label string
	Value []byte
}

// qualifiers are those of TS 119 432, for natural persons.
func qualifiers() []string { return []string{"eu_eidas_qes", "eu_eidas_aes", "eu_eidas_aesqc"} }

func validDetail(_ context.Context, d goidc.AuthDetail) error {
	_, err := parseDetail(d)
	return err
}

// ParseDetails reads a parameter authorization_details: one detail, of a type
// that is known, with nothing in it that is not.
func ParseDetails(text string) (Detail, error) {
	var details []goidc.AuthDetail
	if err := json.Unmarshal([]byte(text), &details); err != nil {
		return Detail{}, fmt.Errorf("it is no array of objects: %w", err)
	}
	return oneDetail(details)
}

func oneDetail(details []goidc.AuthDetail) (Detail, error) {
	if len(details) != 1 {
		return Detail{}, fmt.Errorf("one object is expected, there are %d", len(details))
	}
	return parseDetail(details[0])
}

func parseDetail(d goidc.AuthDetail) (Detail, error) {
	out := Detail{HashAlgorithm: signer.SHA256}
	known := []string{"type", "credentialID", "signatureQualifier", "documentDigests", "hashAlgorithmOID", "locations"}
	if d.Type() == typeCredential2025 {
		known = append(known, "numSignatures", "hashType")
	} else if d.Type() != typeCredential {
		return out, errors.New("its type is not known")
	}
	for name := range d {
		if !slices.Contains(known, name) {
			return out, fmt.Errorf("it has no member %q", name)
		}
	}
	for name, to := range map[string]*string{
		"credentialID": &out.CredentialID, "signatureQualifier": &out.Qualifier, "hashAlgorithmOID": &out.HashAlgorithm, "hashType": &out.HashType,
	} {
		if err := text(d, name, to); err != nil {
			return out, err
		}
	}
	if err := out.digests(d["documentDigests"]); err != nil {
		return out, err
	}
	out.NumSignatures = len(out.Hashes)
	if stated, has := d["numSignatures"]; has && stated != float64(len(out.Hashes)) {
		return out, errors.New("numSignatures is not how many documentDigests there are")
	}
	return out, out.check()
}

func text(d map[string]any, name string, to *string) error {
	value, has := d[name]
	if !has {
		return nil
	}
	s, ok := value.(string)
	if !ok || s == "" || len(s) > 200 || !utf8.ValidString(s) || containsControl(s) {
		return fmt.Errorf("%s is no text that can be used", name)
	}
	*to = s
	return nil
}

func containsControl(s string) bool {
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return true
		}
	}
	return false
}

func (out *Detail) digests(value any) error {
	list, ok := value.([]any)
	if !ok || len(list) == 0 || len(list) > maxSignatures {
		return fmt.Errorf("documentDigests must be between 1 and %d", maxSignatures)
	}
	for _, entry := range list {
		members, ok := entry.(map[string]any)
		if !ok {
			return errors.New("documentDigests must be objects")
		}
		h, err := out.digest(members)
		if err != nil {
			return err
		}
		out.Hashes = append(out.Hashes, h)
	}
	return nil
}

func (out *Detail) digest(members map[string]any) (Hash, error) {
	for name := range members {
		if !slices.Contains([]string{"hash", "label", "hashType"}, name) {
			return Hash{}, fmt.Errorf("a document digest has no member %q", name)
		}
	}
	var h Hash
	var encoded, kind string
	for name, to := range map[string]*string{"hash": &encoded, "label": &h.Label, "hashType": &kind} {
		if err := text(members, name, to); err != nil {
			return h, err
		}
	}
	if kind != "" && out.HashType != "" && kind != out.HashType {
		return h, errors.New("document digests are of more than one hashType")
	}
	if kind != "" {
		out.HashType = kind
	}
	var err error
	h.Value, err = base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || base64.StdEncoding.EncodeToString(h.Value) != encoded {
		return h, errors.New("a hash is not in base64")
	}
	return h, nil
}

func (out *Detail) check() error {
	switch {
	case (out.CredentialID == "") == (out.Qualifier == ""):
		return errors.New("either credentialID or signatureQualifier is needed")
	case out.Qualifier != "" && !slices.Contains(qualifiers(), out.Qualifier):
		return errors.New("signatureQualifier is not known")
	case out.HashType != "" && out.HashType != "dtbsr" && out.HashType != "sodr":
		return errors.New("hashType is not known")
	}
	for _, h := range out.Hashes {
		if _, err := signer.ParseDigest(out.HashAlgorithm, h.Value); err != nil {
			return fmt.Errorf("a hash is none of hashAlgorithmOID: %w", err)
		}
	}
	return nil
}
