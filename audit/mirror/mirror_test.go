package mirror_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/torchwood"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/audit/mirror"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

// files implements check.Source.
type files map[string][]byte

func (f files) ReadEndpoint(_ context.Context, path string) ([]byte, error) { return f[path], nil }

// tree is all files of a directory.
func tree(tb testing.TB, dir string) map[string][]byte {
	tb.Helper()
	found := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		found[path], err = os.ReadFile(filepath.Join(dir, path))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return found
}

// A copy is the files of the log, however often it was brought up to date.
func TestCopy(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 700)
	dir := filepath.Join(t.TempDir(), "copy")
	var before int64
	for _, size := range []int64{0, 1, 200, 256, 257, 257, 300, 512, 700} {
		served := files(l.Files(t, size))
		served[check.StampPath(size)] = []byte("token")
		m := mirror.Mirror{Source: served, Dir: dir, Policy: l.Policy(t)}
		now, had, err := m.Copy(t.Context())
		if err != nil {
			t.Fatalf("at %d entries: %v", size, err)
		}
		if now.Tree != l.Tree(t, size) || had != before {
			t.Errorf("at %d entries: got %+v after %d, want %+v after %d", size, now.Tree, had, l.Tree(t, size), before)
		}
		before = size
		if diff := cmp.Diff(slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(tree(t, dir)))); diff != "" {
			t.Errorf("at %d entries: files (-want +got):\n%s", size, diff)
		}
		source, err := check.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		r, err := check.Checker{Policy: l.Policy(t)}.Log(t.Context(), dir, source)
		if err != nil {
			t.Fatal(err)
		}
		if r.Fault == nil || r.Fault.Reason == "" || r.Fault.Index != -1 { // the token is none
			t.Errorf("at %d entries: got %+v, want all but the time-stamp to hold", size, r)
		}
	}
}

// Nothing that is not the log's gets into a copy.
func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 600)
	other := l.Twin().Fill(t, 600)
	unwitnessed := files(l.Files(t, 600))
	unwitnessed["checkpoint"] = l.Signed(t, 600)
	tampered := func(level int, n int64, width int) files {
		f := files(l.Files(t, 600))
		name := torchwood.TilePath(tlog.Tile{H: 8, L: level, N: n, W: width})
		f[name] = bytes.Clone(f[name])
		f[name][40] ^= 1
		return f
	}
	missing := files(l.Files(t, 600))
	delete(missing, torchwood.TilePath(tlog.Tile{H: 8, L: -1, N: 1, W: 256}))
	foreign := l.Twin()
	foreign.Origin = "other.example/log"
	for name, tc := range map[string]struct {
		source files
		want   error
	}{
		"not witnessed":         {unwitnessed, audit.ErrUnwitnessed},
		"another log":           {files(foreign.Files(t, 0)), audit.ErrCheckpoint},
		"nothing there":         {files{}, audit.ErrCheckpoint},
		"an entry altered":      {tampered(-1, 1, 256), nil},
		"the last altered":      {tampered(-1, 2, 88), nil},
		"a tile altered":        {tampered(0, 1, 256), nil},
		"the top altered":       {tampered(1, 0, 2), nil},
		"a bundle missing":      {missing, nil},
		"rewritten":             {files(other.Files(t, 600)), mirror.ErrFork},
		"rewritten and shorter": {files(other.Files(t, 290)), mirror.ErrFork},
		"rewritten, same size":  {files(other.Files(t, 300)), mirror.ErrFork},
		"only shorter":          {files(l.Files(t, 280)), mirror.ErrBehind},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if _, _, err := (mirror.Mirror{Source: files(l.Files(t, 300)), Dir: dir, Policy: l.Policy(t)}).Copy(t.Context()); err != nil {
				t.Fatal(err)
			}
			held := tree(t, dir)
			now, had, err := mirror.Mirror{Source: tc.source, Dir: dir, Policy: l.Policy(t)}.Copy(t.Context())
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || had != 300 {
				t.Errorf("got %+v, %d, %v, want an error: %v", now, had, err, tc.want)
			}
			left := tree(t, dir)
			for file, data := range held {
				if !bytes.Equal(left[file], data) {
					t.Errorf("%s was changed", file)
				}
			}
			forks := 0
			for file, data := range left {
				if filepath.Dir(file) == "forks" {
					forks++
					if !bytes.Equal(data, held["checkpoint"]) && !bytes.Equal(data, tc.source["checkpoint"]) {
						t.Errorf("%s is neither checkpoint", file)
					}
				}
			}
			if want := map[bool]int{true: 2}[errors.Is(tc.want, mirror.ErrFork)]; forks != want {
				t.Errorf("got %d files of a fork, want %d", forks, want)
			}
			// What is true can still be copied.
			if _, _, err := (mirror.Mirror{Source: files(l.Files(t, 600)), Dir: dir, Policy: l.Policy(t)}).Copy(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
