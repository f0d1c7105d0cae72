package webhooks

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// Algorithms, as the registry of RFC 9421 names them.
const (
	ecdsaP256 = "ecdsa-p256-sha256"
	ed255     = "ed25519"
)

const (
	// label is of the signature among others that a message may have.
	label = "rubrica"
	// tag says what the signature is for (RFC 9421, section 2.3): a signature of
	// the same key for something else is none of a call.
	tag = "rubrica-webhook"
	// life is for how long a call may be believed.
	life = 5 * time.Minute
)

// covered are the components that a call's signature covers.
func covered() []string {
	return []string{"@method", "@target-uri", "content-type", "content-digest", "content-length"}
}

// sign signs a call with its body (RFC 9421; RFC 9530 for the digest).
func (k *Keys) sign(r *http.Request, body []byte, now time.Time) error {
	sum := sha256.Sum256(body)
	r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	parameters := fmt.Sprintf(`;created=%d;expires=%d;keyid=%q;alg=%q;tag=%q`, now.Unix(), now.Add(life).Unix(), k.id, k.algorithm, tag)
	base, input := signatureBase(r, covered(), parameters)
	value, err := k.signature(base)
	if err != nil {
		return err
	}
	r.Header.Set("Signature-Input", label+"="+input)
	r.Header.Set("Signature", label+"=:"+base64.StdEncoding.EncodeToString(value)+":")
	return nil
}

// signatureBase is what is signed (RFC 9421, section 2.5), and the value of
// Signature-Input that says so. Each component occurs once, and is a header
// with one value or derived.
func signatureBase(r *http.Request, components []string, parameters string) (base, input string) {
	var lines, names strings.Builder
	for i, name := range components {
		value := strings.TrimSpace(r.Header.Get(name))
		switch name { // section 2.2
		case "@method":
			value = r.Method
		case "@target-uri":
			value = r.URL.String()
		case "@authority":
			value = r.URL.Host
		case "@path":
			value = r.URL.EscapedPath()
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		fmt.Fprintf(&lines, "%q: %s\n", name, value)
		if i > 0 {
			names.WriteByte(' ')
		}
		fmt.Fprintf(&names, "%q", name)
	}
	input = "(" + names.String() + ")" + parameters
	return lines.String() + `"@signature-params": ` + input, input
}

func (k *Keys) signature(base string) ([]byte, error) {
	if k.algorithm == ed255 { // section 3.3.6
		return k.signer.Sign(rand.Reader, []byte(base), crypto.Hash(0))
	}
	sum := sha256.Sum256([]byte(base))
	der, err := k.signer.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing a call: %w", err)
	}
	var point struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &point); err != nil {
		return nil, fmt.Errorf("signing a call: %w", err)
	}
	value := make([]byte, 64) // r and s, 32 octets each (section 3.3.4)
	point.R.FillBytes(value[:32])
	point.S.FillBytes(value[32:])
	return value, nil
}
