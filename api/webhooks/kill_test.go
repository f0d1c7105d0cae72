package webhooks_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/webhooks"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// victimVariable makes this program the one that is killed.
const victimVariable = "RUBRICA_WEBHOOKS_VICTIM"

// Whatever was committed is delivered, though whoever committed it and whoever
// delivers are killed at any moment.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	h, r := newHouse(t), newReceiver(t, answers(http.StatusOK))
	h.application("sede", r.URL+"/")
	const most = 2000
	h.requests("sede", most)
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"key.pem": newKeyFile(t), "authority.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	committed := 0
	for range 3 {
		committed = h.kill(dir, committed)
	}
	if committed == 0 {
		t.Fatal("nothing happened before the kills")
	}
	// What the dead had in their hands River gives to others after some minutes.
	h.sql(`UPDATE river_job SET state = 'available' WHERE state = 'running'`)
	h.work(webhooks.Config{Authorities: r.authorities()})
	h.eventually("all that was committed", func() bool {
		return len(h.deliveries("sede")) >= committed && h.delivered("sede")()
	})
	seen := map[string]bool{}
	for _, e := range r.got() {
		seen[e.RequestID] = true
	}
	for n := 1; n <= committed; n++ {
		if id := fmt.Sprintf("sede-%d", n); !seen[id] {
			t.Errorf("%s was never told of", id)
		}
	}
	t.Logf("%d outcomes, %d calls", committed, len(r.got()))
}

// kill runs a victim for a moment, and gives the number of the last request of
// which it has said that its end was committed.
func (h *house) kill(dir string, after int) int {
	h.Helper()
	cmd := exec.CommandContext(h.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"="+dir, "SIGNER="+h.base.Signer, "API="+h.base.API, fmt.Sprintf("AFTER=%d", after))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	last, begun := after, atomic.Bool{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if !begun.Swap(true) {
			time.AfterFunc(200*time.Millisecond+rand.N(300*time.Millisecond), func() { _ = cmd.Process.Kill() })
		}
		if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
			h.Fatal(err)
		}
	}
	if err := cmd.Wait(); err == nil {
		h.Fatal("the victim ended by itself")
	}
	return last
}

// victim ends requests, says so, and delivers, until it is killed.
func victim() int {
	ctx := context.Background()
	dir := os.Getenv(victimVariable)
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "victim:", err)
		return 1
	}
	key, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	if err != nil {
		return fail(err)
	}
	authority, err := os.ReadFile(filepath.Join(dir, "authority.pem"))
	if err != nil {
		return fail(err)
	}
	keys, err := webhooks.ReadKeys(key)
	if err != nil {
		return fail(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	signing, err := store.Open(ctx, os.Getenv("SIGNER"))
	if err != nil {
		return fail(err)
	}
	public, err := store.Open(ctx, os.Getenv("API"))
	if err != nil {
		return fail(err)
	}
	logger := slog.New(slog.DiscardHandler)
	deliverer := webhooks.New(webhooks.Config{
		Store: store.ForPublic(public), Keys: keys, Networks: webhooks.NewNetworks(true), Authorities: pool, Logger: logger, Now: time.Now,
	})
	go func() { _ = public.DeliverWebhooks(ctx, logger, deliverer.Deliver) }()
	n := 0
	if _, err := fmt.Sscan(os.Getenv("AFTER"), &n); err != nil {
		return fail(err)
	}
	for n++; ; n++ {
		// The one that was under way when the former victim died may have been done.
		if err := expire(ctx, signing, fmt.Sprintf("sede-%d", n)); err != nil && !alreadyEnded(err) {
			return fail(err)
		}
		fmt.Println(n)
	}
}

func alreadyEnded(err error) bool { return errors.Is(err, policies.Refuse(policies.RequestState)) }
