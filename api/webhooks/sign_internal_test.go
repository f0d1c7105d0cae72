package webhooks

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
)

const testKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
`

// The signature of RFC 9421, appendix B.2.6, which has one value only.
func TestSignatureOfTheStandard(t *testing.T) {
	t.Parallel()
	k, err := ReadKeys([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://example.com/foo?param=Value&Pet=dog", strings.NewReader(`{"hello": "world"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
	r.Header.Set("Content-Type", "application/json")
	base, input := signatureBase(r, []string{"date", "@method", "@path", "@authority", "content-type", "content-length"}, `;created=1618884473;keyid="test-key-ed25519"`)
	if want := `("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`; input != want {
		t.Errorf("got %s, want %s", input, want)
	}
	value, err := k.signature(base)
	if err != nil {
		t.Fatal(err)
	}
	const want = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
	if got := base64.StdEncoding.EncodeToString(value); got != want {
		t.Errorf("got %s, want %s over\n%s", got, want, base)
	}
}

// The thumbprint of RFC 8037, appendix A.3.
func TestThumbprintOfTheStandard(t *testing.T) {
	t.Parallel()
	x, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jwkOf(ed25519.PublicKey(x))
	if err != nil {
		t.Fatal(err)
	}
	if want := "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"; jwk.ID != want {
		t.Errorf("got %s, want %s", jwk.ID, want)
	}
}

// The first key signs; the others may be public, and of other algorithms.
func TestReadKeys(t *testing.T) {
	t.Parallel()
	private, err := ReadKeys([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if both, err := ReadKeys([]byte(testKey), public); err != nil || len(both.published) != 2 || both.published[0] != both.published[1] {
		t.Errorf("got %+v %v, want the same key twice", both, err)
	}
	for name, files := range map[string][][]byte{
		"none": nil, "no PEM": {[]byte("x")}, "empty": {nil}, "only a public one": {public}, "not a key": {[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")},
	} {
		if _, err := ReadKeys(files...); err == nil {
			t.Errorf("%s: got none, want an error", name)
		}
	}
}
