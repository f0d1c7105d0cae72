package smpp_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/internal/smsctest"
	"github.com/rubrica-firma/rubrica/notify/smpp"
)

const maria = "+34600000421"

// account is one at a centre, impatient as tests are.
func account(address string) smpp.Config {
	return smpp.Config{
		Address: address, SystemID: smsctest.SystemID, Password: []byte(smsctest.Password), Source: "Rubrica",
		Patience: 2 * time.Second, Enquire: time.Hour, Pause: 20 * time.Millisecond, MaxPause: 200 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// run makes a client that runs until the test ends.
func run(t *testing.T, config smpp.Config) *smpp.Client {
	t.Helper()
	client := smpp.New(config)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { client.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return client
}

// bound is a centre and a client that is bound to it.
func bound(t *testing.T, change func(*smpp.Config)) (*smsctest.Centre, *smpp.Client) {
	t.Helper()
	centre := smsctest.Start(t, smsctest.Files{})
	config := account(centre.Address)
	if change != nil {
		change(&config)
	}
	client := run(t, config)
	centre.Await(t, "bound")
	return centre, client
}

// submit hands a text over as soon as there is a connection.
func submit(t *testing.T, client *smpp.Client, text string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		id, err := client.Submit(t.Context(), maria, text)
		if err == nil {
			return id
		}
		if !errors.Is(err, smpp.ErrNotBound) || time.Now().After(deadline) {
			t.Fatalf("Submit: %v", err)
		}
	}
}

// What a foreign message centre reads is what was sent, in both alphabets and
// in parts.
func TestSubmit(t *testing.T) {
	t.Parallel()
	centre, client := bound(t, nil)
	for _, test := range []struct {
		name, text string
		coding     int
		parts      []string
		headers    []string
	}{
		{"a code", "Rubrica: Codigo 1234 5678. No lo comparta.\n@firma.example.es #12345678", 0, nil, nil},
		{"all of the alphabet", "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./09:;<=>?¡AZÄÖÑÜ§¿azäöñüà^{}\\[~]|€", 0, nil, nil},
		{"beyond the alphabet", "Código «1» 😀", 8, nil, nil},
		{
			"in parts", strings.Repeat("a", 152) + "€uropa, Europa", 0,
			[]string{strings.Repeat("a", 152), "€uropa, Europa"},
			[]string{"0201", "0202"},
		},
		{
			"in parts beyond the alphabet", strings.Repeat("á", 66) + "😀 adiós", 8,
			[]string{strings.Repeat("á", 66), "😀 adiós"},
			[]string{"0201", "0202"},
		},
	} {
		if test.parts == nil {
			test.parts, test.headers = []string{test.text}, []string{""}
		}
		last := submit(t, client, test.text)
		for i, part := range test.parts {
			got := centre.Await(t, "submit")
			receipt := 0
			if i == len(test.parts)-1 {
				receipt = 1
				if got.ID != last {
					t.Errorf("%s: got id %s, want the last part's, %s", test.name, last, got.ID)
				}
			}
			want := smsctest.Event{
				Event: "submit", From: "Rubrica", To: strings.TrimPrefix(maria, "+"), Text: part, Coding: test.coding, Receipt: receipt, Types: [4]int{5, 0, 1, 1},
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(smsctest.Event{}, "ID", "Header")); diff != "" {
				t.Errorf("%s: part %d differs (-want +got):\n%s", test.name, i+1, diff)
			}
			// 00 03 ref total number: TS 23.040, section 9.2.3.24.1.
			if !strings.HasSuffix(got.Header, test.headers[i]) || (test.headers[i] == "") != (got.Header == "") {
				t.Errorf("%s: got header %s, want one that ends in %s", test.name, got.Header, test.headers[i])
			}
		}
	}
	if _, err := client.Submit(t.Context(), maria, strings.Repeat("a", 1000)); !errors.Is(err, smpp.ErrTooLong) {
		t.Errorf("a long text: got %v, want ErrTooLong", err)
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	told := make(chan smpp.Receipt, 2)
	centre, client := bound(t, func(c *smpp.Config) {
		c.Receipt = func(_ context.Context, r smpp.Receipt) { told <- r }
	})
	first, second := submit(t, client, "one"), submit(t, client, "two")
	centre.Deliver(t, first, "DELIVRD", 0)
	if got, want := <-told, (smpp.Receipt{ID: first, Delivered: true}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	centre.Deliver(t, second, "ACCEPTD", 0) // tells of no end
	centre.Deliver(t, second, "", 5)
	if got, want := <-told, (smpp.Receipt{ID: second}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	for range 3 {
		if got := centre.Await(t, "receipt"); got.Number != 0 {
			t.Errorf("answer to a receipt: got status %d, want 0", got.Number)
		}
	}
}

// A throttled message goes out a little later; one that is throttled for longer
// than its sender waits is an error, and so is any other refusal.
func TestThrottled(t *testing.T) {
	t.Parallel()
	centre, client := bound(t, nil)
	submit(t, client, "before")
	centre.Order(t, "throttle", 3)
	centre.Await(t, "done")
	submit(t, client, "after")
	for range 3 {
		centre.Await(t, "throttled")
	}
	if got := centre.Await(t, "submit"); got.Text != "after" {
		t.Errorf("got %q, want the throttled message", got.Text)
	}

	centre.Order(t, "throttle", 1000)
	centre.Await(t, "done")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := client.Submit(ctx, maria, "never"); err == nil {
		t.Error("Submit while throttled: got nil, want an error")
	}
	centre.Order(t, "throttle", 0)
	centre.Order(t, "status", 0x0B) // ESME_RINVDSTADR
	centre.Await(t, "done")
	centre.Await(t, "done")
	_, err := client.Submit(t.Context(), maria, "refused")
	if refused, ok := errors.AsType[*smpp.StatusError](err); !ok || refused.Status != 0x0B {
		t.Errorf("Submit: got %v, want the status 0x0B", err)
	}
}

// A client binds again after whatever ends a connection.
func TestReconnects(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"drop", "unbind"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			centre, client := bound(t, nil)
			submit(t, client, "before")
			centre.Order(t, end, 0)
			centre.Await(t, "bound")
			submit(t, client, "after")
			centre.Await(t, "submit")
		})
	}
	t.Run("a centre that comes back", func(t *testing.T) {
		t.Parallel()
		centre, client := bound(t, nil)
		centre.Stop()
		for {
			if _, err := client.Submit(t.Context(), maria, "x"); errors.Is(err, smpp.ErrNotBound) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		again := smsctest.Start(t, smsctest.Files{Port: centre.Port})
		again.Await(t, "bound")
		submit(t, client, "after")
	})
}

// The link is tried both ways; a peer that keeps silent is left.
func TestEnquires(t *testing.T) {
	t.Parallel()
	centre, client := bound(t, func(c *smpp.Config) { c.Enquire, c.Patience = 100*time.Millisecond, 500*time.Millisecond })
	centre.Await(t, "enquire")
	centre.Order(t, "enquire", 0)
	centre.Await(t, "alive")
	centre.Order(t, "garbage", 0) // an unknown command is refused, and the link lives on
	submit(t, client, "still here")
	centre.Order(t, "silence", 0)
	centre.Await(t, "bound")
}

// An unanswered message is an error in time.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	centre, client := bound(t, func(c *smpp.Config) { c.Patience = 300 * time.Millisecond })
	submit(t, client, "before")
	centre.Order(t, "silence", 0)
	centre.Await(t, "done")
	awake := cputest.Awake(t)
	if _, err := client.Submit(t.Context(), maria, "x"); err == nil {
		t.Error("Submit: got nil, want an error")
	}
	if took := awake(); took > 5*time.Second {
		t.Errorf("Submit took %v, want about 300 ms", took)
	}
}

// No more than the window wait for an answer at once.
func TestWindow(t *testing.T) {
	t.Parallel()
	centre, client := bound(t, func(c *smpp.Config) { c.Window, c.Patience = 2, 2*time.Second })
	submit(t, client, "before")
	centre.Order(t, "silence", 0)
	centre.Await(t, "done")
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	failed := make(chan error, 5)
	for range cap(failed) {
		go func() {
			_, err := client.Submit(ctx, maria, "x")
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err == nil {
			t.Error("Submit: got nil, want an error")
		}
	}
	centre.Order(t, "enquire", 0)
	ignored := 0
	for e := centre.Next(t); e.Event != "alive"; e = centre.Next(t) {
		if e.Event == "ignored" {
			ignored++
		}
	}
	if ignored != 2 {
		t.Errorf("got %d messages at the centre, want the window's 2", ignored)
	}
}

func TestRefusedAccount(t *testing.T) {
	t.Parallel()
	centre := smsctest.Start(t, smsctest.Files{})
	config := account(centre.Address)
	config.Password = []byte("other")
	client := run(t, config)
	centre.Await(t, "refused")
	centre.Await(t, "refused") // it tries again
	if _, err := client.Submit(t.Context(), maria, "x"); !errors.Is(err, smpp.ErrNotBound) {
		t.Errorf("Submit: got %v, want ErrNotBound", err)
	}
}

// An end is told to the operator.
func TestUnbinds(t *testing.T) {
	t.Parallel()
	centre := smsctest.Start(t, smsctest.Files{})
	client := smpp.New(account(centre.Address))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { client.Run(ctx) })
	submit(t, client, "x")
	stop()
	running.Wait()
	centre.Await(t, "unbind")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	files, pool := certificate(t)
	centre := smsctest.Start(t, files)
	config := account(centre.Address)
	config.TLS = &tls.Config{RootCAs: pool, ServerName: "smsc.example.es", MinVersion: tls.VersionTLS12}
	client := run(t, config)
	submit(t, client, "over TLS")
	if got := centre.Await(t, "submit"); got.Text != "over TLS" {
		t.Errorf("got %q, want the message", got.Text)
	}

	config.TLS = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "smsc.example.es", MinVersion: tls.VersionTLS12}
	stranger := run(t, config)
	if _, err := stranger.Submit(t.Context(), maria, "x"); !errors.Is(err, smpp.ErrNotBound) {
		t.Errorf("Submit to an unknown authority's centre: got %v, want ErrNotBound", err)
	}
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
