package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/mirror"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

// auditFiles are a log in a directory, and what was taken out of it.
type auditFiles struct {
	dir string
	log *audittest.Log
}

func newAuditFiles(tb testing.TB) auditFiles {
	tb.Helper()
	f := auditFiles{dir: tb.TempDir(), log: audittest.New(tb).Fill(tb, 20)}
	same := map[string]any{"authorisation": "A1"}
	f.log.Append(tb, f.log.Entry(audit.SignIntent, "R", same), f.log.Entry(audit.SignDone, "R", same))
	authority := audittest.NewAuthority(tb, func() time.Time { return f.log.Clock })
	served := map[string][]byte{}
	for name, data := range f.log.Files(tb, 22) {
		served["log/"+name] = data
	}
	token := authority.Token(tb, f.log.Signed(tb, 22))
	served["log/timestamp/22.tsr"] = token
	served["policy"], served["tsa.pem"] = []byte(f.log.Policy(tb).String()), authority.PEM(tb)
	served["known"], served["other"] = f.log.Signed(tb, 15), f.log.Twin().Fill(tb, 15).Signed(tb, 15)

	checkpoint := f.log.Witnessed(tb, 22)
	var proofs []audit.Proof
	for _, r := range f.log.Records[20:] {
		p, err := audit.NewProof(tb.Context(), r, checkpoint, f.log)
		if err != nil {
			tb.Fatal(err)
		}
		proofs = append(proofs, p)
	}
	receipt, err := audit.NewReceipt(proofs[0], proofs[1], token, f.log.Policy(tb))
	if err != nil {
		tb.Fatal(err)
	}
	if served["r.rubrica-receipt.json"], err = receipt.Bytes(); err != nil {
		tb.Fatal(err)
	}
	if served["p.tlog-proof"], err = proofs[0].Text(); err != nil {
		tb.Fatal(err)
	}
	served["bad.tlog-proof"] = bytes.Replace(served["p.tlog-proof"], []byte("index 20"), []byte("index 21"), 1)
	header, err := json.Marshal(audit.ExportHeader{Version: 1, Origin: f.log.Origin, Checkpoint: string(checkpoint), Complete: true})
	if err != nil {
		tb.Fatal(err)
	}
	served["x.jsonl"] = append(header, "\n{\"end\":true,\"entries\":0,\"next\":null}\n"...)
	served["x.csv"], served["x.csv.jsonl"] = []byte(strings.Join(audit.Columns(), ",")+"\n"), served["x.jsonl"]
	audittest.Write(tb, f.dir, served)
	return f
}

func (f auditFiles) path(name string) string { return filepath.Join(f.dir, name) }

func TestAuditVerifyCommand(t *testing.T) {
	t.Parallel()
	f := newAuditFiles(t)
	for name, test := range map[string]struct {
		command AuditVerifyCommand
		status  int
		says    []string
	}{
		"log": {
			AuditVerifyCommand{Source: "log", Known: f.path("known"), TSACertificates: []string{f.path("tsa.pem")}, Keep: f.path("kept")},
			0,
			[]string{"El registro es auténtico y está íntegro.", "authority trusted", "15 entries, consistent", "openssl ts -verify -data " + f.path("kept/checkpoint")},
		},
		"receipt":               {AuditVerifyCommand{Source: "r.rubrica-receipt.json"}, 0, []string{"El justificante es auténtico", "sign.intent", "sign.done", "--keep DIR"}},
		"proof":                 {AuditVerifyCommand{Source: "p.tlog-proof"}, 0, []string{"La prueba es auténtica", "Entry 20: sign.intent"}},
		"export":                {AuditVerifyCommand{Source: "x.jsonl"}, 0, []string{"La exportación del registro es auténtica", "from 0 to 0, complete"}},
		"export as CSV":         {AuditVerifyCommand{Source: "x.csv"}, 0, []string{"La exportación del registro es auténtica"}},
		"another past":          {AuditVerifyCommand{Source: "log", Known: f.path("other")}, 2, []string{"NO es auténtico", "one of the entries from 0 to 14"}},
		"altered":               {AuditVerifyCommand{Source: "bad.tlog-proof"}, 2, []string{"NO es auténtica", "first    entry 21"}},
		"of whom it does trust": {AuditVerifyCommand{Source: "r.rubrica-receipt.json", Policy: "none"}, 2, []string{"no se puede afirmar"}},
		"neither":               {AuditVerifyCommand{Source: "tsa.pem"}, 1, nil},
		"not there":             {AuditVerifyCommand{Source: "gone"}, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := test.command
			c.Source = f.path(c.Source)
			if c.Policy == "none" {
				c.Policy = ""
			} else {
				c.Policy = f.path("policy")
			}
			var out bytes.Buffer
			if err := c.report(t.Context(), &out); statusOf(err) != test.status {
				t.Errorf("got %v, status %d, want %d\n%s", err, statusOf(err), test.status, out.String())
			}
			for _, want := range test.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("got\n%s\nwant %q in it", out.String(), want)
				}
			}
		})
	}
	if err := (&AuditVerifyCommand{}).Run(t.Context()); err == nil {
		t.Error("nothing to verify: got no error, want one")
	}
}

func statusOf(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &coded):
		return coded.ExitCode()
	default:
		return 1
	}
}

func TestAuditVerifyJSON(t *testing.T) {
	t.Parallel()
	f := newAuditFiles(t)
	var out bytes.Buffer
	c := AuditVerifyCommand{Source: f.path("log"), Policy: f.path("policy"), JSON: true}
	if err := c.report(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Kind       string
		Verdict    string
		OpenSSL    string
		Checkpoint struct {
			Size      int64
			Witnesses []struct{ Name string }
		}
		Entries struct{ Checked int64 }
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Kind != "log" || got.Verdict != "holds" || got.Checkpoint.Size != 22 || len(got.Checkpoint.Witnesses) != 2 || got.Entries.Checked != 22 || got.OpenSSL == "" {
		t.Errorf("got %s", out.String())
	}
}

func TestAuditMirrorCommand(t *testing.T) {
	t.Parallel()
	f := newAuditFiles(t)
	c := AuditMirrorCommand{URL: f.path("log"), Dir: f.path("copy"), Policy: f.path("policy")}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if copied, err := os.ReadFile(f.path("copy/checkpoint")); err != nil || !bytes.Equal(copied, f.log.Witnessed(t, 22)) {
		t.Errorf("checkpoint: got %s %v, want the log's", copied, err)
	}
	twin := map[string][]byte{}
	for name, data := range f.log.Twin().Fill(t, 30).Files(t, 30) {
		twin["log/"+name] = data
	}
	audittest.Write(t, f.dir, twin)
	if err := c.Run(t.Context()); !errors.Is(err, mirror.ErrFork) || statusOf(err) != 3 {
		t.Errorf("of a rewritten log: got %v, status %d, want a fork and 3", err, statusOf(err))
	}
}
