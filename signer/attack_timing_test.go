package signer_test

import (
	"bytes"
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc"
)

// Neither what the module answers nor how long it takes tells a stranger from a
// citizen whose password is wrong. Argon2id costs little here, so that the rest
// is what is compared.
//
// A run of 500 and 500 rejects the hypothesis that the times are alike, wrongly,
// once in a hundred times; so it takes two of three runs to fail, which happens
// wrongly less than once in three thousand times. What makes a difference makes
// it in each run.
func TestStrangersAndWrongPasswordsAreAlike(t *testing.T) { //nolint:paralleltest // others' load would hide a difference
	s := newSpine(t, signer.SealedKeeper)
	config := s.module.Config
	config.Limits.Password.Tries, config.Limits.Password.Hard = 1<<20, 1<<20
	s.module = signer.New(config)
	s.activate("00000000T", evaPhone)
	s.activate(ana, anaPhone)
	s.signs(ana, password)
	call := s.caller()

	if known, stranger := call(ana), call(eva); !bytes.Equal(known, stranger) {
		t.Errorf("a citizen is answered %q, a stranger %q", known, stranger)
	}
	const runs, failures = 3, 2
	rejected := 0
	for range runs {
		known, strange := s.race(call)
		p := mannWhitney(known, strange)
		t.Logf("medians %v and %v, p = %.4f", median(known), median(strange), p)
		if p <= 0.01 {
			rejected++
		}
		if rejected == failures {
			t.Fatalf("the times differ in %d runs", failures)
		}
		if rejected == 0 {
			return
		}
	}
}

// The measure itself tells what differs, and nothing else.
func TestMannWhitney(t *testing.T) {
	t.Parallel()
	var a, b []time.Duration
	for i := range 500 {
		a = append(a, time.Duration(i*7919%1000))
		b = append(b, time.Duration(i*7907%1000))
	}
	if p := mannWhitney(a, b); p < 0.5 {
		t.Errorf("alike: p = %.4f, want it large", p)
	}
	for i := range b {
		b[i] += 75 // a quarter of the standard deviation
	}
	if p := mannWhitney(a, b); p > 0.001 {
		t.Errorf("different: p = %.6f, want it small", p)
	}
}

// race measures 500 wrong passwords of a citizen and 500 strangers, in turns.
func (s *spine) race(call func(dni string) []byte) (known, strange []time.Duration) {
	s.Helper()
	timed := func(dni string) time.Duration {
		began := time.Now()
		call(dni)
		return time.Since(began)
	}
	for n := range 520 {
		var a, b time.Duration
		if n%2 == 0 {
			a, b = timed(ana), timed(eva)
		} else {
			b, a = timed(eva), timed(ana)
		}
		if n >= 20 { // to warm up
			known, strange = append(known, a), append(strange, b)
		}
	}
	return known, strange
}

func median(d []time.Duration) time.Duration { return slices.Sorted(slices.Values(d))[len(d)/2] }

// caller calls the module over its socket and returns the answer, byte for byte
// but for its date.
func (s *spine) caller() func(dni string) []byte {
	s.Helper()
	socket := filepath.Join(s.TempDir(), "signer")
	listener := must[net.Listener](s.T)(rpc.Listen(s.Context(), rpc.ListenConfig{Socket: socket, Logger: s.journal.logger()}))
	server := rpc.NewServer(rpc.Handler(rpc.Services{Module: s.module, Register: s.register, Ready: s.db.Ping, Logger: s.journal.logger()}), s.journal.logger())
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(listener) })
	s.Cleanup(func() {
		_ = server.Close()
		served.Wait()
	})
	var d net.Dialer
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
	}}
	return func(dni string) []byte {
		body := `{"identifier": "` + dni + `", "password": "RXF1aXZvY2FkYS0x", "remoteAddr": "` + elsewhere + `"}`
		r := must[*http.Request](s.T)(http.NewRequestWithContext(s.Context(), http.MethodPost,
			"http://signer/rubrica.signer.v1.ActivationModule/Identify", strings.NewReader(body)))
		r.Header.Set("Content-Type", "application/json")
		resp := must[*http.Response](s.T)(client.Do(r))
		defer resp.Body.Close() //nolint:errcheck // it has been read
		resp.Header.Del("Date")
		var out bytes.Buffer
		out.WriteString(resp.Status + "\n")
		_ = resp.Header.Write(&out)
		out.Write(must[[]byte](s.T)(io.ReadAll(resp.Body)))
		return out.Bytes()
	}
}

// mannWhitney is the two-sided p-value of the U test, by its normal
// approximation with the correction for ties.
func mannWhitney(a, b []time.Duration) float64 {
	all := slices.Sorted(slices.Values(append(slices.Clone(a), b...)))
	rank := make(map[time.Duration]float64, len(all))
	ties := 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j] == all[i] {
			j++
		}
		n := float64(j - i)
		rank[all[i]] = float64(i+1+j) / 2
		ties += n*n*n - n
		i = j
	}
	sum := 0.0
	for _, v := range a {
		sum += rank[v]
	}
	n, m := float64(len(a)), float64(len(b))
	u, mean, total := sum-n*(n+1)/2, n*m/2, n+m
	deviation := math.Sqrt(n * m / 12 * (total + 1 - ties/(total*(total-1))))
	return math.Erfc(math.Abs(u-mean) / deviation / math.Sqrt2)
}
