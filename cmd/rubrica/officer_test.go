package main

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

func TestOfficerAccounts(t *testing.T) {
	t.Parallel()
	base := pgtest.New(t, store.Migrate)
	db, err := store.Open(t.Context(), base.Signer)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	office := clientCredentials{ID: "norte", Secret: "s"}
	client := signer.Client{ID: office.ID, Name: "Oficina", Organisation: "Ayuntamiento", SecretHash: make([]byte, 32), Scopes: []string{api.ScopeRegistration}}
	if err := db.AddApplication(t.Context(), client, time.Now()); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(t.TempDir(), name) }
	officeFile, certificate, output := file("office.json"), file("rosa.pem"), file("rosa.json")
	if err := office.write(officeFile); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: personal(t, time.Now().Add(time.Hour))}), 0o600); err != nil {
		t.Fatal(err)
	}
	database := "--database=" + base.Signer
	for _, refused := range [][]string{
		{"Rosa", "--role", "officer"},
		{"Rosa", "--role", "auditor", "--office-id", "norte"},
		{"Rosa", "--role", "officer", "--office-id", "none-such"},
		{"Rosa", "--role", "officer", "--office-id", "norte", "--office-file", officeFile},
		{"", "--role", "officer", "--office-id", "norte"},
		{"Rosa \u202eliG", "--role", "officer", "--office-id", "norte"},
		{strings.Repeat("a", 300), "--role", "officer", "--office-id", "norte"},
	} {
		if status, text := command(t, append([]string{"officer", "add", database}, refused...)...); status == 0 {
			t.Errorf("%q: got an account: %s", refused, text)
		}
	}
	if status, _ := command(t, "officer", "add", database, "Rosa Gil", "--role", "supervisor", "--office-file", officeFile, "--certificate", certificate, "--output", output); status != 0 {
		t.Fatalf("adding: got status %d", status)
	}
	var rosa accountCredentials
	text, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &rosa); err != nil {
		t.Fatal(err)
	}
	got, err := db.Staff(personnel.Officers()).Account(t.Context(), rosa.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Office != "norte" || got.Role != personnel.RoleSupervisor || len(got.Certificate) != 32 || rosa.Secret != "" {
		t.Errorf("got %+v, secret %q", got, rosa.Secret)
	}
	status, link := command(t, "officer", "invite", database, "--public-url", "https://mesa.example.es", rosa.ID)
	if status != 0 || !strings.HasPrefix(link, "https://mesa.example.es/mesa/invitacion#") {
		t.Errorf("got status %d, link %q", status, link)
	}
	_, list := command(t, "officer", "list", database)
	for _, want := range []string{"Rosa Gil", "supervisor", "norte", "certificate", "invited until"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list lacks %q:\n%s", want, list)
		}
	}
	if status, _ := command(t, "officer", "disable", database, rosa.ID); status != 0 {
		t.Errorf("disabling: got status %d", status)
	}
	if status, _ := command(t, "officer", "invite", database, "--public-url", "https://mesa.example.es", rosa.ID); status == 0 {
		t.Error("invited who is disabled")
	}
	// What an auditor may be is nothing here.
	_, auditors := command(t, "auditor", "list", database)
	if diff := cmp.Diff(1, strings.Count(strings.TrimSpace(auditors), "\n")+1); diff != "" {
		t.Errorf("lines of auditors (-want +got):\n%s\n%s", diff, auditors)
	}
}
