package publication_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
)

func TestState(t *testing.T) {
	t.Parallel()
	at := func(name string, size int64) (audit.Checkpoint, []byte) {
		c := audit.Checkpoint{Origin: name, Size: size, Root: tlog.Hash{byte(size)}}
		return c, []byte(c.Text() + "\n\u2014 " + name + " signature\n")
	}
	path := filepath.Join(t.TempDir(), "state")
	s := publication.OpenState(path)
	if note, err := s.Load(); err != nil || note != nil {
		t.Errorf("at first: got %q, %v", note, err)
	}
	for _, step := range []struct {
		name string
		size int64
		kept int64
	}{{"a", 5, 5}, {"a", 4, 5}, {"a", 5, 5}, {"a", 9, 9}, {"a/2", 3, 3}} {
		c, note := at(step.name, step.size)
		if err := s.Save(c, note); err != nil {
			t.Fatal(err)
		}
		_, want := at(step.name, step.kept)
		if got, err := publication.OpenState(path).Load(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("after %s at %d: got %q, %v, want %q", step.name, step.size, got, err, want)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
	c, note := at("a", 1)
	if err := publication.OpenState(filepath.Join(path, "below", "a file")).Save(c, note); err == nil {
		t.Error("saved where nothing can be")
	}
	if err := publication.OpenState("").Save(c, note); err != nil {
		t.Errorf("keeping nothing: %v", err)
	}
}

// What cannot be remembered outside the database is not published.
func TestStateUnwritable(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1, 1)
	h.state = filepath.Join(t.TempDir(), "not there", "state")
	p := h.start()
	h.opens(p.guard)
	h.append(1)
	h.eventually("operators to read it", func() bool { return h.journal.has("writing the log's state") })
	time.Sleep(50 * time.Millisecond)
	if found, err := h.db.Checkpoints(t.Context(), origin, 9); err != nil || len(found) != 0 {
		t.Errorf("checkpoints: got %d, %v, want none", len(found), err)
	}
	if err := os.Mkdir(filepath.Dir(h.state), 0o700); err != nil {
		t.Fatal(err)
	}
	h.witnessed(origin)
}
