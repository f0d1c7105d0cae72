package documents_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/internal/cmstest"
	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

// TestMain makes the test binary its own document worker, and a few bad ones.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "document-worker":
			os.Exit(documents.Main(os.Stdin, os.Stdout))
		case "misbehave":
			os.Exit(misbehave())
		}
	}
	os.Exit(m.Run())
}

// misbehave takes the job's limits and then does what the document says.
func misbehave() int {
	stdin := &bytes.Buffer{}
	if _, err := stdin.ReadFrom(os.Stdin); err != nil {
		return 70
	}
	if bytes.Contains(stdin.Bytes(), []byte(`"kind":"probe"`)) {
		return documents.Main(stdin, os.Stdout)
	}
	document, err := io.ReadAll(os.NewFile(3, "document"))
	if err != nil {
		return 70
	}
	probe := bytes.Replace(stdin.Bytes()[4:], []byte(`"kind":"prepare"`), []byte(`"kind":"probe"`), 1)
	probe = probe[:bytes.LastIndexByte(probe, '}')+1]
	framed := append([]byte{0, 0, byte(len(probe) >> 8), byte(len(probe))}, probe...)
	if code := documents.Main(bytes.NewReader(framed), os.Stdout); code != 0 {
		return code
	}
	switch tail := string(document); {
	case strings.HasSuffix(tail, "spin"):
		for n := 0; ; n++ {
			runtime.KeepAlive(n)
		}
	case strings.HasSuffix(tail, "sleep"):
		time.Sleep(time.Hour)
	case strings.HasSuffix(tail, "eat"):
		var hoard [][]byte
		for {
			block := make([]byte, 16<<20)
			for i := range block {
				block[i] = 1
			}
			hoard = append(hoard, block)
			runtime.KeepAlive(hoard)
		}
	case strings.HasSuffix(tail, "recurse"):
		return recurse(0)
	case strings.HasSuffix(tail, "flood"):
		for {
			if _, err := os.Stdout.Write(make([]byte, 1<<20)); err != nil {
				return 0
			}
		}
	case strings.HasSuffix(tail, "file"):
		name := filepath.Join(os.TempDir(), fmt.Sprintf("worker-%d", os.Getpid()))
		defer func() { _ = os.Remove(name) }()
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			return 3
		}
	case strings.HasSuffix(tail, "network"):
		interfaces, err := net.Interfaces()
		if err != nil {
			return 3
		}
		for _, i := range interfaces {
			if i.Flags&net.FlagUp != 0 {
				return 0
			}
		}
		return 3
	case strings.HasSuffix(tail, "environment"):
		if len(os.Environ()) == 3 {
			return 3
		}
	case strings.HasSuffix(tail, "lie"):
		fmt.Print("\x00\x00\x00\x02{}")
	}
	return 0
}

func recurse(n int) int {
	if n < 0 {
		return n
	}
	return recurse(n+1) + 1
}

func newWorker(tb testing.TB, command string, change func(*documents.Config)) *documents.Worker {
	tb.Helper()
	c := documents.Config{Command: []string{os.Args[0], command}}
	if change != nil {
		change(&c)
	}
	w, err := documents.New(tb.Context(), c)
	if err != nil {
		tb.Fatalf("starting the worker: %v", err)
	}
	return w
}

// file takes a document in until the test ends.
func file(tb testing.TB, content []byte) *documents.File {
	tb.Helper()
	f, err := documents.HeldFile(content)
	if err != nil {
		tb.Fatalf("taking a document in: %v", err)
	}
	tb.Cleanup(f.Close)
	return f
}

func solicitud(tb testing.TB) []byte {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "testdata", "pdf", "solicitud.pdf"))
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

