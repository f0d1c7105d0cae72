package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestActAsOwner runs itself as a process of its own, which may lose its rights.
func TestActAsOwner(t *testing.T) {
	t.Parallel()
	if module := os.Getenv("RUBRICA_TEST_MODULE"); module != "" {
		if err := (TokenSettings{PKCS11Module: module}).actAsOwner(); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("user %d group %d\n", os.Geteuid(), os.Getegid())
		return
	}
	for name, test := range map[string]struct {
		module string
		owner  int
		acts   bool // where root may
	}{
		"somebody's":     {"/usr/lib/softhsm/libsofthsm2.so", 61191, true},
		"root's":         {"/usr/lib/softhsm/libsofthsm2.so", 0, false},
		"another module": {"/usr/lib/libnetworkhsm.so", 61191, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens := filepath.Join(t.TempDir(), "tokens")
			if err := os.Mkdir(tokens, 0o700); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("user %d group %d\n", os.Geteuid(), os.Getegid())
			if os.Geteuid() == 0 {
				if err := os.Chown(tokens, test.owner, test.owner); err != nil {
					t.Fatal(err)
				}
				if test.acts {
					want = fmt.Sprintf("user %[1]d group %[1]d\n", test.owner)
				}
			}
			config := filepath.Join(t.TempDir(), "softhsm2.conf")
			text := "# directories.tokendir = /nowhere\ndirectories.tokendir = " + tokens + "\nlog.level = ERROR\n"
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestActAsOwner$")
			cmd.Env = append(os.Environ(), "RUBRICA_TEST_MODULE="+test.module, "SOFTHSM2_CONF="+config)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), want) {
				t.Errorf("got %v and %q, want %q", err, out, want)
			}
		})
	}
}
