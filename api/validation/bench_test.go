package validation_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/validation"
)

// BenchmarkMemory compares answers from memory with a bare handler that sends
// the same octets. Both are asked in turns, so that what else the machine does
// hits both; the ratio is the site's answers a second by the bare handler's.
func BenchmarkMemory(b *testing.B) {
	town := found(b, time.Now)
	request := newFolder(b).request(town, town.leaf(b, 7), "-no_nonce")
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	must(b, err)
	b.Cleanup(func() { _ = file.Close() })
	desk, handler := town.open(b, func(c *validation.Config) { c.Logger = slog.New(slog.NewJSONHandler(file, nil)) })
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { desk.Follow(ctx); close(done) }()
	b.Cleanup(func() { cancel(); <-done })
	time.Sleep(50 * time.Millisecond)
	der := post(handler, request).Body.Bytes()
	town.count()
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/ocsp-response")
		_, _ = w.Write(der)
	})
	for _, q := range []question{
		{"post", http.MethodPost, "/ocsp", request},
		{"get", http.MethodGet, "/ocsp/" + url.QueryEscape(base64.StdEncoding.EncodeToString(request)), nil},
	} {
		b.Run(q.name+"/connections", func(b *testing.B) {
			bare, memory := httptest.NewServer(bare), httptest.NewServer(handler)
			defer bare.Close()
			defer memory.Close()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
			defer client.CloseIdleConnections()
			compare(b, func() { q.fetch(b, client, bare.URL) }, func() { q.fetch(b, client, memory.URL) })
		})
		b.Run(q.name+"/handler", func(b *testing.B) {
			compare(b, func() { q.call(bare) }, func() { q.call(handler) })
		})
	}
	if asked := town.count(); asked > b.N/100+10 {
		b.Errorf("the signer was asked %d times", asked)
	}
}

// turn is how many requests are of one kind before the other's turn.
const turn = 100

func compare(b *testing.B, bare, memory func()) {
	b.Helper()
	var spent [2]time.Duration
	for b.Loop() {
		for i, do := range []func(){bare, memory} {
			start := time.Now()
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					for range turn / 4 {
						do()
					}
				})
			}
			group.Wait()
			spent[i] += time.Since(start)
		}
	}
	b.ReportMetric(spent[0].Seconds()/spent[1].Seconds(), "ratio")
	b.ReportMetric(float64(b.N*turn)/spent[1].Seconds(), "answers/s")
	b.ReportMetric(0, "ns/op")
}

type question struct {
	name, method, path string
	body               []byte
}

func (q question) fetch(b *testing.B, client *http.Client, base string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), q.method, base+q.path, bytes.NewReader(q.body))
	if err != nil {
		b.Error(err)
		return
	}
	r.Header.Set("Content-Type", "application/ocsp-request")
	response, err := client.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	if n, err := io.Copy(io.Discard, response.Body); err != nil || n < 100 || response.StatusCode != http.StatusOK {
		b.Errorf("got %d with %d octets: %v", response.StatusCode, n, err)
	}
}

// call leaves connections out: what the site itself costs.
func (q question) call(h http.Handler) {
	ask(h, q.method, q.path, q.body, "Content-Type", "application/ocsp-request")
}
