package tamper

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/policies"
)

// lived is how many entries there are before an attack.
const lived = 300 // more than a tile

// The untouched log holds, for everybody who looks.
func TestUntouched(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.live(lived)
	if err := h.publish(); err != nil {
		t.Fatal(err)
	}
	for name, report := range map[string]*check.Report{"inside": h.fromInside(nil), "outside": h.fromOutside(nil)} {
		if report.Verdict != check.Holds || report.Entries.Checked < lived {
			t.Errorf("%s: got %+v, want all entries to hold", name, report)
		}
	}
	if err := h.foreign(); err != nil {
		t.Errorf("fsck: got %v, want nil", err)
	}
}

// With every right in the database, and without the log's key: whatever is
// changed, it is found from inside with the first bad entry, and where leaves
// or their order change, from outside and by a foreign tool.
func TestWithTheDatabase(t *testing.T) {
	t.Parallel()
	const bad = 123
	for name, tc := range map[string]struct {
		forge  func(h *house)
		first  int64
		within bool // seen from outside as well
	}{
		"a payload is edited": {forge: func(h *house) {
			h.sql(`UPDATE log_entries SET payload = convert_to(replace(convert_from(payload, 'UTF8'), '"1"', '"2"'), 'UTF8') WHERE seq = $1`, bad)
		}, first: bad},
		"a person is exchanged": {forge: func(h *house) {
			h.sql(`UPDATE log_entries SET person = '87654321X' WHERE seq = $1`, bad)
		}, first: bad},
		"a type is exchanged in its column": {forge: func(h *house) {
			h.sql(`UPDATE log_entries SET type = 'service.started' WHERE seq = $1`, bad)
		}, first: bad},
		"a leaf is edited": {forge: func(h *house) {
			h.sql(`UPDATE log_entries SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), 'op-', 'xx-'), 'UTF8'), operation = 'xx-124' WHERE seq = $1`, bad)
		}, first: bad, within: true},
		"a leaf and its hash are edited": {forge: func(h *house) {
			h.replace(bad, func(leaf string) string { return strings.Replace(leaf, "op-", "xx-", 1) })
		}, first: bad, within: true},
		"an entry is deleted": {forge: func(h *house) {
			h.sql(`DELETE FROM log_entries WHERE seq = $1`, bad)
		}, first: bad, within: true},
		"an entry is deleted and the others move up": {forge: func(h *house) {
			h.rebuild(func(all []entry) []entry { return slices.Delete(all, bad, bad+1) })
		}, first: -1, within: true},
		"two entries change places": {forge: func(h *house) {
			h.sql(`UPDATE log_entries SET seq = -1 WHERE seq = $1`, bad)
			h.sql(`UPDATE log_entries SET seq = $1 WHERE seq = $1 + 1`, bad)
			h.sql(`UPDATE log_entries SET seq = $1 + 1 WHERE seq = -1`, bad)
		}, first: bad, within: true},
		"an entry is slipped in and all is hashed again": {forge: func(h *house) {
			h.rebuild(func(all []entry) []entry { return slices.Insert(all, bad, h.invented(all[bad])) })
		}, first: -1, within: true},
		"the end is cut off": {forge: func(h *house) {
			h.rebuild(func(all []entry) []entry { return all[:bad] })
		}, first: -1, within: true},
		"rows are deleted from the end": {forge: func(h *house) {
			h.sql(`DELETE FROM log_entries WHERE seq >= $1`, bad)
		}, first: bad, within: true},
		"an entry is hidden from search": {forge: func(h *house) {
			h.sql(`INSERT INTO log_terms (kind, value, seq) VALUES ('application', 'x', $1)`, bad)
		}, first: bad},
		"the head tells of more": {forge: func(h *house) {
			h.sql(`UPDATE log_head SET size = size + 1`)
		}, first: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.live(lived)
			if err := h.publish(); err != nil {
				t.Fatal(err)
			}
			tc.forge(h)
			report := h.fromInside(nil)
			if report.Verdict != check.Broken || report.Fault == nil {
				t.Fatalf("inside: got %+v, want it broken", report)
			}
			if tc.first >= 0 && report.Fault.Index != tc.first {
				t.Errorf("inside: got first bad entry %d (%s), want %d", report.Fault.Index, report.Fault.Reason, tc.first)
			}
			outside, foreign := h.fromOutside(nil), h.foreign()
			if got := outside.Verdict == check.Broken; got != tc.within {
				t.Errorf("outside: got %+v, want broken: %v", outside, tc.within)
			}
			if got := foreign != nil; got != tc.within {
				t.Errorf("fsck: got %v, want an error: %v", foreign, tc.within)
			}
		})
	}
}

