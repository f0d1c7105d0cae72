package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// postRoom has letters that wait.
type postRoom struct {
	waiting []string
	gone    string // printed by somebody else, whenever it is asked for
	fails   string // with what nobody knows of
	asked   []string
	before  func()
}

var errSigner = errors.New("the signer is away")

func (p *postRoom) Letters(_ context.Context, a desk.Asking) (all []citizen.Waiting, err error) {
	p.asked = append(p.asked, a.Officer.Name+": "+a.Reason)
	for _, id := range p.waiting {
		all = append(all, citizen.Waiting{ID: id})
	}
	return all[:min(len(all), 2)], nil // as a list with a limit
}

func (p *postRoom) Print(_ context.Context, _ desk.Asking, ids []string) ([]byte, int, error) {
	if p.before != nil {
		p.before()
	}
	var printed []string
	for _, id := range ids {
		switch id {
		case p.fails:
			return nil, 0, errSigner
		case p.gone:
		default:
			printed = append(printed, id)
		}
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(id string) bool { return slices.Contains(ids, id) })
	if len(printed) == 0 {
		return nil, 0, policies.Refuse(policies.NotFound)
	}
	return []byte("%PDF " + strings.Join(printed, " ")), len(printed), nil
}

func TestLetterBatch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		room     postRoom
		together bool
		want     map[string]string
		n        int
		err      error
	}{
		"none":     {postRoom{}, false, map[string]string{}, 0, nil},
		"each":     {postRoom{waiting: []string{"a", "b", "c"}}, false, map[string]string{"carta-a.pdf": "%PDF a", "carta-b.pdf": "%PDF b", "carta-c.pdf": "%PDF c"}, 3, nil},
		"together": {postRoom{waiting: []string{"a", "b"}}, true, map[string]string{"cartas-20261122T103000.000Z.pdf": "%PDF a b"}, 2, nil},
		"printed at the desk in between": {
			postRoom{waiting: []string{"a", "b"}, gone: "a"}, false, map[string]string{"carta-b.pdf": "%PDF b"}, 1, nil,
		},
		"the signer goes away": {postRoom{waiting: []string{"a", "b", "c"}, fails: "b"}, false, map[string]string{"carta-a.pdf": "%PDF a"}, 1, errSigner},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			n, err := test.room.batch(dir, test.together).run(t.Context())
			if n != test.n || !errors.Is(err, test.err) {
				t.Errorf("got %d and %v, want %d and %v", n, err, test.n, test.err)
			}
			if diff := cmp.Diff(test.want, contents(t, dir)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if test.room.asked[0] != "Post room: por lotes" {
				t.Errorf("got asked by %q", test.room.asked[0])
			}
		})
	}
}

func (p *postRoom) batch(dir string, together bool) letterBatch {
	return letterBatch{
		counter: p, dir: dir, together: together, now: func() time.Time { return time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC) },
		asking: desk.Asking{Officer: desk.Officer{Name: "Post room"}, Reason: "por lotes"},
	}
}

// contents are a directory's files; nobody else may read them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v (%v), want 0600", e.Name(), info, err)
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

// No code is made where no letter can be written.
func TestLetterBatchWithoutRoom(t *testing.T) {
	t.Parallel()
	room := &postRoom{waiting: []string{"a"}}
	printed := false
	room.before = func() { printed = true }
	if _, err := room.batch(filepath.Join(t.TempDir(), "none"), false).run(t.Context()); err == nil || printed {
		t.Errorf("got %v and a code made: %v, want an error before any", err, printed)
	}
}
