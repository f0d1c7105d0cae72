package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

// asProgram makes this test binary the program itself.
const asProgram = "RUBRICA_TEST_PROGRAM"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asProgram) != "":
		os.Exit(run(context.Background(), os.Args[1:]))
	case os.Getenv("RUBRICA_TEST_MODULE") != "": // a child of TestActAsOwner
		os.Exit(m.Run())
	default:
		os.Exit(pgtest.Main(m))
	}
}

// terminal is where the commands of a test are typed.
type terminal struct {
	settings []string
	answers  string
}

// newTerminal has a database and two tokens, of which nothing is known yet.
func newTerminal(t *testing.T) terminal {
	t.Helper()
	service, root := hsmtest.Config(t), hsmtest.Config(t)
	pin := func(name string, config hsm.Config) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, config.PIN, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return terminal{settings: []string{
		"--public-url", "https://firma.example.es", "--database", pgtest.New(t, store.Migrate).Signer,
		"--pkcs11-module", service.Module, "--token-label", service.TokenLabel, "--pin-file", pin("pin", service),
		"--root-token-label", root.TokenLabel, "--root-pin-file", pin("root-pin", root),
		"--issuing-algorithm", "ec-p384", "--tsa-algorithm", "ec-p256",
	}}
}

// without leaves a setting out.
func (c terminal) without(name string) terminal {
	i := slices.Index(c.settings, name)
	c.settings = slices.Delete(slices.Clone(c.settings), i, i+2)
	return c
}

// ca runs a command, and returns what it printed, and its exit status.
func (c terminal) ca(t *testing.T, args ...string) (string, int) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, slices.Concat([]string{"ca"}, args, c.settings)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdin = strings.NewReader(c.answers)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// want runs a command that must end so and say that.
func (c terminal) want(t *testing.T, status int, says string, args ...string) {
	t.Helper()
	if out, got := c.ca(t, args...); got != status || !strings.Contains(out, says) {
		t.Errorf("got exit status %d from ca %v, want %d and %q in\n%s", got, args, status, says, out)
	}
}

// TestFullDisk leaves neither half a file nor a temporary one.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, "full")); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "full"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "root.cer")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fill(file, []byte("new"), path); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want that no space is left", err)
	}
	entries, err := os.ReadDir(dir)
	if text, readErr := os.ReadFile(path); string(text) != "old" || len(entries) != 1 || errors.Join(err, readErr) != nil {
		t.Errorf("got %q and %d files (%v), want the old file alone", text, len(entries), errors.Join(err, readErr))
	}
}

