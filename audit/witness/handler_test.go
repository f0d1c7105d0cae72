package witness

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// serve is the witness on a port of its own.
func (b *bench) serve(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(b.Handler(1e6))
	t.Cleanup(server.Close)
	return server
}

// ask makes a request, and returns status, kind and body of the answer.
func ask(t *testing.T, method, url, body string) (int, string, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(content)
}

// TestStatuses sends each kind of request to a witness that has seen 13 entries.
func TestStatuses(t *testing.T) {
	t.Parallel()
	l := newTree(t).grow(t, 20, "entry")
	other := newTree(t).grow(t, 20, "entry") // the same origin, another key
	stranger := newTreeOf(t, "elsewhere.example/log").grow(t, 20, "entry")
	fork := newTree(t)
	fork.signer = l.signer
	fork.grow(t, 20, "another past")

	emptyWithRoot := l.checkpoint(t, 0)
	emptyWithRoot.Hash = l.checkpoint(t, 1).Hash
	extended := l.checkpoint(t, 20)
	extended.Extension = "more\n"
	both := func(c torchwood.Checkpoint, signers ...note.Signer) []byte {
		t.Helper()
		signed, err := note.Sign(&note.Note{Text: c.String()}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	swapped := strings.Replace(string(l.sign(t, l.checkpoint(t, 19))), l.checkpoint(t, 19).String(), l.checkpoint(t, 20).String(), 1)
	// A known key's line that does not verify spoils the note, whoever else signed.
	spoilt := swapped + lastLine(string(stranger.sign(t, l.checkpoint(t, 20))))

	for _, test := range []struct {
		name   string
		r      Request
		status int
	}{
		{"malformed", Request{Note: []byte("no note")}, 400},
		{"old size larger", Request{OldSize: 20, Note: l.sign(t, l.checkpoint(t, 13))}, 400},
		{"old size larger, unknown to the witness", Request{OldSize: 99, Note: l.sign(t, l.checkpoint(t, 20))}, 400},
		{"another key", Request{OldSize: 13, Proof: l.proof(t, 13, 20), Note: other.sign(t, l.checkpoint(t, 20))}, 403},
		{"false signature of a known key", Request{OldSize: 13, Proof: l.proof(t, 13, 20), Note: []byte(swapped)}, 403},
		{"false signature beside a stranger's", Request{OldSize: 13, Proof: l.proof(t, 13, 20), Note: []byte(spoilt)}, 403},
		{"unknown origin", stranger.request(t, 13, 20), 404},
		{"unknown origin under a known key", Request{OldSize: 13, Note: both(stranger.checkpoint(t, 20), l.signer)}, 404},
		{"no old size", l.request(t, 0, 20), 409},
		{"another old size", l.request(t, 12, 20), 409},
		{"the past", l.request(t, 0, 12), 409},
		{"the past, a step", l.request(t, 11, 12), 409},
		{"no entries", l.request(t, 0, 0), 409},
		{"fork of the same size", fork.request(t, 13, 13), 422},
		{"fork that grew", Request{OldSize: 13, Proof: fork.proof(t, 13, 20), Note: l.sign(t, fork.checkpoint(t, 20))}, 422},
		{"no proof", Request{OldSize: 13, Note: l.sign(t, l.checkpoint(t, 20))}, 422},
		{"proof of another step", Request{OldSize: 13, Proof: l.proof(t, 13, 19), Note: l.sign(t, l.checkpoint(t, 20))}, 422},
		{"proof with more", Request{OldSize: 13, Proof: append(l.proof(t, 13, 20), tlog.Hash{}), Note: l.sign(t, l.checkpoint(t, 20))}, 422},
		{"the same, with a proof", Request{OldSize: 13, Proof: []tlog.Hash{{}}, Note: l.sign(t, l.checkpoint(t, 13))}, 422},
		{"2⁶² entries", Request{OldSize: 13, Proof: l.proof(t, 13, 20), Note: l.sign(t, torchwood.Checkpoint{Origin: origin, N: 1 << 62})}, 422},
		{"more", Request{OldSize: 13, Proof: l.proof(t, 13, 20), Note: l.sign(t, torchwood.Checkpoint{Origin: origin, N: 1<<62 + 1})}, 400},
		{"all there can be", Request{OldSize: 13, Proof: l.proof(t, 13, 20), Note: l.sign(t, torchwood.Checkpoint{Origin: origin, N: 1<<63 - 1})}, 400},
		{"the same again", l.request(t, 13, 13), 200},
		{"signed by others too", Request{OldSize: 13, Proof: l.proof(t, 13, 20), Note: both(l.checkpoint(t, 20), stranger.signer, l.signer, other.signer)}, 200},
		{"with extension", Request{OldSize: 13, Proof: l.proof(t, 13, 20), Note: l.sign(t, extended)}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBenchOf(t, t.TempDir())
			b.Watch(l.logs(t))
			if _, err := b.Add(t.Context(), l.request(t, 0, 13)); err != nil {
				t.Fatal(err)
			}
			server := b.serve(t)
			before := read(t, b)
			status, kind, body := ask(t, http.MethodPost, server.URL+"/add-checkpoint", test.r.String())
			if status != test.status {
				t.Errorf("got %d %q, want %d", status, body, test.status)
			}
			switch {
			case status == http.StatusConflict && (kind != "text/x.tlog.size" || body != "13\n"):
				t.Errorf("got %s %q, want text/x.tlog.size and 13", kind, body)
			case status == http.StatusOK:
				b.verified(t, parse(t, test.r).checkpoint, body)
			case read(t, b) != before:
				t.Error("got another state after a refusal, want the one before")
			}
		})
	}

	t.Run("the first", func(t *testing.T) {
		t.Parallel()
		for _, test := range []struct {
			name   string
			r      Request
			status int
		}{
			{"no entries", l.request(t, 0, 0), 200},
			{"no entries, but a root", Request{Note: l.sign(t, emptyWithRoot)}, 422},
			{"a proof from nothing", Request{Proof: []tlog.Hash{{}}, Note: l.sign(t, l.checkpoint(t, 20))}, 422},
			{"nothing, and a proof", Request{Proof: []tlog.Hash{{}}, Note: l.sign(t, l.checkpoint(t, 0))}, 422},
			{"an old size", l.request(t, 13, 20), 409},
			{"many", l.request(t, 0, 20), 200},
		} {
			b := newBenchOf(t, t.TempDir())
			b.Watch(l.logs(t))
			if status, _, body := ask(t, http.MethodPost, b.serve(t).URL+"/add-checkpoint", test.r.String()); status != test.status {
				t.Errorf("%s: got %d %q, want %d", test.name, status, body, test.status)
			}
		}
	})
}

func lastLine(s string) string { return s[strings.LastIndex(strings.TrimSuffix(s, "\n"), "\n")+1:] }

func TestHTTP(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.tree.grow(t, 20, "entry")
	server := b.serve(t)
	address := server.URL + "/" + OriginHash(origin) + "/checkpoint"
	if status, _, _ := ask(t, http.MethodGet, address, ""); status != http.StatusNotFound {
		t.Errorf("a checkpoint before there is one: got %d, want 404", status)
	}
	cosigned := l.sign(t, l.checkpoint(t, 20))
	status, _, line := ask(t, http.MethodPost, server.URL+"/add-checkpoint", Request{Note: append(cosigned, []byte(strings.Repeat("— other.example AAAAAAAAAAAA\n", 3))...)}.String())
	if status != http.StatusOK {
		t.Fatalf("got %d %q, want 200", status, line)
	}
	if status, _, got := ask(t, http.MethodGet, address, ""); status != http.StatusOK || got != string(cosigned)+line {
		t.Errorf("got %d %q, want the log's signature and what was answered", status, got)
	}
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodGet, "/add-checkpoint", "", 405},
		{http.MethodPut, "/add-checkpoint", l.request(t, 20, 20).String(), 405},
		{http.MethodPost, "/" + OriginHash(origin) + "/checkpoint", "", 405},
		{http.MethodGet, "/" + strings.ToUpper(OriginHash(origin)) + "/checkpoint", "", 404},
		{http.MethodGet, "/" + origin + "/checkpoint", "", 404},
		{http.MethodGet, "/state.json", "", 404},
		{http.MethodPost, "/add-checkpoint", strings.Repeat("x", 64<<10+1), 413},
		{http.MethodPost, "/add-checkpoint", strings.Repeat("x", 64<<10), 400},
		{http.MethodPost, "/add-checkpoint", "", 400},
		{http.MethodPost, "/add-checkpoint", l.request(t, 20, 20).String(), 200},
	} {
		if status, _, body := ask(t, test.method, server.URL+test.path, test.body); status != test.status {
			t.Errorf("%s %s: got %d %q, want %d", test.method, test.path, status, body, test.status)
		}
	}
	status, kind, body := ask(t, http.MethodGet, server.URL+"/healthz", "")
	var health struct {
		Report

		Cosigned, Refused int64
	}
	if err := json.Unmarshal([]byte(body), &health); err != nil || status != http.StatusOK || kind != "application/json" {
		t.Fatalf("got %d %s %q (%v), want a report", status, kind, body, err)
	}
	if got := fmt.Sprint(health.Cosigned, health.Refused, health.Broken, len(health.Logs), health.Logs[0].Size, health.Logs[0].Watched); got != "2 3 false 1 20 true" {
		t.Errorf("got %s, want 2 3 false 1 20 true, in %s", got, body)
	}
}

