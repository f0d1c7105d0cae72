package store_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// auditorsDesk is the database as command line and door see it.
type auditorsDesk struct {
	base   pgtest.Database
	signer store.Staff
	door   store.Auditor
	now    time.Time
}

func newAuditorsDesk(t *testing.T) *auditorsDesk {
	t.Helper()
	d := &auditorsDesk{base: pgtest.New(t, store.Migrate), now: time.Now().UTC().Truncate(time.Microsecond)}
	open := func(address string) *store.DB {
		db, err := store.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}
	d.signer, d.door = open(d.base.Signer).Staff(personnel.Auditors()), store.ForAuditor(open(d.base.Auditor))
	return d
}

func (d *auditorsDesk) add(t *testing.T, id, role string) personnel.Account {
	t.Helper()
	a := personnel.Account{ID: id, Name: "Name of " + id, Role: role, Certificate: hashed("certificate of " + id), CreatedAt: d.now}
	if err := d.signer.Add(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

func hashed(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func wantRefusal(t *testing.T, err error, code policies.Code) {
	t.Helper()
	if !errors.Is(err, policies.Refuse(code)) {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestAuditors(t *testing.T) {
	t.Parallel()
	d, ctx := newAuditorsDesk(t), t.Context()
	ana := d.add(t, "ana", "auditor")
	jefa := d.add(t, "jefa", "administrator")
	for name, read := range map[string]func() (personnel.Account, error){
		"by id":          func() (personnel.Account, error) { return d.door.Account(ctx, "ana") },
		"by certificate": func() (personnel.Account, error) { return d.door.AccountByCertificate(ctx, ana.Certificate) },
	} {
		got, err := read()
		if diff := cmp.Diff(ana, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	_, err := d.door.Account(ctx, "nobody")
	wantRefusal(t, err, policies.AuditorRefused)
	_, err = d.door.AccountByCertificate(ctx, hashed("another"))
	wantRefusal(t, err, policies.AuditorRefused)

	invitation := personnel.Invitation{Hash: hashed("invitation"), Account: ana, ExpiresAt: d.now.Add(time.Hour)}
	if err := d.signer.Invite(ctx, invitation, d.now); err != nil {
		t.Fatal(err)
	}
	if err := d.door.AddPasskey(ctx, "ana", personnel.Passkey{ID: []byte("key"), Record: []byte(`{"n": 1}`)}, d.now); err != nil {
		t.Fatal(err)
	}
	all, err := d.door.Accounts(ctx, d.now)
	if err != nil {
		t.Fatal(err)
	}
	want := []personnel.State{{Account: ana, Passkeys: 1, InvitedUntil: invitation.ExpiresAt}, {Account: jefa}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}

	if err := d.signer.Disable(ctx, "ana", d.now); err != nil {
		t.Fatal(err)
	}
	closed, err := d.door.Account(ctx, "ana")
	if err != nil || !closed.DisabledAt.Equal(d.now) {
		t.Errorf("got %+v, %v, want it disabled now", closed, err)
	}
	wantRefusal(t, d.signer.Disable(ctx, "ana", d.now), policies.NotFound)
	wantRefusal(t, d.signer.Disable(ctx, "nobody", d.now), policies.NotFound)
	wantRefusal(t, d.door.CloseAccount(ctx, "ana", d.now), policies.NotFound)
	wantRefusal(t, d.signer.Invite(ctx, invitation, d.now), policies.NotFound)
	wantRefusal(t, d.door.AddInvitation(ctx, invitation), policies.NotFound)
	wantRefusal(t, d.door.AddPasskey(ctx, "ana", personnel.Passkey{ID: []byte("other"), Record: []byte(`{}`)}, d.now), policies.AuditorRefused)
}

func TestVisits(t *testing.T) {
	t.Parallel()
	d, ctx := newAuditorsDesk(t), t.Context()
	ana := d.add(t, "ana", "auditor")
	v := personnel.Visit{
		Hash: hashed("secret"), Account: ana, By: "certificate", Certificate: ana.Certificate, CreatedAt: d.now, ExpiresAt: d.now.Add(time.Minute),
	}
	if err := d.door.OpenVisit(ctx, v); err != nil {
		t.Fatal(err)
	}
	if err := d.door.StatePurpose(ctx, v.Hash, "a purpose"); err != nil {
		t.Fatal(err)
	}
	v.Purpose, v.ExpiresAt = "a purpose", d.now.Add(time.Hour)
	for _, until := range []time.Duration{time.Hour, time.Minute} { // another request may have been quicker
		if err := d.door.ProlongVisit(ctx, v.Hash, d.now.Add(until)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.door.Visit(ctx, v.Hash, d.now)
	if diff := cmp.Diff(v, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	_, err = d.door.Visit(ctx, v.Hash, v.ExpiresAt)
	wantRefusal(t, err, policies.SessionExpired)
	_, err = d.door.Visit(ctx, hashed("another"), d.now)
	wantRefusal(t, err, policies.SessionExpired)
	wantRefusal(t, d.door.StatePurpose(ctx, hashed("another"), "a purpose"), policies.SessionExpired)
	for range 2 {
		if err := d.door.CloseVisit(ctx, v.Hash); err != nil {
			t.Errorf("closing: %v", err)
		}
	}
	_, err = d.door.Visit(ctx, v.Hash, d.now)
	wantRefusal(t, err, policies.SessionExpired)
	v.By = "password"
	if err := d.door.OpenVisit(ctx, v); err == nil {
		t.Error("got a visit by password")
	}
}

// What is used once is used once, however many come for it at a time.
func TestAuditorsOnce(t *testing.T) {
	t.Parallel()
	d, ctx := newAuditorsDesk(t), t.Context()
	ana := d.add(t, "ana", "auditor")
	if err := d.door.AddChallenge(ctx, hashed("challenge"), []byte(`{"kind": "login"}`), d.now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := d.door.AddInvitation(ctx, personnel.Invitation{Hash: hashed("invitation"), Account: ana, ExpiresAt: d.now.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	was := personnel.Passkey{ID: []byte("key"), Record: []byte(`{"count": 1}`)}
	if err := d.door.AddPasskey(ctx, "ana", was, d.now); err != nil {
		t.Fatal(err)
	}
	_, err := d.door.TakeChallenge(ctx, hashed("challenge"), d.now.Add(time.Minute))
	wantRefusal(t, err, policies.SessionExpired)
	_, err = d.door.TakeInvitation(ctx, hashed("invitation"), d.now.Add(time.Minute))
	wantRefusal(t, err, policies.InvitationInvalid)
	if i, err := d.door.Invitation(ctx, hashed("invitation"), d.now); err != nil || i.Account.ID != "ana" {
		t.Errorf("got invitation %+v, %v", i, err)
	}
	for _, tt := range []struct {
		name string
		code policies.Code
		take func(i int) error
	}{
		{"a challenge", policies.SessionExpired, func(int) error {
			_, err := d.door.TakeChallenge(ctx, hashed("challenge"), d.now)
			return err
		}},
		{"an invitation", policies.InvitationInvalid, func(int) error {
			_, err := d.door.TakeInvitation(ctx, hashed("invitation"), d.now)
			return err
		}},
		{"a passkey's count", policies.AuditorRefused, func(i int) error {
			return d.door.UsePasskey(ctx, was, personnel.Passkey{ID: was.ID, Record: fmt.Appendf(nil, `{"count": %d}`, i+2)}, d.now)
		}},
		{"a passkey", policies.AuditorRefused, func(i int) error {
			return d.door.AddPasskey(ctx, "ana", personnel.Passkey{ID: []byte("new"), Record: fmt.Appendf(nil, `{"count": %d}`, i)}, d.now)
		}},
	} {
		var (
			wait sync.WaitGroup
			errs = make([]error, 8)
			won  int
		)
		for i := range errs {
			wait.Go(func() { errs[i] = tt.take(i) })
		}
		wait.Wait()
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			wantRefusal(t, err, tt.code)
		}
		if won != 1 {
			t.Errorf("%s was taken %d times, want once", tt.name, won)
		}
	}
}

// The door's role opens no account, changes no role and writes no log; the public
// side's knows nothing of auditors.
func TestAuditorsGrants(t *testing.T) {
	t.Parallel()
	d := newAuditorsDesk(t)
	tables := []string{"auditors", "auditor_passkeys", "auditor_invitations", "auditor_challenges", "auditor_sessions"}
	forbidden := map[string][]string{
		d.base.Auditor: append([]string{
			`INSERT INTO auditors DEFAULT VALUES`, `DELETE FROM auditors`, `UPDATE auditor_invitations SET expires_at = now()`,
			`SELECT secret_hash FROM applications`, `SELECT identifier FROM citizens`, `SELECT box FROM credentials`, `SELECT hash FROM access_tokens`,
			`SET ROLE rubrica_signer`, `SET ROLE rubrica_api`, `CREATE TABLE mine (x integer)`,
		}, writes("log_entries.payload", "log_hashes.hash", "log_head.size", "citizens.phone", "applications.secret_hash")...),
		d.base.Signer: {`SELECT hash FROM auditor_challenges`, `UPDATE auditor_sessions SET purpose = 'x'`, `INSERT INTO auditor_sessions DEFAULT VALUES`},
	}
	for _, column := range []string{"id", "name", "role", "certificate", "secret_hash", "created_at"} {
		forbidden[d.base.Auditor] = append(forbidden[d.base.Auditor], `UPDATE auditors SET `+column+` = NULL`)
	}
	for _, table := range tables {
		forbidden[d.base.API] = append(forbidden[d.base.API], `SELECT FROM `+table, `DELETE FROM `+table, `INSERT INTO `+table+` DEFAULT VALUES`)
	}
	for address, statements := range forbidden {
		conn := as(t, address)
		for _, sql := range statements {
			if _, err := conn.Exec(t.Context(), sql); stateOf(err) != insufficientPrivilege {
				t.Errorf("%s: got %v, want permission denied", sql, err)
			}
		}
	}
}
