package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// An application's life by command line, each change of it in the log.
func TestApplications(t *testing.T) {
	t.Parallel()
	base := pgtest.New(t, store.Migrate)
	database, dir := "--database="+base.Signer, t.TempDir()
	must := func(args ...string) string {
		t.Helper()
		status, text := command(t, append(args, database)...)
		if status != 0 {
			t.Fatalf("%q: got status %d: %s", args, status, text)
		}
		return text
	}
	write := func(name string, content []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	shown := personal(t, time.Now().Add(time.Hour))
	certificate := write("tls.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown}))
	output := filepath.Join(dir, "app.json")

	must("app", "add", "--name", "Sede", "--organisation", "Ayuntamiento", "--scope", "service,credential", "--return-url", "https://sede.example.es/v", "--output", output)
	var sede clientCredentials
	text, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &sede); err != nil || sede.Secret == "" {
		t.Fatalf("got %s %v, want a secret for who has nothing else", text, err)
	}
	kid := strings.TrimSpace(strings.TrimPrefix(must("app", "key", "add", sede.ID, public), "kid:"))
	must("app", "key", "add", sede.ID, write("next.json", []byte(`{"kty":"EC","kid":"next","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`)),
		"--not-before", "2046-01-01T00:00:00Z")
	must("app", "key", "until", sede.ID, kid, "2045-12-31T00:00:00Z")
	must("app", "certificate", "add", sede.ID, certificate)
	sum := sha256.Sum256(shown)
	must("app", "certificate", "until", sede.ID, hex.EncodeToString(sum[:]), "2047-01-01T00:00:00Z")
	must("app", "redirect", "add", sede.ID, "https://sede.example.es/otra")
	must("app", "switch", sede.ID, "secret", "off")
	must("app", "switch", sede.ID, "csc-v1", "on")
	must("app", "scopes", sede.ID, "--scope", "service,credential")
	must("app", "limits", sede.ID, "--door", "csc-v2,oauth", "--format", "pades", "--level", "B-T", "--calls", "7")
	must("app", "contact", sede.ID, "sede@example.es")
	for _, want := range []string{
		"enabled", "service credential", "no-sender-constraint csc-v1", "doors:           csc-v2 oauth", "pades", "B-T", "7", "sede@example.es", "https://sede.example.es/otra",
		kid, "– 2045-12-31", "next  2046-01-01", "(not yet)", hex.EncodeToString(sum[:]), "– 2047-01-01",
	} {
		if text := must("app", "show", sede.ID); !strings.Contains(text, want) {
			t.Errorf("show lacks %q:\n%s", want, text)
		}
	}
	must("app", "key", "remove", sede.ID, kid)
	must("app", "certificate", "remove", sede.ID, hex.EncodeToString(sum[:]))
	must("app", "redirect", "remove", sede.ID, "https://sede.example.es/otra")
	must("app", "disable", sede.ID)
	if text := must("app", "list"); !strings.Contains(text, sede.ID+"  disabled") {
		t.Errorf("the list: got %s", text)
	}
	must("app", "enable", sede.ID)
	if text := must("app", "rotate-secret", sede.ID); strings.Contains(text, sede.Secret) || !strings.Contains(text, "client_secret:") {
		t.Errorf("got %s, want another secret", text)
	}
	if text := must("app", "rotate-secret", sede.ID, "--overlap", "72h") + must("app", "show", sede.ID); !strings.Contains(text, "former secret:") {
		t.Errorf("got %s, want both secrets good", text)
	}
	must("app", "add", "--name", "Otra", "--organisation", "Ayuntamiento", "--return-url", "https://otra.example.es/", "--key", public, "--output", output)
	if text, err := os.ReadFile(output); err != nil || strings.Contains(string(text), "secret") {
		t.Errorf("got %s %v, want no secret for who has a key", text, err)
	}

	for _, refused := range [][]string{
		{"app", "show", "nobody"},
		{"app", "disable", "nobody"},
		{"app", "key", "add", sede.ID, certificate},
		{"app", "key", "until", sede.ID, "next", "2045-12-31T00:00:00Z"},
		{"app", "key", "until", sede.ID, "nokey", "2045-12-31T00:00:00Z"},
		{"app", "key", "remove", sede.ID, "nokey"},
		{"app", "add", "--name", "Sin vuelta", "--organisation", "Ayuntamiento"},
		{"app", "add", "--name", "", "--organisation", "Ayuntamiento", "--return-url", "https://otra.example.es/"},
		{"app", "add", "--name", "Privada", "--organisation", "Ayuntamiento", "--return-url", "https://otra.example.es/", "--key", certificate},
		{"app", "certificate", "add", sede.ID, public},
		{"app", "certificate", "remove", sede.ID, "00"},
		{"app", "redirect", "add", sede.ID, "https://sede.example.es/#x"},
		{"app", "redirect", "remove", sede.ID, "https://x.example.es/"},
		{"app", "switch", sede.ID, "anything", "on"},
		{"app", "scopes", sede.ID},
		{"app", "rotate-secret", sede.ID, "--overlap", "9999h"},
		{"app", "rotate-secret", sede.ID, "--overlap=-1h"},
		{"app", "scopes", sede.ID, "--scope", "registration"},
		{"app", "limits", sede.ID, "--format", "docx"},
		{"app", "limits", sede.ID, "--level", "B-X"},
	} {
		if status, text := command(t, append(refused, database)...); status == 0 {
			t.Errorf("%q was done: %s", refused, text)
		}
	}

	conn, err := pgx.Connect(t.Context(), base.Owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // a test's
	rows, err := conn.Query(t.Context(), `
		SELECT convert_from(payload, 'UTF8')::jsonb ->> 'change'
		FROM log_entries
		WHERE type = 'application.changed' AND operation = $1
		ORDER BY seq`, sede.ID)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"key_added", "key_added", "key_until", "certificate_added", "certificate_until", "redirect_added", "switched_off", "switched_on", "scopes", "limits", "contact",
		"key_removed", "certificate_removed", "redirect_removed", "disabled", "enabled", "secret_replaced", "secret_replaced",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}