// TestUnwatch lets a log go, without forgetting it.
func TestUnwatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.tree.grow(t, 20, "entry")
	server := b.serve(t)
	post := func(r Request) int {
		t.Helper()
		status, _, _ := ask(t, http.MethodPost, server.URL+"/add-checkpoint", r.String())
		return status
	}
	if got := post(l.request(t, 0, 13)); got != http.StatusOK {
		t.Fatalf("got %d, want 200", got)
	}
	b.Watch(newTreeOf(t, "elsewhere.example/log").logs(t))
	if got := post(l.request(t, 13, 20)); got != http.StatusNotFound {
		t.Errorf("not watched: got %d, want 404", got)
	}
	if status, _, _ := ask(t, http.MethodGet, server.URL+"/"+OriginHash(origin)+"/checkpoint", ""); status != http.StatusOK {
		t.Errorf("what was cosigned: got %d, want 200", status)
	}
	b.Watch(l.logs(t))
	if got := post(l.request(t, 0, 20)); got != http.StatusConflict {
		t.Errorf("watched again, from nothing: got %d, want 409", got)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	handler := b.Handler(1)
	get := func(remote, path string) int {
		t.Helper()
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		request.RemoteAddr = remote
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		return recorder.Code
	}
	const path = "/0/checkpoint"
	for i := range 4 {
		if got := get(fmt.Sprintf("192.0.2.1:%d", 1000+i), path); got != http.StatusNotFound {
			t.Errorf("request %d: got %d, want 404", i, got)
		}
	}
	for _, test := range []struct {
		remote, path string
		status       int
	}{
		{"192.0.2.1:5", path, 429},
		{"[::ffff:192.0.2.1]:5", path, 429}, // the same host
		{"192.0.2.1:5", "/healthz", 200},
		{"192.0.2.2:5", path, 404},
		{"[2001:db8::1]:5", path, 404},
		{"[2001:db8::2]:5", path, 404},
		{"[2001:db8::3]:5", path, 404},
		{"[2001:db8:0:0:9::3]:5", path, 404},
		{"[2001:db8::4]:5", path, 429}, // one network
		{"[2001:db8:0:1::4]:5", path, 404},
		{"@", path, 404},
	} {
		if got := get(test.remote, test.path); got != test.status {
			t.Errorf("%s from %s: got %d, want %d", test.path, test.remote, got, test.status)
		}
	}
}

// TestRateLimitIsBounded has more addresses ask than are remembered.
func TestRateLimitIsBounded(t *testing.T) {
	t.Parallel()
	a := newAddresses(1)
	now := newClock().Now()
	for i := range 3 * maxAddresses {
		if remote := fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255); !a.allow(remote, now) {
			t.Fatalf("got a refusal for the first request of %s", remote)
		}
	}
	if got := len(a.limiters); got > maxAddresses {
		t.Errorf("got %d addresses remembered, want %d at most", got, maxAddresses)
	}
}
