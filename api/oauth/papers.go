package oauth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"

	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/rubrica-firma/rubrica/signer"
)

// What an operator hands in when an application is registered.

const maxKeyID = 100

// ParseKeys reads the public keys of an application: PEM (PUBLIC KEY), a JWK or a
// JWK set. A key without an id is named by its thumbprint (RFC 7638). When they
// are good is the caller's to say.
func ParseKeys(text []byte) ([]signer.ClientKey, error) {
	jwks, err := readKeys(text)
	if err != nil {
		return nil, err
	}
	var keys []signer.ClientKey
	for _, jwk := range jwks {
		k, err := clientKey(jwk)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key in it")
	}
	return keys, nil
}

func readKeys(text []byte) ([]goidc.JSONWebKey, error) {
	if block, _ := pem.Decode(text); block != nil {
		if block.Type != "PUBLIC KEY" {
			return nil, fmt.Errorf("%s is not expected: hand in the public key, such as `openssl pkey -pubout` writes", block.Type)
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading a public key: %w", err)
		}
		return []goidc.JSONWebKey{{Key: key}}, nil
	}
	var set struct {
		Keys []goidc.JSONWebKey `json:"keys"`
	}
	var shape map[string]json.RawMessage
	if err := json.Unmarshal(text, &shape); err != nil {
		return nil, errors.New("it is neither PEM nor JSON")
	}
	if _, several := shape["keys"]; several {
		if err := json.Unmarshal(text, &set); err != nil {
			return nil, fmt.Errorf("reading a key set: %w", err)
		}
		return set.Keys, nil
	}
	var jwk goidc.JSONWebKey
	if err := json.Unmarshal(text, &jwk); err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	return []goidc.JSONWebKey{jwk}, nil
}

// clientKey admits what the FAPI 2.0 security profile does (section 5.4.1 and
// 5.4.2).
func clientKey(jwk goidc.JSONWebKey) (signer.ClientKey, error) {
	if !jwk.Valid() || !jwk.IsPublic() {
		return signer.ClientKey{}, errors.New("a key is no public one: what is private stays with the application")
	}
	out := goidc.JSONWebKey{Key: jwk.Key, KeyID: jwk.KeyID, Use: "sig"}
	switch key := jwk.Key.(type) {
	case *ecdsa.PublicKey:
		if out.Algorithm = string(goidc.SigAlgES256); key.Curve != elliptic.P256() {
			return signer.ClientKey{}, errors.New("a key is on another curve than P-256")
		}
	case *rsa.PublicKey:
		if out.Algorithm = string(goidc.SigAlgPS256); key.N.BitLen() < 2048 {
			return signer.ClientKey{}, errors.New("an RSA key has fewer than 2048 bits")
		}
	case ed25519.PublicKey:
		out.Algorithm = "EdDSA"
	default:
		return signer.ClientKey{}, errors.New("a key is of a kind that is not admitted")
	}
	if out.KeyID == "" {
		thumbprint, err := jwk.Thumbprint(crypto.SHA256)
		if err != nil {
			return signer.ClientKey{}, fmt.Errorf("naming a key: %w", err)
		}
		out.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	}
	if len(out.KeyID) > maxKeyID || !printable(out.KeyID) {
		return signer.ClientKey{}, errors.New("a key's id is too long, or not printable")
	}
	text, err := out.MarshalJSON()
	if err != nil {
		return signer.ClientKey{}, fmt.Errorf("encoding a key: %w", err)
	}
	return signer.ClientKey{ID: out.KeyID, JWK: text}, nil
}

// ParseCertificate reads the TLS certificate by which an application shows who it
// is, PEM or DER. Later ones of a chain are passed over: the fingerprint is what
// counts.
func ParseCertificate(text []byte) (signer.ClientCertificate, error) {
	der := text
	if block, _ := pem.Decode(text); block != nil {
		if block.Type != "CERTIFICATE" {
			return signer.ClientCertificate{}, fmt.Errorf("%s is not expected: hand in the certificate", block.Type)
		}
		der = block.Bytes
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return signer.ClientCertificate{}, fmt.Errorf("reading a certificate: %w", err)
	}
	sum := sha256.Sum256(certificate.Raw)
	return signer.ClientCertificate{
		SHA256: sum[:], DER: bytes.Clone(certificate.Raw), NotBefore: certificate.NotBefore, NotAfter: certificate.NotAfter,
	}, nil
}

// CheckReturnAddress refuses an address to which no browser could be sent back,
// or that can be written in more than one way: it is compared as it stands.
func CheckReturnAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("return address %q must be an absolute http or https address", address)
	case u.User != nil || u.Fragment != "" || u.RawFragment != "" || address[len(address)-1] == '#':
		return fmt.Errorf("return address %q must have neither a user nor a fragment", address)
	case u.String() != address:
		return fmt.Errorf("return address %q must be written as %q", address, u.String())
	}
	return nil
}
