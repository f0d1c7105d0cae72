package dev_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/dev"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := dev.Doctor(t.Context(), dev.Examination{Dir: filepath.Join(t.TempDir(), "not", "yet"), Addresses: []string{freeAddress(t)}, Out: &out})
	if err != nil {
		t.Errorf("got %v, want nothing missing where the tests run:\n%s", err, &out)
	}
}

// TestDoctorMissing takes all programs away, and the port and the directory.
func TestDoctorMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = dev.Doctor(t.Context(), dev.Examination{Dir: filepath.Join(file, "var"), Addresses: []string{taken.Addr().String()}, Out: &out})
	if !errors.Is(err, dev.ErrUnwell) {
		t.Errorf("got %v, want %v", err, dev.ErrUnwell)
	}
	for _, want := range []string{
		"sudo apt-get install -y openssl poppler-utils\n",
		"MISS  pdfsig",
		"MISS  data directory",
		"warn  address",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", &out, want)
		}
	}
}
