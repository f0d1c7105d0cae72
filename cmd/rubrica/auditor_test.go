package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/store"
)

// auditor runs a command about auditors.
func auditor(t *testing.T, args ...string) (status int, printed string) {
	t.Helper()
	return command(t, append([]string{"auditor"}, args...)...)
}

// command runs one of the program, and returns its exit status with what it
// printed.
func command(t *testing.T, args ...string) (status int, printed string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	out, err := cmd.Output()
	if exit, ended := errors.AsType[*exec.ExitError](err); ended {
		return exit.ExitCode(), string(out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, string(out)
}

// personal is somebody's certificate until then, DER.
func personal(t *testing.T, until time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAuditorAccounts(t *testing.T) {
	t.Parallel()
	base := pgtest.New(t, store.Migrate)
	database := "--database=" + base.Signer
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	pair := personal(t, time.Now().Add(time.Hour))
	for name, block := range map[string]*pem.Block{
		"ana.pem": {Type: "CERTIFICATE", Bytes: pair}, "ended.pem": {Type: "CERTIFICATE", Bytes: personal(t, time.Now().Add(-time.Hour))},
		"key.pem": {Type: "PRIVATE KEY", Bytes: []byte("no certificate")},
	} {
		if err := os.WriteFile(file(name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, refused := range [][]string{
		{"Ana"},
		{"Ana", "--role", "officer"},
		{"Ana", "--role", "auditor,administrator"},
		{"", "--role", "auditor"},
		{"Ana\u202eBea", "--role", "auditor"},
		{strings.Repeat("a", 101), "--role", "auditor"},
		{"Ana", "--role", "administrator", "--program"},
		{"Ana", "--role", "auditor", "--certificate", file("key.pem")},
		{"Ana", "--role", "auditor", "--certificate", file("ended.pem")},
	} {
		if status, text := auditor(t, append([]string{"add", database}, refused...)...); status == 0 {
			t.Errorf("%q: got an account: %s", refused, text)
		}
	}

	add := func(output string, args ...string) accountCredentials {
		t.Helper()
		if status, _ := auditor(t, append([]string{"add", database, "--output", file(output)}, args...)...); status != 0 {
			t.Fatalf("%q: got status %d", args, status)
		}
		var c accountCredentials
		text, err := os.ReadFile(file(output))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	ana := add("ana.json", "Ana Auditora", "--role", "auditor", "--certificate", file("ana.pem"))
	robot := add("robot.json", "Control", "--role", "auditor", "--program")
	chief := add("chief.json", "Jefa", "--role", "administrator")
	if ana.Secret != "" || len(robot.Secret) != 43 || chief.Secret != "" {
		t.Errorf("got secrets %q, %q, %q, want one for the program", ana.Secret, robot.Secret, chief.Secret)
	}

	db, err := store.Open(t.Context(), base.Signer)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	read := func(id string) personnel.Account {
		t.Helper()
		a, err := db.Staff(personnel.Auditors()).Account(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	certificate, hash := sha256.Sum256(pair), sha256.Sum256([]byte(robot.Secret))
	if !bytes.Equal(read(ana.ID).Certificate, certificate[:]) || !bytes.Equal(read(robot.ID).SecretHash, hash[:]) {
		t.Error("certificate or secret are not kept as their hashes")
	}

	status, text := auditor(t, "invite", database, "--public-url", "https://auditoria.example.es/", "--mode", "development", chief.ID)
	link, _, _ := strings.Cut(text, "\n")
	u, err := url.Parse(link)
	if status != 0 || err != nil || !strings.HasPrefix(link, "https://auditoria.example.es/auditoria/invitacion#") || len(u.Fragment) != 43 {
		t.Errorf("got status %d, link %q", status, link)
	}
	if status, _ := auditor(t, "disable", database, ana.ID); status != 0 || !read(ana.ID).Disabled() {
		t.Errorf("disabling: got status %d", status)
	}
	for _, act := range [][]string{{"disable", ana.ID}, {"invite", "--public-url", "https://a.example.es", ana.ID}, {"disable", "nobody"}} {
		if status, _ := auditor(t, append([]string{act[0], database}, act[1:]...)...); status == 0 {
			t.Errorf("%q: got it done", act)
		}
	}
	_, text = auditor(t, "list", database)
	for _, want := range []string{"Ana Auditora", "disabled", "client secret", "invited until", "administrator", robot.ID} {
		if !strings.Contains(text, want) {
			t.Errorf("the list lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, robot.Secret) {
		t.Error("the list shows a secret")
	}
	var got []audit.EventType
	err = db.Snapshot(t.Context(), func(l audit.Log) error {
		for r, err := range l.Records(t.Context()) {
			if err != nil {
				return err
			}
			got = append(got, r.Type)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []audit.EventType{audit.AuditorAdded, audit.AuditorAdded, audit.AuditorAdded, audit.AuditorInvited, audit.AuditorDisabled}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// Applications and offices never have the auditors' scope.
func TestNoApplicationAudits(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"audit", "signature,audit", "registration,audit"} {
		args := []string{"app", "add", "--database", "none", "--name", "x", "--organisation", "x", "--return-url", "https://x.example", "--scope", scope}
		var cli CLI
		var file tomlFile
		parser, err := newParser(&cli, &file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(args); err == nil || !strings.Contains(err.Error(), "--scope") {
			t.Errorf("scope %s: got %v, want it refused", scope, err)
		}
	}
}