func TestPrepareAndSign(t *testing.T) {
	t.Parallel()
	w := newWorker(t, "document-worker", nil)
	content := solicitud(t)
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	p, err := w.Prepare(t.Context(), file(t, content), pades.Options{Reason: "Solicitud de ayuda", Time: at})
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	if diff := cmp.Diff("Solicitud de ayuda al alquiler de vivienda habitual", p.Title); diff != "" {
		t.Error(diff)
	}
	if len(p.Pages) != 2 || int(p.Pages[0].Width) != 595 || int(p.Pages[0].Height) != 841 {
		t.Errorf("got pages %v, want two of A4", p.Pages)
	}
	s := cmstest.New(t, "p256")
	digest, err := p.Layout.Digest(bytes.NewReader(content), p.Update, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der := s.SignParams(t, cades.Params{ContentDigest: digest, Hash: crypto.SHA256, Certificate: s.Certificate, PAdES: true})
	if err := p.Layout.Embed(p.Update, der); err != nil {
		t.Fatal(err)
	}
	if err := p.Layout.Verify(bytes.NewReader(content), p.Update, s.Certificate); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorker(t, "document-worker", nil)
	content := solicitud(t)
	text, err := w.PageText(t.Context(), file(t, content), 1)
	if err != nil {
		t.Fatalf("PageText: %v", err)
	}
	for _, want := range []string{"PEÑAFLOR DE LA SIERRA", "Begoña Núñez Ibáñez", "145,50 €"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text of page 1 has no %q:\n%s", want, text)
		}
	}
	image, err := w.PageImage(t.Context(), file(t, content), 2, 72)
	if err != nil {
		t.Fatalf("PageImage: %v", err)
	}
	decoded, err := png.Decode(bytes.NewReader(image))
	if err != nil {
		t.Fatalf("decoding the image: %v", err)
	}
	if got := decoded.Bounds().Dx(); got != 596 {
		t.Errorf("got a width of %d, want 596", got)
	}
	for _, page := range []int{-1, 0, 3} {
		if _, err := w.PageImage(t.Context(), file(t, content), page, 72); !errors.Is(err, policies.Refuse(policies.NotFound)) {
			t.Errorf("page %d: got %v, want %v", page, err, policies.NotFound)
		}
	}
	if _, err := w.PageText(t.Context(), file(t, []byte("%PDF-1.4 nada")), 1); !errors.Is(err, policies.Refuse(policies.DocumentDamaged)) {
		t.Errorf("no PDF: got %v, want %v", err, policies.DocumentDamaged)
	}
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	w := newWorker(t, "document-worker", nil)
	content := solicitud(t)
	for name, tc := range map[string]struct {
		content []byte
		want    policies.Code
	}{
		"empty":     {nil, policies.DocumentEmpty},
		"not PDF":   {[]byte("PK\x03\x04 un documento de texto"), policies.DocumentNotPDF},
		"truncated": {content[:len(content)/2], policies.DocumentDamaged},
	} {
		if _, err := w.Prepare(t.Context(), file(t, tc.content), pades.Options{}); !errors.Is(err, policies.Refuse(tc.want)) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

// TestMisbehaviour: whatever a child does, the parent answers in time with a refusal.
func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	w := newWorker(t, "misbehave", func(c *documents.Config) {
		c.Limits = documents.Limits{Memory: 128 << 20, CPU: time.Second, Wall: 4 * time.Second}
	})
	for document, want := range map[string]policies.Code{
		"spin":    policies.DocumentTooComplex,
		"sleep":   policies.DocumentTooComplex,
		"eat":     policies.DocumentTooComplex,
		"recurse": policies.DocumentTooComplex,
		"flood":   policies.DocumentTooComplex,
		// These end with status 3 where the child was not allowed to.
		"file":        policies.DocumentTooComplex,
		"environment": policies.DocumentTooComplex,
	} {
		t.Run(document, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			if _, err := w.Prepare(t.Context(), file(t, []byte(document)), pades.Options{}); !errors.Is(err, policies.Refuse(want)) {
				t.Errorf("got %v, want %v", err, want)
			}
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	t.Run("network", func(t *testing.T) {
		t.Parallel()
		_, err := w.Prepare(t.Context(), file(t, []byte("network")), pades.Options{})
		refused := errors.Is(err, policies.Refuse(policies.DocumentTooComplex))
		if isolated := w.Isolation() == documents.Namespaces; refused != isolated {
			t.Errorf("isolation is %v, and the child's network check gave %v", w.Isolation(), err)
		}
	})
	t.Run("lie", func(t *testing.T) {
		t.Parallel()
		if _, err := w.Prepare(t.Context(), file(t, []byte("lie")), pades.Options{}); !errors.Is(err, pades.ErrLayout) {
			t.Errorf("got %v, want %v", err, pades.ErrLayout)
		}
	})
}

func TestBusy(t *testing.T) {
	t.Parallel()
	w := newWorker(t, "misbehave", func(c *documents.Config) {
		c.Concurrency, c.Wait = 1, 50*time.Millisecond
		c.Limits.Wall = 2 * time.Second
	})
	var wg sync.WaitGroup
	codes := make(chan error, 3)
	for range 3 {
		wg.Go(func() {
			_, err := w.Prepare(t.Context(), file(t, []byte("sleep")), pades.Options{})
			codes <- err
		})
	}
	wg.Wait()
	close(codes)
	busy := 0
	for err := range codes {
		var refusal *policies.Refusal
		if errors.As(err, &refusal) && refusal.Code == policies.Busy {
			busy++
			if refusal.RetryAfter <= 0 {
				t.Error("busy without RetryAfter")
			}
		}
	}
	if busy != 2 {
		t.Errorf("got %d refused as busy, want 2", busy)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	w := newWorker(t, "misbehave", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	awake := cputest.Awake(t)
	if _, err := w.Prepare(ctx, file(t, []byte("sleep")), pades.Options{}); err == nil {
		t.Error("a cancelled job gave an answer")
	}
	if took := awake(); took > 5*time.Second {
		t.Errorf("took %v to notice", took)
	}
}

func TestTextPreview(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		content string
		limit   int
		want    string
		ok      bool
	}{
		{"España\r\n\t2026", 100, "España\r\n\t2026", true},
		{"España", 5, "Espa", true},
		{"", 10, "", true},
		{"nulo\x00", 100, "", false},
		{"\xff\xfe", 100, "", false},
	} {
		got, ok := documents.TextPreview(file(t, []byte(tc.content)), tc.limit)
		if got != tc.want || ok != tc.ok {
			t.Errorf("%q: got %q, %v, want %q, %v", tc.content, got, ok, tc.want, tc.ok)
		}
	}
}

func BenchmarkPrepare(b *testing.B) {
	w := newWorker(b, "document-worker", nil)
	content := solicitud(b)
	for b.Loop() {
		if _, err := w.Prepare(b.Context(), file(b, content), pades.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPageImage(b *testing.B) {
	w := newWorker(b, "document-worker", nil)
	content := solicitud(b)
	for b.Loop() {
		if _, err := w.PageImage(b.Context(), file(b, content), 1, 100); err != nil {
			b.Fatal(err)
		}
	}
}
