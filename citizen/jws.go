package citizen

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json/v2"
	"math/big"
	"strings"
)

// ActLimit is the length in bytes that an act may have.
const ActLimit = 8 << 10

// Algorithm and type of an act's header are fixed: no key, no certificate and
// no algorithm is taken from what they are to prove (RFC 8725, sections 3.1 and
// 3.10). The type keeps acts apart from whatever else an office's key may sign
// (section 3.11).
const (
	actAlgorithm = "ES256"
	actType      = "rubrica-office-act+jws"
)

// letter is a JWS in compact serialization (RFC 7515, section 3.1), taken
// apart but not believed.
type letter struct {
	input     string // header and payload as they came: what is signed
	payload   []byte
	signature []byte // R ‖ S (RFC 7518, section 3.4)
}

// openLetter takes a JWS apart. It is strict where RFC 7515 is not: a header
// has an algorithm and a type and nothing else, so that there is no parameter
// that another reader might obey.
func openLetter(jws string) (letter, bool) {
	if len(jws) > ActLimit {
		return letter{}, false
	}
	head, rest, _ := strings.Cut(jws, ".")
	body, tail, _ := strings.Cut(rest, ".")
	rawHeader, ok := fromBase64(head)
	if !ok {
		return letter{}, false
	}
	var header struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
	}
	if err := json.Unmarshal(rawHeader, &header, json.RejectUnknownMembers(true)); err != nil {
		return letter{}, false
	}
	if header.Algorithm != actAlgorithm || header.Type != actType {
		return letter{}, false
	}
	payload, ok := fromBase64(body)
	if !ok {
		return letter{}, false
	}
	signature, ok := fromBase64(tail)
	return letter{input: head + "." + body, payload: payload, signature: signature}, ok && len(signature) == 64
}

// fromBase64 reads base64url without padding (RFC 7515, section 2), in its one
// form: Go's decoder lets line breaks pass.
func fromBase64(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	return b, err == nil && base64.RawURLEncoding.EncodeToString(b) == s
}

// signedWith is whether the private part of a key on P-256 made the signature.
func (l letter) signedWith(key *ecdsa.PublicKey) bool {
	sum := sha256.Sum256([]byte(l.input))
	r, s := new(big.Int).SetBytes(l.signature[:32]), new(big.Int).SetBytes(l.signature[32:])
	return ecdsa.Verify(key, sum[:], r, s)
}
