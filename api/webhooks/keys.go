package webhooks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
)

// JWK is a public key (RFC 7517), of P-256 or Ed25519.
type JWK struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y,omitempty"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"` // as RFC 9421 names it, section 6.2.2
}

// Keys sign calls, and say with which keys calls are signed: the first one
// signs, all are published, so that receivers know the next one before it is
// used and the former one while its last calls are under way.
type Keys struct {
	signer    crypto.Signer
	algorithm string
	id        string
	published []JWK
}

// ErrKey means that a key's file is not what it should be. Of its content it
// says nothing.
var ErrKey = errors.New("a webhook key is a PEM file with one private key (PKCS #8) of P-256 or Ed25519; all but the first may be public keys")

// ReadKeys reads keys in PEM, and wipes private ones where they were read from.
func ReadKeys(files ...[]byte) (*Keys, error) {
	k := &Keys{}
	for i, file := range files {
		block, _ := pem.Decode(file)
		if block == nil {
			return nil, ErrKey
		}
		private, public := parseKey(block)
		if private != nil {
			clear(block.Bytes)
			clear(file)
		}
		jwk, err := jwkOf(public)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if private == nil {
				return nil, ErrKey
			}
			k.signer, k.algorithm, k.id = private, jwk.Algorithm, jwk.ID
		}
		k.published = append(k.published, jwk)
	}
	if k.signer == nil {
		return nil, ErrKey
	}
	return k, nil
}

func parseKey(block *pem.Block) (crypto.Signer, crypto.PublicKey) {
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if private, ok := key.(crypto.Signer); ok {
			return private, private.Public()
		}
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, key.Public()
	}
	if public, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		return nil, public
	}
	return nil, nil
}

// jwkOf names a key by its thumbprint (RFC 7638; RFC 8037, section 2).
func jwkOf(public crypto.PublicKey) (JWK, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	var k JWK
	var members string
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil || key.Curve != elliptic.P256() {
			return k, ErrKey
		}
		k = JWK{KeyType: "EC", Curve: "P-256", X: b64(point[1:33]), Y: b64(point[33:]), Algorithm: ecdsaP256}
		members = fmt.Sprintf(`{"crv":%q,"kty":%q,"x":%q,"y":%q}`, k.Curve, k.KeyType, k.X, k.Y)
	case ed25519.PublicKey:
		k = JWK{KeyType: "OKP", Curve: "Ed25519", X: b64(key), Algorithm: ed255}
		members = fmt.Sprintf(`{"crv":%q,"kty":%q,"x":%q}`, k.Curve, k.KeyType, k.X)
	default:
		return k, ErrKey
	}
	sum := sha256.Sum256([]byte(members))
	k.ID, k.Use = b64(sum[:]), "sig"
	return k, nil
}

// Set is the published set (RFC 7517, section 5).
func (k *Keys) Set() ([]byte, error) {
	return json.Marshal(struct {
		Keys []JWK `json:"keys"`
	}{k.published})
}
