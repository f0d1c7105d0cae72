package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// stranger is a person whom no office knows yet.
func stranger(t *testing.T) *thread.Citizen {
	t.Helper()
	c, err := shared.world.NewCitizen()
	if err != nil {
		t.Fatal(err)
	}
	shared.remember(c.Password)
	return c
}

// registered is a person with an activation code.
func registered(t *testing.T) *thread.Citizen {
	t.Helper()
	c := stranger(t)
	if err := c.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	shared.remember(c.Activation)
	shared.remember(strings.ReplaceAll(c.Activation, "-", ""))
	return c
}

// active is a person with a password.
func active(t *testing.T) *thread.Citizen {
	t.Helper()
	c := registered(t)
	if err := c.Activate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// certified is a person with a certificate.
func certified(t *testing.T) *thread.Citizen {
	t.Helper()
	c := active(t)
	sign(t, c, ask(t, c, note()))
	return c
}

func note() client.NewDocument {
	return client.NewDocument{Name: "nota.txt", MediaType: "text/plain", Format: "cades-detached", Content: new([]byte("Nota.\n"))}
}

// sample is a real PDF of testdata.
func sample(t *testing.T, name string) client.NewDocument {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "testdata", "pdf", name))
	if err != nil {
		t.Fatal(err)
	}
	return client.NewDocument{Name: name, MediaType: "application/pdf", Format: "pades", Content: &content}
}

func ask(t *testing.T, c *thread.Citizen, documents ...client.NewDocument) *client.SignatureRequest {
	t.Helper()
	r, err := shared.world.Ask(t.Context(), c, "Solicitud de ayuda", documents...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sign(t *testing.T, c *thread.Citizen, r *client.SignatureRequest) {
	t.Helper()
	if err := c.Sign(t.Context(), r.SigningURL, thread.Walk{}); err != nil {
		t.Fatal(err)
	}
}

func state(t *testing.T, id string) string {
	t.Helper()
	answer, err := shared.world.Sede.GetSignatureRequestWithResponse(t.Context(), id, nil)
	if err := client.Check(answer, err); err != nil {
		t.Fatalf("reading a request: %v", err)
	}
	return string(answer.JSON200.State)
}

func wantState(t *testing.T, id, want string) {
	t.Helper()
	if got := state(t, id); got != want {
		t.Errorf("got request %s in state %s, want %s", id, got, want)
	}
}

// plainBrowser is one without JavaScript.
func plainBrowser(t *testing.T) *thread.Browser {
	t.Helper()
	b, err := thread.NewBrowser()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// form is what a person types.
type form map[string]string

func open(t *testing.T, b *thread.Browser, address string) {
	t.Helper()
	if err := b.Open(t.Context(), address); err != nil {
		t.Fatal(err)
	}
}

func submit(t *testing.T, b *thread.Browser, fields form) {
	t.Helper()
	if err := b.Submit(t.Context(), fields); err != nil {
		t.Fatal(err)
	}
}

func press(t *testing.T, b *thread.Browser, action string) {
	t.Helper()
	if err := b.Press(t.Context(), action); err != nil {
		t.Fatal(err)
	}
}

// code is the one-time code that came after a moment.
func code(t *testing.T, c *thread.Citizen, since time.Time) string {
	t.Helper()
	text, err := c.Code(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// identified is a browser behind the first factor.
func identified(t *testing.T, c *thread.Citizen, r *client.SignatureRequest) *thread.Browser {
	t.Helper()
	b := plainBrowser(t)
	open(t, b, r.SigningURL)
	submit(t, b, form{"identifier": c.Identifier, "password": c.Password})
	return b
}

// confirming is a browser at the last step, and the code that it waits for.
func confirming(t *testing.T, c *thread.Citizen, r *client.SignatureRequest) (*thread.Browser, string) {
	t.Helper()
	b := identified(t, c, r)
	at(t, b, "/revisar")
	since := time.Now()
	press(t, b, "/codigo")
	at(t, b, "/confirmar")
	return b, code(t, c, since)
}

func at(t *testing.T, b *thread.Browser, suffix string) {
	t.Helper()
	if !strings.HasSuffix(b.URL().Path, suffix) {
		t.Fatalf("got page %s (%d), want …%s: %s", b.URL().Path, b.Status(), suffix, b.Text())
	}
}

// says checks how a page was answered and what it tells.
func says(t *testing.T, b *thread.Browser, status int, sentence string) {
	t.Helper()
	if b.Status() != status || !strings.Contains(b.Text(), sentence) {
		t.Errorf("got %d at %s, want %d and %q: %s", b.Status(), b.URL().Path, status, sentence, b.Text())
	}
}
