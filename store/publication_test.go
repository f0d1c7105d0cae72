package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

const logName = "firma.example.es/log"

func opened(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// named is a log with a name and so many entries.
func named(t *testing.T, entries int) (pgtest.Database, *store.DB) {
	t.Helper()
	database := pgtest.New(t, store.Migrate)
	db := opened(t, database.Signer)
	err := db.FirstTree(t.Context(), publication.Tree{Origin: logName, Key: "key", BegunAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		err := db.Log(t.Context(), audit.Entry{
			Type: audit.ServiceStopped, Operation: fmt.Sprint(i), At: time.Now(), Payload: map[string]any{"version": "1"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return database, db
}

func checkpointOf(size int64, signed time.Time) publication.Published {
	root := tlog.Hash{byte(size), byte(size >> 8)}
	return publication.Published{
		Origin: logName, Size: size, Root: root,
		Note: []byte(fmt.Sprintf("note of %d\n", size)), SignedAt: signed.UTC().Truncate(time.Microsecond),
	}
}

func saved(t *testing.T, db *store.DB, all ...publication.Published) {
	t.Helper()
	for _, p := range all {
		if _, err := db.SaveCheckpoint(t.Context(), p); err != nil {
			t.Fatalf("keeping the checkpoint of %d: %v", p.Size, err)
		}
	}
}

func TestNamesOfTheLog(t *testing.T) {
	t.Parallel()
	db := opened(t, pgtest.New(t, store.Migrate).Signer)
	if trees, err := db.Trees(t.Context()); err != nil || len(trees) != 0 {
		t.Errorf("at first: got %v, %v", trees, err)
	}
	var taken atomic.Int64
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			err := db.FirstTree(t.Context(), publication.Tree{Origin: fmt.Sprintf("name-%d", i), Key: "key", BegunAt: time.Now()})
			switch {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, publication.ErrMoved):
				// Two at once meet at the index that lets one name be in use.
				if trees, treesErr := db.Trees(t.Context()); treesErr != nil || len(trees) != 1 {
					t.Errorf("taking a name: %v", err)
				}
			}
		})
	}
	group.Wait()
	if trees, err := db.Trees(t.Context()); err != nil || len(trees) != 1 || taken.Load() != 1 {
		t.Errorf("got %v, %v, taken %d times, want one name", trees, err, taken.Load())
	}
}

func TestCheckpoints(t *testing.T) {
	t.Parallel()
	_, db := named(t, 0)
	now := time.Now()
	one, two, three := checkpointOf(1, now), checkpointOf(2, now), checkpointOf(3, now)
	for name, read := range map[string]func() (publication.Published, error){
		"last":      func() (publication.Published, error) { return db.LastCheckpoint(t.Context(), logName) },
		"witnessed": func() (publication.Published, error) { return db.LastWitnessed(t.Context(), logName) },
		"at":        func() (publication.Published, error) { return db.CheckpointAt(t.Context(), logName, 1) },
		"with":      func() (publication.Published, error) { return db.WitnessedWith(t.Context(), logName, 0) },
	} {
		if _, err := read(); !errors.Is(err, policies.Refuse(policies.NotFound)) {
			t.Errorf("%s, of none: got %v, want %s", name, err, policies.NotFound)
		}
	}
	saved(t, db, one, three, two)

	other := two
	other.Note = []byte("another note of the same")
	if got, err := db.SaveCheckpoint(t.Context(), other); err != nil || !cmp.Equal(got, two) {
		t.Errorf("again: got %+v, %v, want the first one", got, err)
	}
	other.Root[5] = 1
	if _, err := db.SaveCheckpoint(t.Context(), other); !errors.Is(err, publication.ErrSplit) {
		t.Errorf("another root: got %v, want %v", err, publication.ErrSplit)
	}
	other.Origin = "nobody"
	if _, err := db.SaveCheckpoint(t.Context(), other); !errors.Is(err, publication.ErrMoved) {
		t.Errorf("a name that is not in use: got %v, want %v", err, publication.ErrMoved)
	}

	witnessed := two
	witnessed.Note, witnessed.WitnessedAt = []byte("note of 2, cosigned"), now.UTC().Truncate(time.Microsecond)
	if err := db.SaveCosigned(t.Context(), two.Note, witnessed); err != nil {
		t.Fatal(err)
	}
	if err := db.SaveCosigned(t.Context(), two.Note, witnessed); !errors.Is(err, publication.ErrMoved) {
		t.Errorf("cosigning what is no longer there: got %v, want %v", err, publication.ErrMoved)
	}
	for _, token := range []string{"first", "second"} {
		if err := db.SaveTimestamp(t.Context(), two.Checkpoint, []byte(token)); err != nil {
			t.Fatal(err)
		}
	}
	witnessed.Timestamp = []byte("first")
	for name, read := range map[string]func() (publication.Published, error){
		"witnessed":    func() (publication.Published, error) { return db.LastWitnessed(t.Context(), logName) },
		"at":           func() (publication.Published, error) { return db.CheckpointAt(t.Context(), logName, 2) },
		"with entry 0": func() (publication.Published, error) { return db.WitnessedWith(t.Context(), logName, 0) },
		"with entry 1": func() (publication.Published, error) { return db.WitnessedWith(t.Context(), logName, 1) },
	} {
		if got, err := read(); err != nil || !cmp.Equal(got, witnessed) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, witnessed)
		}
	}
	if _, err := db.WitnessedWith(t.Context(), logName, 2); !errors.Is(err, policies.Refuse(policies.NotFound)) {
		t.Errorf("an entry that no witness saw: got %v, want %s", err, policies.NotFound)
	}
	if got, err := db.Unstamped(t.Context(), logName, now.Add(-time.Minute), 9); err != nil || !slices.Equal(sizes(got), []int64{3, 1}) {
		t.Errorf("unstamped: got %v, %v", sizes(got), err)
	}
	var all []publication.Published
	for p, err := range db.EachCheckpoint(t.Context(), logName) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if diff := cmp.Diff([]publication.Published{one, witnessed, three}, all); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
}

