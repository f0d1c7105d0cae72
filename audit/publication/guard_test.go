package publication_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/policies"
)

// suspended checks that this process can append nothing.
func (h *house) suspended(p *signerProcess) {
	h.Helper()
	before := h.head()
	if err := h.log(p.db, 1); !errors.Is(err, policies.Refuse(policies.LogSuspended)) || errors.Is(err, policies.Refuse(policies.Unavailable)) {
		h.Errorf("appending: got %v, want %s", err, policies.LogSuspended)
	}
	if err := p.db.Appendable(h.Context()); !errors.Is(err, policies.Refuse(policies.LogSuspended)) {
		h.Errorf("readiness: got %v, want %s", err, policies.LogSuspended)
	}
	if after := h.head(); after != before {
		h.Errorf("the log went from %d to %d entries", before.Size, after.Size)
	}
}

// Yesterday's backup is put back: nothing is signed, nothing is appended, the
// next start finds the same, and so does a replica with a state file of its own.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	for name, without := range map[string]func(h *house){
		"found by all":                 func(*house) {},
		"found by witnesses":           func(h *house) { h.state = filepath.Join(h.TempDir(), "replica") },
		"found by the state file":      func(h *house) { h.policy = audit.Policy{} },
		"found by the other witness":   func(h *house) { h.state = filepath.Join(h.TempDir(), "replica"); h.witnesses[0].down.Store(true) },
		"found by a process of before": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 2, 1)
			p := h.start()
			h.opens(p.guard)
			h.append(5)
			h.witnessed(origin)
			restore := h.backup()
			h.append(7)
			last := h.witnessed(origin)
			h.eventually("both witnesses", func() bool {
				c, err := h.db.LastWitnessed(t.Context(), origin)
				if err != nil {
					t.Fatal(err)
				}
				return len(mustOpen(t, h.policy, c.Note).Witnesses) == 2
			})
			if without == nil {
				// A database that is put back below a running process is noticed by
				// the next one who appends, at the latest.
				if err := h.log(p.db, 1); err != nil {
					t.Fatal(err)
				}
				h.witnessed(origin)
				restore()
				h.suspended(p)
				h.closed(p.guard, publication.Behind)
				h.suspended(p)
				return
			}
			p.stop()
			restore()
			without(h)
			for range 2 {
				p = h.start()
				h.closed(p.guard, publication.Behind)
				h.suspended(p)
				time.Sleep(100 * time.Millisecond) // several turns of a publisher
				p.stop()
			}
			if head := h.head(); head.Size != 5 {
				t.Errorf("the log has %d entries, want the 5 that were put back", head.Size)
			}
			if c, err := h.db.LastCheckpoint(t.Context(), origin); err != nil || c.Size >= last.Size {
				t.Errorf("a checkpoint of %d was signed, %v", c.Size, err)
			}
			if !h.journal.has("rubrica audit recover") {
				t.Error("operators did not read what to do")
			}
		})
	}
}

// A log that was written anew is not signed, however long it is.
func TestForked(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]int{"shorter": 2, "as long": 3, "longer": 9} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 1, 1)
			p := h.start()
			h.opens(p.guard)
			h.append(4)
			h.witnessed(origin)
			restore := h.backup()
			h.append(3)
			seen := h.witnessed(origin)
			p.stop()
			restore()
			h.append(more) // others than before
			p = h.start()
			if more < 3 { // what nobody can tell from a backup with entries missing
				h.closed(p.guard, publication.Behind)
				h.suspended(p)
				return
			}
			h.closed(p.guard, publication.Forked)
			h.eventually("the suspension in the log", func() bool { return slices.Contains(h.events(), audit.LogSuspended) })
			time.Sleep(100 * time.Millisecond)
			if c, err := h.db.LastCheckpoint(t.Context(), origin); err != nil || c.Size != 4 {
				t.Errorf("a checkpoint of %d was signed after %d, %v", c.Size, seen.Size, err)
			}
			if n := len(slices.DeleteFunc(h.events(), func(k audit.EventType) bool { return k != audit.LogSuspended })); n != 1 {
				t.Errorf("got %d suspensions in the log, want 1", n)
			}
		})
	}
}

// Whoever has every right in the database, and the log's key for all that it
// helps, is found out at the next look.
func TestTampered(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"a hash":           `UPDATE log_hashes SET hash = sha256('x') WHERE index = 6`,
		"a hash, gone":     `DELETE FROM log_hashes WHERE index = 6`,
		"the edge":         `UPDATE log_head SET edge = ARRAY[sha256('x'), sha256('y')]`,
		"the edge, no one": `UPDATE log_head SET edge = '{}'`,
		"the head":         `UPDATE log_head SET size = 5, edge = edge[1:1] || (SELECT hash FROM log_hashes WHERE index = 7)`,
		"the checkpoint":   `UPDATE log_checkpoints SET note = replace(note, '=', '+'), root = sha256('x')`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, 1, 1)
			p := h.start()
			h.opens(p.guard)
			h.append(6)
			h.witnessed(origin)
			h.sql(h.insider(), sql)
			p.guard.Suspect()
			h.eventually("the guard to close", func() bool { return p.guard.Check() != nil })
		})
	}
}

