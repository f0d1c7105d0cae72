package webhooks

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Wherever a call goes, its signature is over one line for each component, so that
// nothing of an address can pass for another component; and it holds.
func FuzzSign(f *testing.F) {
	for _, seed := range []string{
		"https://sede.example.es/avisos", "https://a/?x=%0A%22@method%22:%20GET", "https://[::1]:1/", "https://a/\u00f1", "https://a/%2f?;=&", "https://a/b c", "https://u:p@a/#f",
	} {
		f.Add(seed, []byte(`{"id":"e"}`))
	}
	k, err := ReadKeys([]byte(testKey))
	if err != nil {
		f.Fatal(err)
	}
	public, ok := k.signer.Public().(ed25519.PublicKey)
	if !ok {
		f.Fatal("want a key of Ed25519")
	}
	f.Fuzz(func(t *testing.T, address string, body []byte) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(string(body)))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		if err := k.sign(r, body, time.Unix(1_795_000_000, 0)); err != nil {
			t.Fatal(err)
		}
		parameters, found := strings.CutPrefix(r.Header.Get("Signature-Input"), label+"=")
		if !found {
			t.Fatalf("got the input %q", r.Header.Get("Signature-Input"))
		}
		_, parameters, _ = strings.Cut(parameters, ")")
		base, _ := signatureBase(r, covered(), parameters)
		lines := strings.Split(base, "\n")
		if len(lines) != len(covered())+1 {
			t.Fatalf("got %d lines, want one for each component:\n%s", len(lines), base)
		}
		for i, name := range covered() {
			if !strings.HasPrefix(lines[i], `"`+name+`": `) {
				t.Errorf("line %d: got %q, want %s", i, lines[i], name)
			}
		}
		value := strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Signature"), label+"=:"), ":")
		signature, err := base64.StdEncoding.DecodeString(value)
		if err != nil || !ed25519.Verify(public, []byte(base), signature) {
			t.Errorf("got %q (%v) over\n%s", value, err, base)
		}
	})
}