func sizes(all []publication.Published) []int64 {
	var found []int64
	for _, p := range all {
		found = append(found, p.Size)
	}
	return found
}

// Of older hours one checkpoint stays, witnessed if one was; of the last day, all.
func TestThinCheckpoints(t *testing.T) {
	t.Parallel()
	_, db := named(t, 0)
	now := time.Date(2026, 5, 10, 12, 30, 0, 0, time.UTC)
	at := func(size int64, before time.Duration, witnessed bool) publication.Published {
		p := checkpointOf(size, now.Add(-before))
		if witnessed {
			p.WitnessedAt = p.SignedAt
		}
		return p
	}
	saved(
		t, db,
		at(1, 50*time.Hour, true), at(2, 50*time.Hour-time.Minute, true), at(3, 50*time.Hour-2*time.Minute, false),
		at(4, 48*time.Hour, false), at(5, 48*time.Hour-time.Minute, false),
		at(6, 23*time.Hour, true), at(7, 23*time.Hour, false), at(8, 0, false),
	)
	for range 2 {
		if err := db.ThinCheckpoints(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		got, err := db.Checkpoints(t.Context(), logName, 100)
		if want := []int64{8, 7, 6, 5, 2}; err != nil || !slices.Equal(sizes(got), want) {
			t.Errorf("got %v, %v, want %v", sizes(got), err, want)
		}
	}
	if err := db.ThinCheckpoints(t.Context(), now.Add(100*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := db.LastCheckpoint(t.Context(), logName); err != nil || got.Size != 8 {
		t.Errorf("the last one of a log that has come to rest: got %d, %v, want 8", got.Size, err)
	}
}

// The public side and the auditors read what is published, and write none of it.
func TestReadersOfTheLog(t *testing.T) {
	t.Parallel()
	database, db := named(t, 5)
	saved(t, db, checkpointOf(5, time.Now()))
	for name, url := range map[string]string{"api": database.API, "auditor": database.Auditor} {
		reader := opened(t, url)
		leaves, err := reader.Leaves(t.Context(), 1, 4)
		if err != nil || len(leaves) != 3 {
			t.Errorf("%s: leaves: got %d, %v", name, len(leaves), err)
		}
		if _, err := reader.Leaves(t.Context(), 3, 6); !errors.Is(err, policies.Refuse(policies.NotFound)) {
			t.Errorf("%s: leaves beyond the end: got %v, want %s", name, err, policies.NotFound)
		}
		tree, err := audit.TreeHash(t.Context(), 5, reader)
		if err != nil {
			t.Errorf("%s: hashes: %v", name, err)
		}
		head, err := db.LogHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want, err := head.Tree(); err != nil || tree != want {
			t.Errorf("%s: root: got %v, want %v (%v)", name, tree, want, err)
		}
		if _, err := reader.ReadHashes(t.Context(), []int64{0, 1000}); !errors.Is(err, policies.Refuse(policies.NotFound)) {
			t.Errorf("%s: a hash that is not there: got %v, want %s", name, err, policies.NotFound)
		}
		if got, err := reader.LastCheckpoint(t.Context(), logName); err != nil || got.Size != 5 {
			t.Errorf("%s: checkpoint: got %d, %v", name, got.Size, err)
		}
		if err := reader.RequestCheckpoint(t.Context()); err != nil {
			t.Errorf("%s: asking for a checkpoint: %v", name, err)
		}
		if _, err := reader.SaveCheckpoint(t.Context(), checkpointOf(6, time.Now())); stateOf(err) != insufficientPrivilege {
			t.Errorf("%s: writing a checkpoint: got %v, want permission denied", name, err)
		}
		if err := reader.ThinCheckpoints(t.Context(), time.Now()); stateOf(err) != insufficientPrivilege {
			t.Errorf("%s: deleting checkpoints: got %v, want permission denied", name, err)
		}
	}
}

// One leads, and is woken by whoever asks, in whatever role.
func TestLead(t *testing.T) {
	t.Parallel()
	database, db := named(t, 0)
	lease, err := db.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t, database.Signer).Lead(t.Context()); !errors.Is(err, publication.ErrHeld) {
		t.Errorf("another: got %v, want %v", err, publication.ErrHeld)
	}
	for name, url := range map[string]string{"api": database.API, "auditor": database.Auditor, "signer": database.Signer} {
		if err := opened(t, url).RequestCheckpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := lease.Wait(t.Context(), time.Minute); err != nil || time.Since(begun) > 30*time.Second {
			t.Errorf("asked by %s: %v after %v", name, err, time.Since(begun))
		}
	}
	if err := lease.Wait(t.Context(), time.Millisecond); err != nil {
		t.Errorf("asked by nobody: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := lease.Wait(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("at the end: got %v, want %v", err, context.Canceled)
	}

	// Whoever loses the connection has lost the lease, and hears of it.
	conn := as(t, database.Signer)
	if _, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`); err != nil {
		t.Fatal(err)
	}
	if err := lease.Wait(t.Context(), 10*time.Second); err == nil {
		t.Error("the lease went on without its connection")
	}
	lease.Close()
	next, err := db.Lead(t.Context())
	if err != nil {
		t.Fatalf("the next one: %v", err)
	}
	next.Close()
	if next, err = db.Lead(t.Context()); err != nil {
		t.Fatalf("after one who let go: %v", err)
	}
	next.Close()
}

// A guard may refuse what follows a head, once a transaction, and is heard.
func TestAdmit(t *testing.T) {
	t.Parallel()
	_, db := named(t, 2)
	refusal := policies.Refuse(policies.LogSuspended)
	var asked []int64
	var answer error
	db.Admit = func(head audit.Head) error {
		asked = append(asked, head.Size)
		return answer
	}
	entry := audit.Entry{Type: audit.ServiceStopped, Operation: "x", At: time.Now(), Payload: map[string]any{"version": "1"}}
	if err := db.Log(t.Context(), entry, entry); err != nil {
		t.Fatal(err)
	}
	answer = refusal
	for name, call := range map[string]func() error{
		"appending": func() error { return db.Log(t.Context(), entry) },
		"readiness": func() error { return db.Appendable(t.Context()) },
	} {
		err := call()
		if !errors.Is(err, refusal) || errors.Is(err, policies.Refuse(policies.Unavailable)) {
			t.Errorf("%s: got %v, want %v alone", name, err, refusal)
		}
	}
	if want := []int64{2, 4, 4}; !slices.Equal(asked, want) {
		t.Errorf("asked about heads of %v, want %v", asked, want)
	}
	if head, err := db.LogHead(t.Context()); err != nil || head.Size != 4 {
		t.Errorf("got %d entries, %v, want 4", head.Size, err)
	}
}
