package witness

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(tb testing.TB, b *bench) string {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join(b.config.Dir, memoryFile))
	if err != nil {
		tb.Fatal(err)
	}
	return string(content)
}

func TestMemoryLasts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.tree.grow(t, 20, "entry")
	old := int64(0)
	for _, n := range []int64{0, 3, 3, 20} {
		if _, err := b.Add(t.Context(), l.request(t, old, n)); err != nil {
			t.Fatalf("%d to %d: %v", old, n, err)
		}
		old = n
		before := b.Report()
		b.again(t)
		if diff := cmp.Diff(before, b.Report()); diff != "" {
			t.Errorf("after the end of the process (-before +after):\n%s", diff)
		}
	}
	for _, name := range []string{keyFile, memoryFile} {
		info, err := os.Stat(filepath.Join(b.config.Dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v (%v), want -rw-------", name, info.Mode(), err)
		}
	}
}

// TestMemorySpoilt changes, cuts and prolongs the file at each place. It must
// never be taken for an empty one, nor for another.
func TestMemorySpoilt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.Add(t.Context(), b.tree.grow(t, 20, "entry").request(t, 0, 20)); err != nil {
		t.Fatal(err)
	}
	good := []byte(read(t, b))
	_, want, err := parseMemory(good)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, at int, content []byte) {
		t.Helper()
		vkey, got, err := parseMemory(content)
		if err != nil {
			if !errors.Is(err, ErrMemory) {
				t.Errorf("%s at %d: got %v, want ErrMemory", name, at, err)
			}
			return
		}
		// The log's own signature is not verified again: its key may have gone.
		if h := got[origin]; vkey != b.VerifierKey() || h.Checkpoint != want[origin].Checkpoint || h.at != want[origin].at {
			t.Errorf("%s at %d: got %+v, want ErrMemory", name, at, h)
		}
	}
	for i := range good {
		check("cut", i, good[:i])
		check("a byte out", i, append(bytes.Clone(good[:i]), good[i+1:]...))
		for _, mask := range []byte{1, 2, 0x20, 0x80} {
			changed := bytes.Clone(good)
			changed[i] ^= mask
			check("a bit", i, changed)
		}
	}
	check("more", len(good), append(bytes.Clone(good), '\n'))
	check("twice", len(good), append(bytes.Clone(good), good...))
	check("null", 0, []byte("null"))
	check("a log twice", 0, bytes.Replace(good, []byte(`"checkpoints": [`), append([]byte(`"checkpoints": [`), append(good[bytes.Index(good, []byte("[\n"))+1:bytes.LastIndex(good, []byte("\n  ]"))], ',')...), 1))
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  error
		says  string
	}{
		"no state": {func(t *testing.T, dir string) { t.Helper(); remove(t, dir, memoryFile) }, ErrMemory, "no such file"},
		"empty state": {func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, memoryFile), "")
		}, ErrMemory, ""},
		"state of another witness": {func(t *testing.T, dir string) {
			t.Helper()
			other := t.TempDir()
			if _, err := Init(other, witnessName); err != nil {
				t.Fatal(err)
			}
			rename(t, filepath.Join(other, memoryFile), filepath.Join(dir, memoryFile))
		}, ErrMemory, "another key"},
		"state is a directory": {func(t *testing.T, dir string) {
			t.Helper()
			remove(t, dir, memoryFile)
			if err := os.Mkdir(filepath.Join(dir, memoryFile), 0o700); err != nil {
				t.Fatal(err)
			}
		}, ErrMemory, ""},
		"no key": {func(t *testing.T, dir string) { t.Helper(); remove(t, dir, keyFile) }, errKey, "rubrica witness init"},
		"no good key": {func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, keyFile), "PRIVATE+KEY+x+00000000+AAAA\n")
		}, errKey, ""},
		"key that others may read": {func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Chmod(filepath.Join(dir, keyFile), 0o640); err != nil {
				t.Fatal(err)
			}
		}, errKey, "chmod 600"},
		"no directory": {func(t *testing.T, dir string) { t.Helper(); rename(t, dir, dir+".away") }, fs.ErrNotExist, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBenchOf(t, filepath.Join(t.TempDir(), "w"))
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			test.spoil(t, b.config.Dir)
			w, err := Open(b.config)
			if w != nil || !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %v that says %q", err, test.want, test.says)
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOneProcess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := Open(b.config); !errors.Is(err, ErrHeld) {
		t.Errorf("the second: got %v, want ErrHeld", err)
	}
	if _, err := Init(b.config.Dir, witnessName); !errors.Is(err, ErrHeld) {
		t.Errorf("init beside it: got %v, want ErrHeld", err)
	}
	b.again(t)
}