// With no witness within reach nothing is known at the start: nothing is signed
// and nothing appended until one answers. Later it takes more than silence.
func TestSilentWitnesses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, 2)
	for _, w := range h.witnesses {
		w.down.Store(true)
	}
	p := h.start()
	h.eventually("operators to read it", func() bool { return h.journal.has("no witness of the policy answers") })
	h.closed(p.guard, publication.Silent)
	h.suspended(p)
	h.witnesses[1].down.Store(false)
	h.opens(p.guard)
	h.eventually("the log to say so", func() bool { return slices.Equal(h.events(), []audit.EventType{audit.LogResumed}) })
	if err := h.log(p.db, 1); err != nil {
		t.Errorf("appending: %v", err)
	}
	h.witnesses[1].down.Store(true)
	p.guard.Look(t.Context())
	if err := p.guard.Check(); err != nil {
		t.Errorf("silence after an answer closed the guard: %v", err)
	}
	thaw := h.witnesses[0].freeze()
	defer thaw()
	p.guard.Look(t.Context()) // which comes back
	if err := p.guard.Check(); err != nil {
		t.Errorf("a witness that hangs closed the guard: %v", err)
	}
}

// A closed guard does not open because who knew is silent now.
func TestClosedStaysClosed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2, 1)
	p := h.start()
	h.opens(p.guard)
	h.append(3)
	h.witnessed(origin)
	p.stop()
	restore := h.backup()
	h.witnesses[0].down.Store(true)
	p = h.start()
	h.opens(p.guard)
	h.append(3)
	h.witnessed(origin) // by the second alone
	p.stop()
	restore()
	h.witnesses[0].down.Store(false)
	h.state = filepath.Join(t.TempDir(), "replica")
	p = h.start()
	h.closed(p.guard, publication.Behind)
	h.witnesses[1].down.Store(true)
	for range 3 {
		p.guard.Look(t.Context())
	}
	h.closed(p.guard, publication.Behind)
}

// Without a policy the state file alone is compared, and operators read so.
func TestNoPolicy(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0, 0)
	p := h.start()
	h.opens(p.guard)
	h.append(2)
	h.witnessed(origin) // which asks for nobody
	if !h.journal.has("log_unwitnessed") {
		t.Error("operators did not read that the log has no witness")
	}
	p.stop()
	if err := os.WriteFile(h.state, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	p = h.start()
	h.eventually("operators to read of the file", func() bool { return h.journal.has("log_not_examined") })
	h.closed(p.guard, publication.Silent)
	h.suspended(p)
	if err := os.Remove(h.state); err != nil {
		t.Fatal(err)
	}
	h.opens(p.guard)
}

// A witness is believed what log and witness have signed.
func TestLyingWitness(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	p := h.start()
	h.opens(p.guard)
	h.append(3)
	note := h.witnessed(origin).Note
	p.stop()
	key, err := audit.NewLogKey(origin, h.key)
	if err != nil {
		t.Fatal(err)
	}
	more := audit.Checkpoint{Origin: origin, Size: 1000, Root: tlog.Hash{1}}
	signedMore, err := key.Sign(more)
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]struct {
		status int
		body   []byte
	}{
		"nonsense":                        {http.StatusOK, []byte("nonsense")},
		"nothing":                         {http.StatusOK, nil},
		"signed by nobody":                {http.StatusOK, []byte(more.Text() + "\n")},
		"signed by the log alone":         {http.StatusOK, signedMore},
		"another checkpoint's signatures": {http.StatusOK, append([]byte(more.Text()), note[len(more.Text()):]...)},
		"a long answer":                   {http.StatusOK, make([]byte, 1<<20)},
		"an error":                        {http.StatusTeapot, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(answer.status)
				_, _ = w.Write(answer.body)
			}))
			defer server.Close()
			w := h.watch(h.db, filepath.Join(t.TempDir(), "state"))
			w.Policy = h.parse(fmt.Sprintf("log %s\nwitness w1 %s %s\nquorum w1\n", h.vkey, h.witnesses[0].VerifierKey(), server.URL))
			f, err := w.Examine(t.Context())
			if err != nil || f.Reason != "" || len(f.Answered) != 0 || len(f.Unanswered) != 1 {
				t.Errorf("got %+v, %v, want the witness to count as silent", f, err)
			}
		})
	}
}

// The log's name belongs to a key.
func TestOtherKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0, 0)
	p := h.start()
	h.opens(p.guard)
	h.append(1)
	h.witnessed(origin)
	p.stop()
	h.key = newHouse(t, 0, 0).key
	h.start()
	h.eventually("operators to read it", func() bool { return h.journal.has("published under another key") })
	p = h.start()
	h.closed(p.guard, publication.Rekeyed)
	h.append(1)
	time.Sleep(50 * time.Millisecond)
	if c, err := h.db.LastCheckpoint(t.Context(), origin); err != nil || c.Size != 1 {
		t.Errorf("a checkpoint of %d was signed, %v", c.Size, err)
	}
}

// Who only reads can look as well: the auditors' process.
func TestLookOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	p := h.start()
	h.opens(p.guard)
	h.append(2)
	restore := h.backup()
	h.append(1)
	h.witnessed(origin)
	h.database.Signer = h.database.Auditor
	db := h.open()
	g := publication.NewGuard(publication.GuardConfig{
		Watch: h.watch(db, ""), Every: time.Hour, Retry: time.Second, Now: time.Now, Logger: h.logger(),
	})
	g.Look(t.Context())
	if err := g.Check(); err != nil {
		t.Errorf("looking on: %v", err)
	}
	p.stop()
	restore()
	g.Look(t.Context())
	h.closed(g, publication.Behind)
	f, err := db.Publication(t.Context())
	if err != nil || f.Size != 2 {
		t.Errorf("facts for auditors: got %+v, %v", f, err)
	}
}
