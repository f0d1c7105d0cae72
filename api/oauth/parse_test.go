package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/signer"
)

func TestParseDetails(t *testing.T) {
	t.Parallel()
	good := details("cred-1")
	hash := base64.StdEncoding.EncodeToString(make([]byte, 32))
	d, err := oauth.ParseDetails(good)
	if err != nil || d.CredentialID != "cred-1" || d.NumSignatures != 1 || len(d.Hashes[0].Value) != 32 {
		t.Fatalf("got %+v %v, want the detail", d, err)
	}
	newer := strings.Replace(good, `"type":"credential"`, `"type":"https://cloudsignatureconsortium.org/2025/credential","numSignatures":1,"hashType":"dtbsr"`, 1)
	if d, err = oauth.ParseDetails(newer); err != nil || d.HashType != "dtbsr" {
		t.Errorf("version 2.2: got %+v %v", d, err)
	}
	many := `{"hash":"` + hash + `"},`
	for name, bad := range map[string]string{
		"nothing": "", "null": "null", "no array": `{}`, "empty": `[]`, "two": "[" + good[1:len(good)-1] + "," + good[1:],
		"of numbers": "[1]", "no type": strings.Replace(good, `"type":"credential",`, "", 1), "another type": strings.Replace(good, `"credential",`, `"payment",`, 1),
		"type of a number": strings.Replace(good, `"type":"credential"`, `"type":1`, 1), "a new member": strings.Replace(good, `[{`, `[{"amount":1,`, 1),
		"a member of 2.2": strings.Replace(good, `[{`, `[{"numSignatures":1,`, 1), "too few signatures": strings.Replace(newer, `:1,`, `:0,`, 1),
		"too many": strings.Replace(newer, `:1,`, `:2147483648,`, 1), "negative": strings.Replace(newer, `:1,`, `:-1,`, 1),
		"signatures as text": strings.Replace(newer, `:1,`, `:"1",`, 1), "another hash type": strings.Replace(newer, "dtbsr", "md5", 1),
		"no credential": strings.Replace(good, `"credentialID":"cred-1",`, "", 1), "both": strings.Replace(good, `[{`, `[{"signatureQualifier":"eu_eidas_qes",`, 1),
		"a seal": strings.Replace(good, `"credentialID":"cred-1"`, `"signatureQualifier":"eu_eidas_qeseal"`, 1), "credential null": strings.Replace(good, `"cred-1"`, `null`, 1),
		"credential huge": strings.Replace(good, `cred-1`, strings.Repeat("x", 300), 1), "no digests": `[{"type":"credential","credentialID":"x"}]`,
		"digests of text": `[{"type":"credential","credentialID":"x","documentDigests":"x"}]`, "digests empty": `[{"type":"credential","credentialID":"x","documentDigests":[]}]`,
		"101 digests": strings.Replace(good, `[{"hash"`, "["+strings.Repeat(many, 100)+`{"hash"`, 1), "digest of text": strings.Replace(good, `[{"hash"`, `["x",{"hash"`, 1),
		"a member of a digest": strings.Replace(good, `"label"`, `"name"`, 1), "label with a line": strings.Replace(good, `Solicitud`, `a\nb`, 1),
		"label turned round": strings.Replace(good, `Solicitud`, `a\u202eb`, 1), "no hash": strings.Replace(good, `"hash":"`+hash+`",`, "", 1),
		"base64url": strings.Replace(good, hash, strings.Repeat("_-8", 14)+"x=", 1), "without padding": strings.Replace(good, hash, strings.TrimRight(hash, "="), 1),
		"with a line": strings.Replace(good, hash, hash[:8]+`\n`+hash[8:], 1), "short": strings.Replace(good, hash, base64.StdEncoding.EncodeToString(make([]byte, 31)), 1),
		"another algorithm": strings.Replace(good, signer.SHA256, signer.SHA512, 1), "SHA-1": strings.Replace(good, signer.SHA256, "1.3.14.3.2.26", 1),
		"twice in one": good + good, "deep": strings.Repeat("[", 100000),
	} {
		if d, err := oauth.ParseDetails(bad); err == nil {
			t.Errorf("%s: got %+v, want it refused", name, d)
		}
	}
}

func FuzzParseDetails(f *testing.F) {
	f.Add(details("cred-1"))
	f.Add(`[{"type":"https://cloudsignatureconsortium.org/2025/credential","signatureQualifier":"eu_eidas_qes","numSignatures":1e0,"documentDigests":[{}]}]`)
	f.Add(`[{"type":null}]`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := oauth.ParseDetails(text)
		if err != nil {
			return
		}
		if (d.CredentialID == "") == (d.Qualifier == "") || len(d.Hashes) == 0 || len(d.Hashes) > 100 || d.NumSignatures != len(d.Hashes) {
			t.Errorf("admitted %+v", d)
		}
		for _, h := range d.Hashes {
			if _, err := signer.ParseDigest(d.HashAlgorithm, h.Value); err != nil {
				t.Errorf("admitted a hash: %v", err)
			}
		}
	})
}

func FuzzParseClientCert(f *testing.F) {
	f.Add(":" + base64.StdEncoding.EncodeToString([]byte("der")) + ":")
	f.Add(url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("der")}))))
	f.Add("::")
	f.Fuzz(func(t *testing.T, line string) {
		der, err := oauth.ParseClientCert(line)
		if err != nil {
			return
		}
		again := ":" + base64.StdEncoding.EncodeToString(der) + ":"
		if strings.HasPrefix(line, ":") && again != line {
			t.Errorf("%q is read as %q", line, again)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := oauth.ParseKeys(text)
		if err != nil {
			return
		}
		for _, k := range keys {
			again, err := oauth.ParseKeys(k.JWK)
			if err != nil || len(again) != 1 || again[0].ID != k.ID || string(again[0].JWK) != string(k.JWK) {
				t.Errorf("%s is read again as %+v %v", k.JWK, again, err)
			}
		}
	})
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	private, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := oauth.ParseKeys(public(ec.Public()))
	if err != nil || len(keys) != 1 || len(keys[0].ID) != 43 {
		t.Fatalf("got %+v %v, want a key named by its thumbprint", keys, err)
	}
	var jwk map[string]any
	if err := json.Unmarshal(keys[0].JWK, &jwk); err != nil || jwk["alg"] != "ES256" || jwk["use"] != "sig" || jwk["d"] != nil {
		t.Errorf("got %s, want a public key for ES256", keys[0].JWK)
	}
	for name, bad := range map[string][]byte{
		"a private key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), "a weak key": public(weak.Public()),
		"a secret": []byte(`{"kty":"oct","k":"AAAA"}`), "no keys": []byte(`{"keys":[]}`), "nothing": nil, "text": []byte("x"),
		"a private JWK": []byte(`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}`),
	} {
		if keys, err := oauth.ParseKeys(bad); err == nil {
			t.Errorf("%s: got %+v, want it refused", name, keys)
		}
	}
}

func TestCheckReturnAddress(t *testing.T) {
	t.Parallel()
	for _, good := range []string{callback, "https://a.es", "http://127.0.0.1:9/x", "https://a.es/%C3%B1?q=1&r=%20"} {
		if err := oauth.CheckReturnAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a.es", "/x", "//a.es", "ftp://a.es", "https://", "https://u@a.es/", "https://a.es/#x", "https://a.es/#", "HTTPS://a.es", "https://a.es/ñ", "javascript:x"} {
		if err := oauth.CheckReturnAddress(bad); err == nil {
			t.Errorf("%s: want it refused", bad)
		}
	}
}
