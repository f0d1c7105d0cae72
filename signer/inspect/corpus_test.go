package inspect_test

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// TestCorpus inspects real documents: what has to be signable stays signable,
// and nothing takes long. RUBRICA_CORPUS names their folder, which is not part
// of the project; without it the test looks at nothing but the project's own.
func TestCorpus(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("RUBRICA_CORPUS")
	if folder == "" {
		return
	}
	manifest, err := os.Open(filepath.Join(folder, "MANIFEST.tsv"))
	if err != nil {
		t.Fatalf("opening the list: %v", err)
	}
	t.Cleanup(func() {
		if err := manifest.Close(); err != nil {
			t.Errorf("closing the list: %v", err)
		}
	})
	lines := bufio.NewScanner(manifest)
	lines.Scan() // headings
	for lines.Scan() {
		columns := strings.Split(lines.Text(), "\t")
		t.Run(columns[0], func(t *testing.T) {
			t.Parallel()
			inspectReal(t, filepath.Join(folder, columns[0]), strings.HasPrefix(columns[5], "signable") && !strings.Contains(columns[5], "or refused"))
		})
	}
}

func inspectReal(t *testing.T, path string, signable bool) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	defer func() {
		if err := file.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	}()
	info, err := file.Stat()
	if err != nil {
		t.Fatalf("reading its size: %v", err)
	}
	spent := cputest.Watch(t)
	f, err := pdf.Open(file, info.Size())
	var report inspect.Report
	if err == nil {
		report, err = inspect.File(f)
	}
	if took := spent(); took > 2*time.Second {
		t.Errorf("took %v, want 2 s of the processor at most", took)
	}
	var refusal *policies.Refusal
	if err != nil && !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a refusal or none", err)
	}
	if refusal == nil {
		_, refusal = policies.JudgeDocument(report.Findings, policies.DefaultDocumentRules())
	}
	t.Logf("%v: %v, %+v", spent().Round(time.Millisecond), refusal, report.Findings)
	if signable && refusal != nil {
		t.Errorf("got %v, want a document that can be signed", refusal)
	}
}
