package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// What a supervisor changes at the desk is in the log with who it was and why;
// whoever is none changes nothing, whatever the registrar says.
func TestApplicationsAtTheDesk(t *testing.T) {
	t.Parallel()
	base := pgtest.New(t, store.Migrate)
	db, err := store.Open(t.Context(), base.Signer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	now := time.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(db.AddApplication(t.Context(), signer.Client{
		ID: "sede", Name: "Sede", Organisation: "Gijón", Scopes: []string{"signature"}, ReturnAddresses: []string{"https://sede.example.es/v"},
	}, now))
	must(db.AddApplication(t.Context(), signer.Client{ID: "central", Name: "Oficina", Organisation: "Gijón", SecretHash: make([]byte, 32), Scopes: []string{"registration"}}, now))
	for id, role := range map[string]string{"rosa": personnel.RoleSupervisor, "luis": personnel.RoleOfficer} {
		must(db.Staff(personnel.Officers()).Add(t.Context(), personnel.Account{ID: id, Name: id, Role: role, Office: "central", CreatedAt: now}))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(err)
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	shown := personal(t, now.Add(time.Hour))
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown}))
	fingerprint := sha256.Sum256(shown)

	perform := changeApplication(db)
	do := func(by string, c citizen.ApplicationChange) error {
		c.Application, c.By = "sede", by
		_, err := perform(t.Context(), citizen.Statement{ID: "statement-1", Office: "central", Officer: "Rosa (rosa)", Reason: "Incidencia 77", Kind: citizen.ActChangeApplication, Change: c})
		return err
	}
	changes := []citizen.ApplicationChange{
		{What: citizen.KeyAdded, Value: public, From: "2026-01-01", Until: "2046-12-31"},
		{What: citizen.CertificateAdded, Value: certificate},
		{What: citizen.RedirectAdded, Value: "https://sede.example.es/otra"},
		{What: citizen.RedirectRemoved, Value: "https://sede.example.es/v"},
		{What: citizen.ApplicationLimits, Doors: []string{"rest"}, Formats: []string{"pades"}, Levels: []string{"B-T"}, Calls: 9},
		{What: citizen.ApplicationContact, Value: "sede@example.es"},
		{What: citizen.ApplicationSwitchedOn, Value: "csc-v1"},
		{What: citizen.ApplicationSwitchedOff, Value: "csc-v1"},
		{What: citizen.CertificateRemoved, Value: hex.EncodeToString(fingerprint[:])},
		{What: citizen.ApplicationDisabled},
		{What: citizen.ApplicationEnabled},
	}
	var want []string
	for _, c := range changes {
		if err := do("rosa", c); err != nil {
			t.Fatalf("%s: %v", c.What, err)
		}
		want = append(want, string(c.What))
	}
	client, enabled, err := db.Application(t.Context(), "sede")
	must(err)
	if !enabled || len(client.Keys) != 1 || len(client.Certificates) != 0 || client.Calls != 9 || client.Contact != "sede@example.es" || !cmp.Equal(client.Doors, []string{"rest"}) ||
		!cmp.Equal(client.ReturnAddresses, []string{"https://sede.example.es/otra"}) || client.Keys[0].NotAfter.Format(time.DateOnly) != "2047-01-01" {
		t.Errorf("got %+v, want all of it changed", client)
	}
	for _, c := range append(changes, citizen.ApplicationChange{What: citizen.KeyRemoved, Value: client.Keys[0].ID}) {
		for _, by := range []string{"luis", "nobody"} {
			if err := do(by, c); !errors.Is(err, policies.Refuse(policies.RoleMissing)) {
				t.Errorf("%s by %s: got %v, want it refused", c.What, by, err)
			}
		}
	}
	for reason, c := range map[string]citizen.ApplicationChange{
		"client_key":         {What: citizen.KeyAdded, Value: certificate, From: "2026-01-01", Until: "2046-12-31"},
		"key_known":          {What: citizen.KeyAdded, Value: public, From: "2026-01-01", Until: "2046-12-31"},
		"client_certificate": {What: citizen.CertificateAdded, Value: public},
		"return_address":     {What: citizen.RedirectAdded, Value: "https://sede.example.es/#x"},
		"contact":            {What: citizen.ApplicationContact, Value: strings.Repeat("x", 201)},
		"limits":             {What: citizen.ApplicationLimits, Doors: []string{"window"}},
		"switch":             {What: citizen.ApplicationSwitchedOn, Value: "everything"},
		"no_secret":          {What: citizen.ApplicationSwitchedOn, Value: "secret"},
	} {
		refusal, _ := errors.AsType[*policies.Refusal](do("rosa", c))
		if refusal == nil || refusal.Code != policies.QueryInvalid || refusal.Params["reason"] != reason {
			t.Errorf("%s: got %v, want it refused so", reason, refusal)
		}
	}
	conn, err := pgx.Connect(t.Context(), base.Owner)
	must(err)
	defer conn.Close(t.Context()) //nolint:errcheck // a test's
	rows, err := conn.Query(t.Context(), `
		SELECT p ->> 'change'
		FROM (SELECT seq, convert_from(payload, 'UTF8')::jsonb AS p FROM log_entries WHERE type = 'application.changed') AS e
		WHERE p ->> 'officer' = 'Rosa (rosa)' AND p ->> 'office' = 'central' AND p ->> 'reason' = 'Incidencia 77' AND p ->> 'statement' = 'statement-1'
		ORDER BY seq`)
	must(err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}
