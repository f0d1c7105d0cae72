package registers_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/citizen/registers"
	"github.com/rubrica-firma/rubrica/internal/dev/holders"
)

const token = "the register's token"

func question(t *testing.T, dni, iban, until string) citizen.HolderQuestion {
	t.Helper()
	id, err := citizen.ParseIdentifier(dni)
	if err != nil {
		t.Fatal(err)
	}
	account, err := citizen.ParseIBAN(iban)
	if err != nil {
		t.Fatal(err)
	}
	day, err := citizen.ParseDocumentDate(until)
	if err != nil {
		t.Fatal(err)
	}
	return citizen.HolderQuestion{Identifier: id, IBAN: account, DocumentUntil: day}
}

func client(t *testing.T, handler http.Handler) *registers.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &registers.Client{URL: server.URL + "/", Token: []byte(token), Timeout: 5 * time.Second, HTTP: http.DefaultClient}
}

// TestHolder asks the register of the development environment.
func TestHolder(t *testing.T) {
	t.Parallel()
	known := holders.Holders()[0]
	c := client(t, holders.Handler([]byte(token), holders.Holders()))
	got, err := c.Holder(t.Context(), question(t, known.Identifier, known.IBAN, known.DocumentUntil))
	want := &citizen.Recipient{GivenName: known.GivenName, Surnames: known.Surnames, DocumentUntil: known.DocumentUntil, Address: known.Address}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for name, q := range map[string]citizen.HolderQuestion{
		"another person":  question(t, "87654321X", known.IBAN, known.DocumentUntil),
		"another account": question(t, known.Identifier, "ES7921000813610123456789", known.DocumentUntil),
		"another date":    question(t, known.Identifier, known.IBAN, "01/01/9999"),
	} {
		if got, err := c.Holder(t.Context(), q); got != nil || err != nil {
			t.Errorf("%s: got %v %v, want nobody", name, got, err)
		}
	}
	c.Token = []byte("another")
	if _, err := c.Holder(t.Context(), question(t, known.Identifier, known.IBAN, known.DocumentUntil)); !errors.Is(err, registers.ErrAnswer) {
		t.Errorf("another token: got %v, want ErrAnswer", err)
	}
}

// What a register should not answer is no answer, and takes nobody's account
// elsewhere.
func TestHolderRefuses(t *testing.T) {
	t.Parallel()
	write := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	for name, handler := range map[string]http.Handler{
		"404":              http.NotFoundHandler(),
		"500":              http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }),
		"a redirect":       http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect),
		"no JSON":          write("<html>"),
		"too much":         write(`{"match": false, "given_name": "` + strings.Repeat("a", 20<<10) + `"}`),
		"no name":          write(`{"match": true, "address": {"lines": ["Calle Mayor 1"], "postal_code": "33201", "town": "Gijón"}}`),
		"a name in RTL":    write(`{"match": true, "given_name": "Ana\u202e", "surnames": "Núñez", "address": {"lines": ["Calle Mayor 1"], "postal_code": "33201", "town": "Gijón"}}`),
		"no street":        write(`{"match": true, "given_name": "Ana", "surnames": "Núñez", "address": {"lines": [], "postal_code": "33201", "town": "Gijón"}}`),
		"lines in a line":  write(`{"match": true, "given_name": "Ana", "surnames": "Núñez", "address": {"lines": ["Calle\nMayor"], "postal_code": "33201", "town": "Gijón"}}`),
		"a turned town":    write(`{"match": true, "given_name": "Ana", "surnames": "Núñez", "address": {"lines": ["Calle Mayor 1"], "postal_code": "33201", "town": "Gi\u202ejón"}}`),
		"a long street":    write(`{"match": true, "given_name": "Ana", "surnames": "Núñez", "address": {"lines": ["` + strings.Repeat("a", 300) + `"], "postal_code": "33201", "town": "Gijón"}}`),
		"a hidden filler":  write(`{"match": true, "given_name": "Ana", "surnames": "Núñez", "address": {"lines": ["Calle Mayor 1"], "postal_code": "33201", "town": "Gijón", "province": "\u3164"}}`),
		"a foreign code":   write(`{"match": true, "given_name": "Ana", "surnames": "Núñez", "address": {"lines": ["Rua 1"], "postal_code": "4000-123", "town": "Porto"}}`),
		"the line is gone": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
	} {
		got, err := client(t, handler).Holder(t.Context(), question(t, "12345678Z", "ES9121000418450200051332", "31/12/2030"))
		if got != nil || !errors.Is(err, registers.ErrAnswer) {
			t.Errorf("%s: got %v %v, want ErrAnswer", name, got, err)
		}
	}
}

func TestHolderSilent(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := client(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer close(release) // the server waits for its handlers
	c.Timeout = 100 * time.Millisecond
	if _, err := c.Holder(t.Context(), question(t, "12345678Z", "ES9121000418450200051332", "31/12/2030")); !errors.Is(err, registers.ErrAnswer) {
		t.Errorf("got %v, want ErrAnswer after the deadline", err)
	}
}