// With the log's key as well, history is rewritten and hashed again, and signed:
// the log is whole in itself and a foreign tool says so. It has no cosignature,
// it does not extend what anybody kept, and the witness keeps the proof.
func TestWithTheKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.live(lived)
	if err := h.publish(); err != nil {
		t.Fatal(err)
	}
	kept := h.kept()
	h.rebuild(func(all []entry) []entry {
		all[123] = h.invented(all[123])
		return all
	})
	h.sign()
	if err := h.foreign(); err != nil {
		t.Errorf("fsck: got %v; it cannot know, which is why there are witnesses", err)
	}
	if report := h.fromOutside(nil); report.Verdict == check.Holds {
		t.Errorf("outside: got %+v, want it doubted for lack of a cosignature", report)
	}
	for name, report := range map[string]*check.Report{"outside": h.fromOutside(kept), "inside": h.fromInside(kept)} {
		if report.Verdict != check.Broken {
			t.Errorf("%s, with a checkpoint that somebody kept: got %+v, want it broken", name, report)
		}
	}
	h.live(1)
	h.sign() // which is how the witness gets to see it
	if err := h.publish(); !errors.Is(err, policies.Refuse(policies.LogSuspended)) {
		t.Errorf("publishing on: got %v, want %s", err, policies.LogSuspended)
	}
}

// Yesterday's backup: the log is behind what the witness saw, and nothing more
// is published under its name.
func TestYesterdaysBackup(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.live(lived)
	if err := h.publish(); err != nil {
		t.Fatal(err)
	}
	before := h.rows()
	h.live(20)
	if err := h.publish(); err != nil {
		t.Fatal(err)
	}
	kept := h.kept()
	h.rebuild(func([]entry) []entry { return before })
	h.sql(`DELETE FROM log_checkpoints WHERE size > $1`, len(before))
	if report := h.fromInside(kept); report.Verdict != check.Broken {
		t.Errorf("inside, with a checkpoint that somebody kept: got %+v, want it broken", report)
	}
	if err := h.publish(); !errors.Is(err, policies.Refuse(policies.LogSuspended)) {
		t.Errorf("publishing on: got %v, want %s", err, policies.LogSuspended)
	}
}

// Two trees for two auditors: each is whole, and signed. Only one can have the
// witness's cosignature, and the checkpoint of one convicts the other.
func TestTwoTrees(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.live(lived)
	if err := h.publish(); err != nil {
		t.Fatal(err)
	}
	other := h.twin()
	other.live(lived + 5)
	other.sign()
	if report := other.fromOutside(nil); report.Verdict == check.Holds {
		t.Errorf("the second tree: got %+v, want it doubted for lack of a cosignature", report)
	}
	if report := other.fromOutside(h.kept()); report.Verdict != check.Broken {
		t.Errorf("the second tree beside a checkpoint of the first: got %+v, want it broken", report)
	}
	if err := other.publish(); !errors.Is(err, policies.Refuse(policies.LogSuspended)) {
		t.Errorf("having the second tree witnessed: got %v, want %s", err, policies.LogSuspended)
	}
	if report := h.fromOutside(nil); report.Verdict != check.Holds {
		t.Errorf("the first tree: got %+v, want it to hold", report)
	}
}

// A person is unlinked, and the tree stays whole.
func TestSaltRemoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.live(lived)
	if err := h.publish(); err != nil {
		t.Fatal(err)
	}
	h.sql(`UPDATE log_entries SET salt = NULL, payload = NULL, person = '' WHERE seq = 123`)
	h.sql(`DELETE FROM log_terms WHERE seq = 123`)
	inside, outside := h.fromInside(h.kept()), h.fromOutside(nil)
	if inside.Verdict != check.Undecided || inside.Fault != nil || inside.Entries.Erased != 1 {
		t.Errorf("inside: got %+v, want a whole log with one entry erased, which nobody explains", inside)
	}
	if outside.Verdict != check.Holds {
		t.Errorf("outside: got %+v, want it to hold", outside)
	}
	if err := h.foreign(); err != nil {
		t.Errorf("fsck: got %v, want nil", err)
	}
}

