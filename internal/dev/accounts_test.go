package dev_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/signer/rpc"
)

// intrude tries what a process should be able to do, or not.
func intrude(how, what string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var err error
	switch how {
	case "read":
		_, err = os.ReadFile(what)
	case "list":
		_, err = os.ReadDir(what)
	case "connect":
		var conn *pgx.Conn
		if conn, err = pgx.Connect(ctx, what); err == nil {
			err = conn.Close(ctx)
		}
	case "call":
		var client *rpc.Client
		if client, err = rpc.Dial(rpc.DialConfig{Socket: what, Logger: slog.Default()}); err == nil {
			err = client.Healthy(ctx)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitRefused
	}
	return 0
}

const exitRefused = 3

// TestUpApart lets users loose on what belongs to others.
func TestUpApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for open := dir; open != filepath.Clean(os.TempDir()); open = filepath.Dir(open) {
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	e := up(t, newPlan(t, filepath.Join(dir, "var")))
	told := strings.Join(e.said, "\n")
	if os.Geteuid() != 0 {
		if want := "run as the present user: only root"; !strings.Contains(told, want) {
			t.Errorf("got %q, want it to say %q", told, want)
		}
		checkMode(t, e.settings(t).Socket, 0o600)
		checkMode(t, filepath.Join(e.plan.Dir, "secrets"), 0o700)
		return
	}
	if want := "users of their own"; !strings.Contains(told, want) {
		t.Fatalf("got %q, want it to say %q", told, want)
	}
	s := e.settings(t)
	checkMode(t, s.Socket, 0o660)
	secret := func(name string) string { return filepath.Join(e.plan.Dir, "secrets", name) }
	api, signer, auditor := owner(t, secret("rubrica_api.pgpass")), owner(t, secret("rubrica_signer.pgpass")), owner(t, secret("rubrica_auditor.pgpass"))
	registrar := owner(t, secret("rubrica_registrar.pgpass"))
	signer.Groups, auditor.Groups, registrar.Groups = []uint32{api.Gid}, []uint32{api.Gid}, []uint32{api.Gid}
	const stranger = 61199
	who := map[string]*syscall.Credential{
		"api": api, "signer": signer, "auditor": auditor, "registrar": registrar, "root": {},
		"stranger": {Uid: stranger, Gid: stranger}, "stranger in the group": {Uid: stranger, Gid: stranger, Groups: []uint32{api.Gid}},
	}
	// Who may open the file may not yet call.
	if succeeds(t, e.as(who["stranger in the group"], "call", s.Socket)) {
		t.Error("got a stranger in the group through to the signer")
	}
	log, err := os.ReadFile(filepath.Join(e.plan.Dir, "log", "signer.log"))
	if want := fmt.Sprintf("peer_refused uid=%d", stranger); err != nil || !strings.Contains(string(log), want) {
		t.Errorf("got %v and in the signer's log %s, want %q", err, log, want)
	}
	environ := fmt.Sprintf("/proc/%d/environ", e.pidIn(t, "run/signer/signer.pid"))
	tokens := filepath.Join(e.plan.Dir, "softhsm", "tokens")
	for what, test := range map[string]struct {
		how, what string
		may       []string
	}{
		"api's password":            {"read", secret("rubrica_api.pgpass"), []string{"api", "root"}},
		"api's role":                {"connect", s.API, []string{"api", "root"}},
		"signer's socket":           {"call", s.Socket, []string{"api"}},
		"auditor's password":        {"read", secret("rubrica_auditor.pgpass"), []string{"auditor", "root"}},
		"auditor's TLS key":         {"read", filepath.Join(e.plan.Dir, "auditor", "server.key"), []string{"auditor", "root"}},
		"registrar's password":      {"read", secret("rubrica_registrar.pgpass"), []string{"registrar", "root"}},
		"registrar's TLS key":       {"read", filepath.Join(e.plan.Dir, "registrar", "server.key"), []string{"registrar", "root"}},
		"an officer's key":          {"read", filepath.Join(e.plan.Dir, "registrar", "rosa.key"), []string{"root"}},
		"trust list":                {"read", filepath.Join(e.plan.Dir, "registrar", "trust.toml"), slices.Collect(maps.Keys(who))},
		"log's state":               {"list", filepath.Join(e.plan.Dir, "signer"), []string{"signer", "root"}},
		"signer's password":         {"read", secret("rubrica_signer.pgpass"), []string{"signer", "root"}},
		"signer's password, again":  {"read", secret("rubrica_signer"), []string{"root"}},
		"signer's role":             {"connect", s.Signer, []string{"signer", "root"}},
		"signer's environment":      {"read", environ, []string{"signer", "root"}},
		"PIN":                       {"read", secret("hsm-pin"), []string{"signer", "root"}},
		"officer's PIN":             {"read", secret("hsm-so-pin"), []string{"root"}},
		"PIN of the root's token":   {"read", secret("hsm-root-pin"), []string{"root"}},
		"SMS token":                 {"read", secret("sms-token"), []string{"signer", "root"}},
		"webhook key":               {"read", secret("webhook.pem"), []string{"api", "root"}},
		"token":                     {"list", tokens, []string{"signer", "root"}},
		"owner's password":          {"read", secret("rubrica_owner.pgpass"), []string{"root"}},
		"owner's role":              {"connect", s.Owner, []string{"root"}},
		"applications' credentials": {"read", s.Credentials, []string{"root"}},
		"list of secrets":           {"list", secret(""), []string{"root"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var did []string
			for name, credential := range who {
				if succeeds(t, e.as(credential, test.how, test.what)) {
					did = append(did, name)
				}
			}
			checkNames(t, did, test.may)
		})
	}
}

// as runs this test's binary, where `up` has put it for others to execute.
func (e *environment) as(who *syscall.Credential, args ...string) *exec.Cmd {
	program := filepath.Join(e.plan.Dir, "bin", "rubrica")
	if _, err := os.Stat(program); err != nil {
		program = os.Args[0]
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	return cmd
}

// succeeds fails the test for anything else than success and refusal.
func succeeds(t *testing.T, cmd *exec.Cmd) bool {
	t.Helper()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != exitRefused) {
		t.Fatalf("running %q: %v: %s", cmd.Args, err, out)
	}
	return err == nil
}

func owner(t *testing.T, path string) *syscall.Credential {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}
}

func checkMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s: got mode %o, want %o", path, got, want)
	}
}

func checkNames(t *testing.T, got, want []string) {
	t.Helper()
	less := func(a, b string) bool { return a < b }
	if diff := cmp.Diff(want, got, cmpopts.SortSlices(less)); diff != "" {
		t.Errorf("who may (-want +got):\n%s", diff)
	}
}