func TestInit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.Add(t.Context(), b.tree.grow(t, 3, "entry").request(t, 0, 3)); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	before := read(t, b)
	again := func(name string, want error) {
		t.Helper()
		if _, err := Init(b.config.Dir, witnessName); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	again("over a witness", ErrExists)
	remove(t, b.config.Dir, keyFile)
	again("over a memory without its key", ErrExists)
	if read(t, b) != before {
		t.Error("got another state, want it left alone")
	}
	write(t, filepath.Join(b.config.Dir, memoryFile), before[:20])
	again("over a memory that cannot be read", ErrMemory)

	dir := t.TempDir()
	if _, err := Init(dir, witnessName); err != nil {
		t.Fatal(err)
	}
	remove(t, dir, memoryFile)
	if _, err := Init(dir, witnessName); !errors.Is(err, ErrExists) {
		t.Errorf("over a key without its memory: got %v, want ErrExists", err)
	}
	// An init that was interrupted left a memory of nothing, and no key.
	interrupted := t.TempDir()
	if _, err := Init(interrupted, witnessName); err != nil {
		t.Fatal(err)
	}
	remove(t, interrupted, keyFile)
	if _, err := Init(interrupted, witnessName); err != nil {
		t.Errorf("over an interrupted one: got %v, want a witness", err)
	}
}

func TestInitNames(t *testing.T) {
	t.Parallel()
	for name, fine := range map[string]bool{
		"witness.example.es/w1": true, "w": true, "": false, "a b": false, "a+b": false, "a#b": false, "a\nb": false,
		"https://witness.example.es": false, "testigo.ñ": false, "a\x7f": false,
	} {
		vkey, err := Init(t.TempDir(), name)
		if (err == nil) != fine || fine && !strings.HasPrefix(vkey, name+"+") || !fine && !errors.Is(err, errName) {
			t.Errorf("%q: got %q, %v, want fine: %v", name, vkey, err, fine)
		}
	}
}

// TestDiskFull gives no cosignature that is not on the disk.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.tree.grow(t, 20, "entry")
	if _, err := b.Add(t.Context(), l.request(t, 0, 3)); err != nil {
		t.Fatal(err)
	}
	before := b.Report()
	obstacle := filepath.Join(b.config.Dir, "."+memoryFile+".new")
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	server := b.serve(t)
	if status, _, body := ask(t, "POST", server.URL+"/add-checkpoint", l.request(t, 3, 20).String()); status != 500 || strings.Contains(body, obstacle) {
		t.Errorf("got %d %q, want 500 and nothing about the inside", status, body)
	}
	if status, _, _ := ask(t, "GET", server.URL+"/healthz", ""); status != 503 {
		t.Errorf("health: got %d, want 503", status)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	after := b.Report()
	after.Broken = false
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what is held (-before +after):\n%s", diff)
	}
	if status, _, body := ask(t, "POST", server.URL+"/add-checkpoint", l.request(t, 3, 20).String()); status != 200 {
		t.Errorf("with room again: got %d %q, want 200", status, body)
	}
	if status, _, _ := ask(t, "GET", server.URL+"/healthz", ""); status != 200 {
		t.Errorf("health with room again: got %d, want 200", status)
	}
}

func FuzzParseMemory(f *testing.F) {
	b := newBench(f)
	f.Add([]byte(read(f, b)))
	for _, step := range [][2]int64{{0, 0}, {0, 20}} {
		if _, err := b.Add(f.Context(), b.tree.grow(f, 20, "entry").request(f, step[0], step[1])); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(read(f, b)))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		vkey, logs, err := parseMemory(content)
		if err != nil {
			if !errors.Is(err, ErrMemory) {
				t.Errorf("got %v, want ErrMemory", err)
			}
			return
		}
		if again, err := encodeMemory(vkey, logs); err != nil || !bytes.Equal(again, content) {
			t.Errorf("got %q again (%v), want %q", again, err, content)
		}
	})
}