// TestCA goes through the years of an authority.
func TestCA(t *testing.T) {
	t.Parallel()
	c := newTerminal(t)
	dir := filepath.Join(t.TempDir(), "export")
	first := []string{"init", "--root-algorithm", "ec-p384", "--organisation", "Ayuntamiento de Valdehierro"}
	yes := append(slices.Clone(first), "--yes")

	c.want(t, 1, "There is no certification authority yet", "status")
	c.want(t, 1, "nobody answers: give --yes", first...)
	c.answers = "y\ny\nno\n"
	c.want(t, 1, "stopped by hand", first...)
	c.without("--root-pin-file").want(t, 1, "the root's token is needed: plug it in, and name it with --root-token-label, --root-pin-file", yes...)
	away := c.without("--root-token-label")
	away.want(t, 1, `none is labelled "rubrica-root"`, yes...)
	c.without("--pin-file").want(t, 1, "name it with --pkcs11-module, --token-label and --pin-file", yes...)

	c.want(t, 0, "Written to "+dir+": 7 files.", append(yes, "--export", dir)...)
	away.want(t, 0, "[11/11] init/tsa-1: done on ", yes...)
	checkDrawing(t, c)
	away.want(t, 0, "not looked for", "status") // the root's token belongs away

	away.want(t, 1, "--root-token-label", "root-crl", "--yes")
	c.want(t, 0, "root.crl: number 2", "root-crl", "--yes")
	c.want(t, 0, "issuing-1 issues nothing more", "rollover", "--tsa", "--yes")
	c.want(t, 0, "├─ issuing-1 (retired)", "status")
	c.want(t, 0, "tsa-1 (retired)", "status")
	away.want(t, 0, "ocsp-1 is not used any more", "renew", "ocsp", "--of", "issuing-1", "--yes")
	c.want(t, 1, "nobody can revoke a root", "revoke", "root", "--reason", "cessation", "--yes")
	c.want(t, 80, "--reason", "revoke", "issuing-2")
	away.want(t, 1, "--root-token-label", "revoke", "issuing-2", "--reason", "compromise", "--yes")
	c.want(t, 0, "issuing-2 is revoked", "revoke", "issuing-2", "--reason", "compromise", "--yes")
	checkJSON(t, c)

	// What cannot be written is found before the ceremony, if it can be.
	c.want(t, 1, "not a directory", "root-crl", "--yes", "--export", filepath.Join(dir, "root.pem", "below"))
	c.want(t, 0, "Written to", "export", dir)
	blocked := t.TempDir()
	if err := os.Mkdir(filepath.Join(blocked, "root.crl"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.want(t, 1, "the ceremony is done and recorded: rubrica ca export DIR writes the files again", "root-crl", "--yes", "--export", blocked)
	c.want(t, 1, "root.crl              5 ", "status")
}

// checkDrawing compares the tree, but for what differs each time.
func checkDrawing(t *testing.T, c terminal) {
	t.Helper()
	const want = `member  name  serial  algorithm  token  key  valid  days left
root  Ayuntamiento de Valdehierro CA Raíz  SERIAL  ec-p384  root  present  DAY – DAY  DAYS
└─ issuing-1  Ayuntamiento de Valdehierro CA Ciudadanos  SERIAL  ec-p384  service  present  DAY – DAY  DAYS
  ├─ ocsp-1  Ayuntamiento de Valdehierro OCSP 1  SERIAL  ec-p256  service  present  DAY – DAY  DAYS
  └─ tsa-1  Ayuntamiento de Valdehierro TSU 1  SERIAL  ec-p256  service  present  DAY – DAY  DAYS

list  number  revoked  next update
root.crl  1  0  DAY TIME
issuing-1-YEAR-1.crl  0  0  -
`
	got, status := c.ca(t, "status")
	for _, replace := range [][2]string{
		{`[0-9a-f]{30,32}`, "SERIAL"},
		{`\d{4}-\d\d-\d\d`, "DAY"},
		{`-\d{4}-`, "-YEAR-"},
		{`\d\d:\d\d:\d\d`, "TIME"},
		{` {2,}\d{2,4} +\n`, "  DAYS\n"},
		{` +\n`, "\n"},
		{` {2,}`, "  "},
	} {
		got = regexp.MustCompile(replace[0]).ReplaceAllString(got, replace[1])
	}
	if diff := cmp.Diff(want, got); diff != "" || status != 0 {
		t.Errorf("got exit status %d, want 0; the drawing differs (-want +got):\n%s", status, diff)
	}
}

// checkJSON reads the report as a program does.
func checkJSON(t *testing.T, c terminal) {
	t.Helper()
	out, status := c.ca(t, "status", "--json")
	var report ceremony.Report
	text, _, _ := strings.Cut(out, "\nrubrica:")
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatalf("got %v from\n%s", err, out)
	}
	var problems []string
	for _, problem := range report.Problems {
		beginning, _, _ := strings.Cut(problem, ":")
		problems = append(problems, beginning)
	}
	want := []string{"No issuing authority is in use", "tsa-2 is of issuing-2, which is revoked"}
	if diff := cmp.Diff(want, problems); diff != "" || status != 1 || len(report.Members) != 8 {
		t.Errorf("got exit status %d and %d members, want 1 and 8; problems differ (-want +got):\n%s", status, len(report.Members), diff)
	}
}
