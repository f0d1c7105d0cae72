package presenting

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTrustFile: who changes the list, or a certificate that it names, needs no
// restart; what is not in order changes nothing.
func TestTrustFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.trust(w.reach())
	path := filepath.Join(w.dir, "list.toml")
	write := func(name, content string) {
		t.Helper()
		// As careful people do, and with a time that no file had before.
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", filepath.Join(w.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	const head = "[[authority]]\nclass = \"qualified\"\nsubject = \"etsi\"\npolicies = [\"1.2.3\"]\n"
	const fnmt = head + "name = \"FNMT\"\nissuers = [\"fnmt.pem\"]\n"
	write("list.toml", fnmt)
	var said bytes.Buffer
	f, err := OpenTrustFile(path, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	first := f.List(t.Context())
	if again := f.List(t.Context()); again != first || said.Len() > 0 {
		t.Errorf("got %p after %p and %q, want the same list and no word", again, first, &said)
	}
	for _, broken := range []string{"[[authority", fnmt + head + "name = \"Otra\"\nissuers = [\"later.pem\"]\n"} {
		write("list.toml", broken)
		said.Reset()
		for range 3 {
			if got := f.List(t.Context()); got != first {
				t.Fatalf("with %q: got another list", broken)
			}
		}
		if n := strings.Count(said.String(), "trust_list_not_in_order"); n != 1 {
			t.Errorf("got %d complaints, want one: %s", n, &said)
		}
	}
	// The file that was missing comes.
	w.file("later.pem", w.old.certificate)
	both := f.List(t.Context())
	if len(both.authorities) != 2 || both.authorities[1].issuer(w.issue(w.old, anaFNMT(nil)).certificate) == nil {
		t.Fatalf("got %d authorities, want the second, too", len(both.authorities))
	}
	// A certificate is replaced by another, in a file of the same length or not.
	w.file("later.pem", w.others.certificate)
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(filepath.Join(w.dir, "later.pem"), later, later); err != nil {
		t.Fatal(err)
	}
	replaced := f.List(t.Context())
	if replaced.authorities[1].issuer(w.issue(w.old, anaFNMT(nil)).certificate) != nil {
		t.Error("got the certificate from before")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := f.List(t.Context()); got != replaced {
		t.Error("without its file: got another list, want the last")
	}
	if _, err := OpenTrustFile(path, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("got a list from no file")
	}
}
