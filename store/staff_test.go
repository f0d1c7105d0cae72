package store_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// staffRoom is the database as command line and door of one kind see it.
type staffRoom struct {
	base   pgtest.Database
	kind   personnel.Kind
	signer store.Staff
	door   store.Staff
	now    time.Time
}

// eachKind runs a test for auditors and for officers, whose tables have one shape.
func eachKind(t *testing.T, test func(*testing.T, *staffRoom)) {
	t.Helper()
	for _, kind := range []personnel.Kind{personnel.Auditors(), personnel.Officers()} {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newStaffRoom(t, kind))
		})
	}
}

const officeID = "office-1"

func newStaffRoom(t *testing.T, kind personnel.Kind) *staffRoom {
	t.Helper()
	d := &staffRoom{base: pgtest.New(t, store.Migrate), kind: kind, now: time.Now().UTC().Truncate(time.Microsecond)}
	open := func(address string) store.Staff {
		db, err := store.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db.Staff(kind)
	}
	d.signer, d.door = open(d.base.Signer), open(map[bool]string{false: d.base.Auditor, true: d.base.Registrar}[kind.Offices])
	if _, err := as(t, d.base.Owner).Exec(t.Context(), `
		INSERT INTO applications (id, name, organisation, secret_hash, scopes, created_at)
		VALUES ($1, 'Oficina', 'Ayuntamiento', $2, '{registration}', now())`, officeID, hashed("secret")); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *staffRoom) add(t *testing.T, id, role string) personnel.Account {
	t.Helper()
	a := personnel.Account{ID: id, Name: "Name of " + id, Role: role, Certificate: hashed("certificate of " + id), CreatedAt: d.now}
	if d.kind.Offices {
		a.Office = officeID
	}
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

func TestAccounts(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, d *staffRoom) { //nolint:thelper // it is the test
		ctx := t.Context()
		ana := d.add(t, "ana", d.kind.Roles[0])
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
		wantRefusal(t, err, d.kind.Refused)
		_, err = d.door.AccountByCertificate(ctx, hashed("another"))
		wantRefusal(t, err, d.kind.Refused)

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
		wantRefusal(t, d.door.AddPasskey(ctx, "ana", personnel.Passkey{ID: []byte("other"), Record: []byte(`{}`)}, d.now), d.kind.Refused)
	})
}

func TestVisits(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, d *staffRoom) { //nolint:thelper // it is the test
		ctx := t.Context()
		ana := d.add(t, "ana", d.kind.Roles[0])
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
	})
}

// What is used once is used once, however many come for it at a time.
func TestAccountsOnce(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, d *staffRoom) { //nolint:thelper // it is the test
		ctx := t.Context()
		ana := d.add(t, "ana", d.kind.Roles[0])
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
			{"a passkey's count", d.kind.Refused, func(i int) error {
				return d.door.UsePasskey(ctx, was, personnel.Passkey{ID: was.ID, Record: fmt.Appendf(nil, `{"count": %d}`, i+2)}, d.now)
			}},
			{"a passkey", d.kind.Refused, func(i int) error {
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
	})
}

// A door's role opens no account, changes no role and writes no log; the public
// side's knows nothing of the personnel, nor one kind of the other.
func TestStaffGrants(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, d *staffRoom) { //nolint:thelper // it is the test
		kind, door, other := d.kind.Name, d.base.Auditor, d.base.Registrar
		if d.kind.Offices {
			door, other = other, door
		}
		named := func(statements ...string) (all []string) {
			for _, sql := range statements {
				all = append(all, strings.ReplaceAll(sql, "{kind}", kind))
			}
			return all
		}
		forbidden := map[string][]string{
			door: append(named(
				`INSERT INTO {kind}s DEFAULT VALUES`, `DELETE FROM {kind}s`, `UPDATE {kind}_invitations SET expires_at = now()`,
				`SELECT secret_hash FROM applications`, `SELECT box FROM credentials`, `SELECT hash FROM access_tokens`, `SELECT mac FROM pins`,
				`SET ROLE rubrica_signer`, `SET ROLE rubrica_api`, `CREATE TABLE mine (x integer)`,
			), writes("log_entries.payload", "log_hashes.hash", "log_head.size", "citizens.phone", "applications.secret_hash")...),
			d.base.Signer: named(`SELECT hash FROM {kind}_challenges`, `UPDATE {kind}_sessions SET purpose = 'x'`, `INSERT INTO {kind}_sessions DEFAULT VALUES`),
		}
		if d.kind.Offices {
			forbidden[door] = append(forbidden[door], `SELECT payload FROM log_entries`, `SELECT mac FROM letters`, `UPDATE certificates SET state = 'revoked'`,
				`INSERT INTO registrations DEFAULT VALUES`, `INSERT INTO office_acts DEFAULT VALUES`)
		} else {
			forbidden[door] = append(forbidden[door], `SELECT identifier FROM citizens`)
		}
		for _, column := range []string{"id", "name", "role", "certificate", "secret_hash", "created_at"} {
			forbidden[door] = append(forbidden[door], named(`UPDATE {kind}s SET `+column+` = NULL`)...)
		}
		for _, table := range named("{kind}s", "{kind}_passkeys", "{kind}_invitations", "{kind}_challenges", "{kind}_sessions") {
			for _, foreign := range []string{d.base.API, other} {
				forbidden[foreign] = append(forbidden[foreign], `SELECT FROM `+table, `DELETE FROM `+table, `INSERT INTO `+table+` DEFAULT VALUES`)
			}
		}
		for address, statements := range forbidden {
			conn := as(t, address)
			for _, sql := range statements {
				if _, err := conn.Exec(t.Context(), sql); stateOf(err) != insufficientPrivilege {
					t.Errorf("%s: got %v, want permission denied", sql, err)
				}
			}
		}
	})
}
