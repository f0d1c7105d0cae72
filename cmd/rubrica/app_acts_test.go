package main

import (
	"bytes"
	"cmp"
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

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api"
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
		c.Application, c.By = cmp.Or(c.Application, "sede"), by
		_, err := perform(t.Context(), citizen.Statement{ID: "statement-1", Office: "central", Officer: "Rosa (rosa)", Reason: "Incidencia 77", Kind: citizen.ActChangeApplication, Change: c})
		return err
	}
	secret, hash := citizen.DrawSecret()
	changes := []citizen.ApplicationChange{
		{What: citizen.KeyAdded, Value: public, From: "2026-01-01", Until: "2046-12-31"},
		{What: citizen.CertificateAdded, Value: certificate},
		{What: citizen.RedirectAdded, Value: "https://sede.example.es/otra"},
		{What: citizen.RedirectRemoved, Value: "https://sede.example.es/v"},
		{What: citizen.ApplicationScopes, Scopes: []string{"signature", "service"}},
		{What: citizen.ApplicationLimits, Doors: []string{"rest"}, Formats: []string{"pades"}, Levels: []string{"B-T"}, Calls: 9},
		{What: citizen.ApplicationContact, Value: "sede@example.es"},
		{What: citizen.ApplicationSwitchedOn, Value: "csc-v1"},
		{What: citizen.ApplicationSwitchedOff, Value: "csc-v1"},
		{What: citizen.CertificateUntil, Value: hex.EncodeToString(fingerprint[:]), Until: "2046-12-31"},
		{What: citizen.CertificateRemoved, Value: hex.EncodeToString(fingerprint[:])},
		{What: citizen.SecretReplaced, SecretSHA256: hex.EncodeToString(hash)},
		{What: citizen.SecretReplaced, SecretSHA256: hex.EncodeToString(hash), Until: time.Now().AddDate(0, 0, 3).Format(time.DateOnly)},
		{What: citizen.ApplicationSwitchedOn, Value: "secret"},
		{What: citizen.WebhookAdded, Value: "https://sede.example.es/avisos"},
		{What: citizen.ApplicationDisabled},
		{What: citizen.ApplicationEnabled},
	}
	if refusal, _ := errors.AsType[*policies.Refusal](do("rosa", citizen.ApplicationChange{What: citizen.ApplicationSwitchedOn, Value: "secret"})); refusal == nil || refusal.Params["reason"] != "no_secret" {
		t.Errorf("got %v, want no switch for a secret that there is not", refusal)
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
	told, err := db.Webhooks(t.Context(), "sede")
	must(err)
	if len(told) != 1 || told[0].URL != "https://sede.example.es/avisos" || !bytes.Equal(client.SecretHash, api.SecretHash(secret.Reveal())) {
		t.Errorf("got %v and %x, want it told there, and the secret's hash", told, client.SecretHash)
	}
	if !enabled || len(client.Keys) != 1 || len(client.Certificates) != 0 || client.Calls != 9 || client.Contact != "sede@example.es" || !gocmp.Equal(client.Doors, []string{"rest"}) || !gocmp.Equal(client.Scopes, []string{"signature", "service"}) ||
		!gocmp.Equal(client.ReturnAddresses, []string{"https://sede.example.es/otra"}) || client.Keys[0].NotAfter.Format(time.DateOnly) != "2047-01-01" {
		t.Errorf("got %+v, want all of it changed", client)
	}
	fresh := newcomer()
	for _, c := range append(changes,
		citizen.ApplicationChange{What: citizen.KeyUntil, Value: client.Keys[0].ID, Until: "2046-12-31"},
		citizen.ApplicationChange{What: citizen.KeyRemoved, Value: client.Keys[0].ID},
		citizen.ApplicationChange{What: citizen.WebhookRemoved, Value: told[0].ID},
		citizen.ApplicationChange{What: citizen.ApplicationAdded, Application: citizen.NewClientID(), New: &fresh, SecretSHA256: hex.EncodeToString(hash)},
	) {
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
		"scopes":             {What: citizen.ApplicationScopes, Scopes: []string{"registration"}},
		"switch":             {What: citizen.ApplicationSwitchedOn, Value: "everything"},
		"webhook_address":    {What: citizen.WebhookAdded, Value: "http://sede.example.es/"},
		"key_span":           {What: citizen.KeyUntil, Value: client.Keys[0].ID, Until: "2025-12-30"},
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
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}

// newcomer is an application as a supervisor hands it in.
func newcomer() citizen.NewApplication {
	return citizen.NewApplication{
		Name: "Padrón", Organisation: "Gijón", Scopes: []string{"signature", "service"}, ReturnAddresses: []string{"https://padron.example.es/v"}, Contact: "padron@example.es",
	}
}

// A supervisor registers applications, never an office: by keys, by a certificate,
// or with a secret of which the signer has the hash alone.
func TestRegisteringAtTheDesk(t *testing.T) {
	t.Parallel()
	base := pgtest.New(t, store.Migrate)
	db, err := store.Open(t.Context(), base.Signer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	now := time.Now()
	if err := db.AddApplication(t.Context(), signer.Client{ID: "central", Name: "Oficina", Organisation: "Gijón", SecretHash: make([]byte, 32), Scopes: []string{"registration"}}, now); err != nil {
		t.Fatal(err)
	}
	if err := db.Staff(personnel.Officers()).Add(t.Context(), personnel.Account{ID: "rosa", Name: "Rosa", Role: personnel.RoleSupervisor, Office: "central", CreatedAt: now}); err != nil {
		t.Fatal(err)
	}
	perform := changeApplication(db)
	register := func(id, hash string, change func(*citizen.NewApplication)) error {
		n := newcomer()
		change(&n)
		c := citizen.ApplicationChange{What: citizen.ApplicationAdded, Application: id, By: "rosa", New: &n, SecretSHA256: hash}
		_, err := perform(t.Context(), citizen.Statement{ID: "statement-2", Office: "central", Officer: "Rosa (rosa)", Reason: "Expediente 12", Kind: citizen.ActChangeApplication, Change: c})
		return err
	}
	const keys = `{"keys":[{"kty":"EC","kid":"one","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
		{"kty":"EC","kid":"two","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`
	_, sum := citizen.DrawSecret()
	hash, shown := hex.EncodeToString(sum), personal(t, now.Add(time.Hour))
	byKey, byCertificate, bySecret := citizen.NewClientID(), citizen.NewClientID(), citizen.NewClientID()
	for id, err := range map[string]error{
		byKey: register(byKey, "", func(n *citizen.NewApplication) { n.Keys = keys }),
		byCertificate: register(byCertificate, "", func(n *citizen.NewApplication) {
			n.Certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown}))
		}),
		bySecret: register(bySecret, hash, func(*citizen.NewApplication) {}),
	} {
		if err != nil {
			t.Fatal(err)
		}
		got, enabled, err := db.Application(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		relaxed := got.SecretHash != nil && gocmp.Equal(got.Switches, []string{signer.SwitchSecret, signer.SwitchUnbound})
		if n := newcomer(); !enabled || got.Name != n.Name || got.Organisation != n.Organisation || got.Contact != n.Contact || !gocmp.Equal(got.Scopes, n.Scopes) ||
			!gocmp.Equal(got.ReturnAddresses, n.ReturnAddresses) || relaxed != (id == bySecret) || len(got.Keys) == 2 != (id == byKey) || len(got.Certificates) == 1 != (id == byCertificate) {
			t.Errorf("got %+v, want what was handed in, and nothing relaxed but for who has a secret", got)
		}
	}
	for reason, err := range map[string]error{
		"application_known":        register(byKey, "", func(n *citizen.NewApplication) { n.Keys = keys }),
		"application_name":         register(citizen.NewClientID(), hash, func(n *citizen.NewApplication) { n.Name = "a\u202eb" }),
		"application_organisation": register(citizen.NewClientID(), hash, func(n *citizen.NewApplication) { n.Organisation = "" }),
		"scopes":                   register(citizen.NewClientID(), hash, func(n *citizen.NewApplication) { n.Scopes = []string{"registration"} }),
		"return_address":           register(citizen.NewClientID(), hash, func(n *citizen.NewApplication) { n.ReturnAddresses = nil }),
		"client_key":               register(citizen.NewClientID(), hash, func(n *citizen.NewApplication) { n.Keys = "-----BEGIN EC PRIVATE KEY-----" }),
		"client_certificate":       register(citizen.NewClientID(), hash, func(n *citizen.NewApplication) { n.Certificate = keys }),
		"format":                   register(citizen.NewClientID(), "", func(*citizen.NewApplication) {}),
	} {
		if refusal, _ := errors.AsType[*policies.Refusal](err); refusal == nil || refusal.Params["reason"] != reason {
			t.Errorf("%s: got %v, want it refused so", reason, err)
		}
	}
	if all, err := db.Applications(t.Context()); err != nil || len(all) != 4 {
		t.Errorf("got %d %v, want the office and three applications", len(all), err)
	}
	conn, err := pgx.Connect(t.Context(), base.Owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // a test's
	var entries int
	if err := conn.QueryRow(t.Context(), `
		SELECT count(*)
		FROM (SELECT type, convert_from(payload, 'UTF8')::jsonb AS p FROM log_entries WHERE operation = ANY ($1)) AS e
		WHERE p ->> 'officer' = 'Rosa (rosa)' AND p ->> 'office' = 'central' AND p ->> 'reason' = 'Expediente 12' AND p ->> 'statement' = 'statement-2'`,
		[]string{byKey, byCertificate, bySecret}).Scan(&entries); err != nil || entries != 6 {
		t.Errorf("got %d entries %v, want three of applications, two of keys and one of a certificate, each with who and why", entries, err)
	}
}