// What a witness refuses as a fork is kept by it, in a file that convicts.
func TestWitnessKeepsTheProof(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.live(40)
	if err := h.publish(); err != nil {
		t.Fatal(err)
	}
	h.rebuild(func(all []entry) []entry {
		all[3] = h.invented(all[3])
		return all
	})
	h.sign()
	if err := h.submit(); err == nil {
		t.Fatal("submitting a rewritten log of the same size: got a cosignature")
	}
	found, err := filepath.Glob(filepath.Join(h.witness.dir, "forks", "*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("evidence: got %v, %v, want a file", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "— "+origin+" "); n < 2 {
		t.Errorf("evidence: got %d signatures of the log, want both:\n%s", n, text)
	}
}

// entry is a row as the forger works on it.
type entry struct {
	Type, Operation, Person string
	At                      time.Time
	Leaf, Payload, Salt     []byte
}

// rows are all entries.
func (h *house) rows() []entry {
	h.Helper()
	rows, err := h.insider.Query(h.Context(), `SELECT type, operation, person, at, leaf, payload, salt FROM log_entries ORDER BY seq`)
	if err != nil {
		h.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[entry])
	if err != nil {
		h.Fatal(err)
	}
	return all
}

// invented is an entry that never happened, committed to as it should be.
func (h *house) invented(like entry) entry {
	h.Helper()
	h.serial++
	var leaf map[string]any
	if err := json.Unmarshal(like.Leaf, &leaf); err != nil {
		h.Fatal(err)
	}
	like.Operation = "never"
	leaf["op"] = like.Operation
	like.Payload, like.Salt = []byte(`{"version":"9"}`), make([]byte, 32)
	commitment := sum(like.Salt, like.Payload)
	leaf["c"] = base64.StdEncoding.EncodeToString(commitment)
	like.Person = ""
	var err error
	if like.Leaf, err = json.Marshal(leaf); err != nil { // its members come sorted
		h.Fatal(err)
	}
	return like
}

// replace changes a leaf and the hash that is stored of it.
func (h *house) replace(seq int64, change func(string) string) {
	h.Helper()
	leaf := change(string(h.rows()[seq].Leaf))
	hash := tlog.RecordHash([]byte(leaf))
	h.sql(`UPDATE log_entries SET leaf = $2, operation = replace(operation, 'op-', 'xx-') WHERE seq = $1`, seq, []byte(leaf))
	h.sql(`UPDATE log_hashes SET hash = $2 WHERE index = $1`, tlog.StoredHashIndex(0, seq), hash[:])
}

// rebuild writes another history, with all its hashes and its head, as a program
// that has the formats would.
func (h *house) rebuild(change func([]entry) []entry) {
	h.Helper()
	all := change(h.rows())
	h.sql(`DELETE FROM log_entries`)
	h.sql(`DELETE FROM log_hashes`)
	h.sql(`DELETE FROM log_terms`)
	var (
		hashes []tlog.Hash
		reader = tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			out := make([]tlog.Hash, len(indexes))
			for i, index := range indexes {
				out[i] = hashes[index]
			}
			return out, nil
		})
		last time.Time
	)
	for seq, e := range all {
		fresh, err := tlog.StoredHashes(int64(seq), e.Leaf, reader)
		if err != nil {
			h.Fatal(err)
		}
		hashes = append(hashes, fresh...)
		h.sql(`INSERT INTO log_entries (seq, type, operation, person, at, leaf, payload, salt) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			seq, e.Type, e.Operation, e.Person, e.At, e.Leaf, e.Payload, e.Salt)
		if e.At.After(last) {
			last = e.At
		}
	}
	for index, hash := range hashes {
		h.sql(`INSERT INTO log_hashes (index, hash) VALUES ($1, $2)`, index, hash[:])
	}
	var edge [][]byte
	roots, err := audit.Edge(h.Context(), int64(len(all)), h.db)
	if err != nil {
		h.Fatal(err)
	}
	for i := range roots {
		edge = append(edge, roots[i][:])
	}
	h.sql(`UPDATE log_head SET size = $1, last_time = $2, edge = $3, totalled = 0`, len(all), last, edge)
}
