package main

import (
	"bytes"
	"crypto"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

func TestVerifyCommand(t *testing.T) {
	t.Parallel()
	s := cmstest.New(t, "p256")
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	content := []byte("Solicitud\n")
	signature := s.Sign(t, content, crypto.SHA256)
	root := write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Root.Raw}))
	plain, err := os.ReadFile("../../testdata/pdf/solicitud.pdf")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		command VerifyCommand
		status  int
		says    string
	}{
		"nothing known about revocation": {VerifyCommand{File: write("a.p7s", signature), Content: write("a", content)}, 2, "TRY_LATER"},
		"another content":                {VerifyCommand{File: write("b.p7s", signature), Content: write("b", []byte("otra"))}, 3, "HASH_FAILURE"},
		"not signed":                     {VerifyCommand{File: write("c.pdf", plain)}, 4, "El documento no está firmado."},
		"neither":                        {VerifyCommand{File: write("d", []byte("PK\x03\x04"))}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.command.Trust = []string{root}
			var out bytes.Buffer
			err := test.command.report(t.Context(), &out)
			status := 1
			var coded interface{ ExitCode() int }
			if errors.As(err, &coded) {
				status = coded.ExitCode()
			}
			if err == nil || status != test.status || !strings.Contains(out.String(), test.says) {
				t.Errorf("got %v, status %d and %q, want status %d and %q", err, status, out.String(), test.status, test.says)
			}
		})
	}
	t.Run("JSON", func(t *testing.T) {
		t.Parallel()
		command := VerifyCommand{File: write("e.p7s", signature), Content: write("e", content), Trust: []string{root}, JSON: true}
		var out bytes.Buffer
		if err := command.report(t.Context(), &out); err == nil {
			t.Error("got success, want none")
		}
		var report struct {
			Indication string `json:"indication"`
			Signatures []struct {
				Sub    string `json:"sub_indication"`
				Signer struct {
					Name string `json:"name"`
				} `json:"signer"`
			} `json:"signatures"`
		}
		if err := json.Unmarshal(out.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		if report.Indication != string(verify.Indeterminate) || len(report.Signatures) != 1 || report.Signatures[0].Signer.Name != s.Certificate.Subject.CommonName {
			t.Errorf("got %s, want one signature, INDETERMINATE", out.String())
		}
	})
}
