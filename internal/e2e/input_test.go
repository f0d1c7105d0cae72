package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

func wrongLetter(identifier string) string {
	const letters = "TRWAGMYFPDXBNJZSQVHLCKE"
	last := len(identifier) - 1
	return identifier[:last] + string(letters[(strings.IndexByte(letters, identifier[last])+1)%len(letters)])
}

// TestBadRegistrations is what an office may get wrong. Nothing stays of it: the
// same person registers right afterwards.
func TestBadRegistrations(t *testing.T) {
	t.Parallel()
	taken := registered(t)
	for name, test := range map[string]struct {
		spoil func(*client.NewCitizen)
		code  string
		says  string
	}{
		"wrong check letter":       {func(c *client.NewCitizen) { c.Identifier = wrongLetter(c.Identifier) }, "identifier_invalid", "no se corresponden"},
		"no DNI":                   {func(c *client.NewCitizen) { c.Identifier = "1234" }, "identifier_invalid", "no está completo"},
		"expired DNI":              {func(c *client.NewCitizen) { c.DocumentUntil = yesterday() }, "identity_document_expiry", "terminó el"},
		"validity unreadable":      {func(c *client.NewCitizen) { c.DocumentUntil = "31/12/2030" }, "identity_document_expiry", "validez"},
		"mobile already taken":     {func(c *client.NewCitizen) { c.Phone = taken.Phone }, "phone_taken", "un solo DNI"},
		"the same, as people type": {func(c *client.NewCitizen) { c.Phone = taken.Phone[3:6] + " " + taken.Phone[6:] }, "phone_taken", "un solo DNI"},
		"a land line":              {func(c *client.NewCitizen) { c.Phone = "912345678" }, "phone_invalid", "móvil"},
		"registered already":       {func(c *client.NewCitizen) { c.Identifier = taken.Identifier }, "citizen_exists", "Ya hay un registro"},
		"no e-mail":                {func(c *client.NewCitizen) { c.Email = "ana" }, "email_invalid", "no está completa"},
		"no name":                  {func(c *client.NewCitizen) { c.GivenName = " " }, "name_invalid", "nombre"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := stranger(t)
			form := client.NewCitizen{
				Identifier: c.Identifier, GivenName: c.GivenName, Surnames: c.Surnames, Phone: c.Phone, Email: c.Email,
				DocumentUntil: time.Now().AddDate(1, 0, 0).Format(time.DateOnly),
			}
			test.spoil(&form)
			_, err := shared.world.Office.Perform(t.Context(), client.OfficeAct{Act: client.ActRegister, Officer: "Rosa Gil", Citizen: &form})
			wantProblem(t, err, test.code, test.says)
			if err := c.Register(t.Context()); err != nil {
				t.Errorf("registering rightly: %v", err)
			}
		})
	}
}

func yesterday() string { return time.Now().AddDate(0, 0, -2).Format(time.DateOnly) }

// TestBadActivations types what does not belong together. DNI, e-mail and code
// are not told apart; after five tries the code is blocked, also the right one.
func TestBadActivations(t *testing.T) {
	t.Parallel()
	c := registered(t)
	try := func(identifier, email, activation string) *thread.Browser {
		t.Helper()
		b := plainBrowser(t)
		open(t, b, shared.world.Service+"/activar")
		submit(t, b, form{"identifier": identifier, "email": email, "activation_code": activation})
		return b
	}
	nobody := stranger(t)
	wrong := registered(t).Activation // of somebody else
	for _, b := range []*thread.Browser{
		try(nobody.Identifier, c.Email, c.Activation),
		try(c.Identifier, "otra@example.es", c.Activation),
		try(c.Identifier, c.Email, wrong),
	} {
		says(t, b, http.StatusUnprocessableEntity, "no se corresponden entre sí")
	}
	says(t, try(wrongLetter(c.Identifier), c.Email, c.Activation), http.StatusUnprocessableEntity, "El número y la letra no se corresponden")
	for range 3 {
		try(c.Identifier, c.Email, wrong)
	}
	says(t, try(c.Identifier, c.Email, c.Activation), http.StatusUnprocessableEntity, "está bloqueado")

	// The office gives another.
	if err := c.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Activate(t.Context()); err != nil {
		t.Error(err)
	}
	says(t, try(c.Identifier, c.Email, c.Activation), http.StatusUnprocessableEntity, "no se corresponden entre sí") // used
}

// TestBadPasswords counts wrong passwords where the citizen has been before:
// the fifth locks, and the sixth try fails with the right one too, from
// everywhere.
func TestBadPasswords(t *testing.T) {
	t.Parallel()
	c := active(t)
	b := plainBrowser(t)
	open(t, b, ask(t, c, note()).SigningURL)
	for _, want := range []string{"Le quedan 4 intentos", "Le quedan 3 intentos", "Le quedan 2 intentos", "Le queda 1 intento"} {
		submit(t, b, form{"identifier": c.Identifier, "password": "Equivocada-7x"})
		says(t, b, http.StatusUnprocessableEntity, want)
	}
	for _, password := range []string{"Equivocada-7x", c.Password} {
		submit(t, b, form{"identifier": c.Identifier, "password": password})
		says(t, b, http.StatusTooManyRequests, "Espere antes de volver a intentarlo")
	}
	// It is locked, for every network; only the right password learns that.
	strange := elsewhere(t)
	open(t, strange, b.URL().String())
	submit(t, strange, form{"identifier": c.Identifier, "password": "Equivocada-7x"})
	says(t, strange, http.StatusUnprocessableEntity, "Le quedan 4 intentos")
	submit(t, strange, form{"identifier": c.Identifier, "password": c.Password})
	says(t, strange, http.StatusUnprocessableEntity, "está bloqueada")
}

// TestNotTheSigner identifies somebody else at a request.
func TestNotTheSigner(t *testing.T) {
	t.Parallel()
	ana, eva := active(t), active(t)
	r := ask(t, ana, note())
	b := plainBrowser(t)
	open(t, b, r.SigningURL)
	submit(t, b, form{"identifier": eva.Identifier, "password": eva.Password})
	says(t, b, http.StatusUnprocessableEntity, "otra persona")
	sign(t, ana, r)
}

// TestBadCodes tries wrong codes, one too many, and one that was used.
func TestBadCodes(t *testing.T) {
	t.Parallel()
	c := certified(t)
	r := ask(t, c, note())
	b, right := confirming(t, c, r)
	for _, test := range []struct{ typed, says string }{
		{"123", "ocho cifras"}, // costs no try
		{"abcdefgh", "ocho cifras"},
		{other(right), "Le quedan 2 intentos"},
		{other(right), "Le queda 1 intento"},
		{other(right), "Se han agotado los intentos"},
		{right, "Se han agotado los intentos"},
	} {
		submit(t, b, form{"code": test.typed})
		says(t, b, http.StatusUnprocessableEntity, test.says)
	}
	wantState(t, r.ID, "pending")

	// A new code makes the one before it worthless.
	since := time.Now()
	press(t, b, "/codigo")
	second := code(t, c, since)
	since = time.Now()
	press(t, b, "/codigo")
	third := code(t, c, since)
	submit(t, b, form{"code": second})
	says(t, b, http.StatusUnprocessableEntity, "no coincide")
	submit(t, b, form{"code": strings.ReplaceAll(third, " ", "-")})
	at(t, b, "/hecho")

	// Used for another request, with a session of its own.
	next, _ := confirming(t, c, ask(t, c, note()))
	submit(t, next, form{"code": third})
	says(t, next, http.StatusUnprocessableEntity, "no coincide")
}

// TestCertificateCodeTwice posts the code that makes the certificate twice: one
// key, one certificate.
func TestCertificateCodeTwice(t *testing.T) {
	t.Parallel()
	c := active(t)
	b := identified(t, c, ask(t, c, note()))
	at(t, b, "/certificado")
	since := time.Now()
	press(t, b, "/certificado")
	digits := code(t, c, since)
	twin := *b
	first := make(chan error, 1)
	go func() { first <- twin.Submit(t.Context(), form{"code": digits}) }()
	submit(t, b, form{"code": digits})
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if got := shared.query(t, `
		SELECT count(*) FROM certificates z JOIN credentials k ON k.id = z.credential_id JOIN citizens p ON p.id = k.citizen_id
		WHERE p.identifier = $1`, c.Identifier); got != 1 {
		t.Errorf("got %d certificates for one code posted twice, want 1", got)
	}
	sign(t, c, ask(t, c, note()))
}

// TestUnknownCitizen compares the answers to a wrong password and to a citizen
// who does not exist, from where neither has been: nothing in them tells which
// it was.
func TestUnknownCitizen(t *testing.T) {
	t.Parallel()
	answer := func(guesser *http.Client, address, identifier string) string {
		response, err := guesser.PostForm(address, url.Values{"identifier": {identifier}, "password": {"Equivocada-7x"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, own := range []string{"Date", "X-Request-Id"} {
			response.Header.Del(own)
		}
		var lines []string
		for name, values := range response.Header {
			lines = append(lines, fmt.Sprint(name, values))
		}
		slices.Sort(lines)
		return fmt.Sprint(response.StatusCode, lines) + string(bytes.ReplaceAll(body, []byte(identifier), []byte("…")))
	}
	// From the citizen's own network as from another, until both have to wait.
	for _, guesser := range []*http.Client{http.DefaultClient, {Transport: thread.Network(strange())}} {
		c, nobody := active(t), stranger(t)
		r := ask(t, c, note())
		for try := range 5 {
			known, unknown := answer(guesser, r.SigningURL, c.Identifier), answer(guesser, r.SigningURL, nobody.Identifier)
			if known != unknown {
				t.Fatalf("try %d: got for one who does not exist\n%s\nand for a wrong password\n%s", try+1, unknown, known)
			}
		}
	}
}

// TestUnknownAddresses asks for what is not there, as a person and as a program.
func TestUnknownAddresses(t *testing.T) {
	t.Parallel()
	b := plainBrowser(t)
	for _, path := range []string{"/firma/NADA", "/firma/NADA/revisar", "/firma/NADA/hecho", "/firma/%00%ff"} {
		open(t, b, shared.world.Service+path)
		says(t, b, http.StatusNotFound, "Vuelva a la página que le pidió la firma")
	}
	open(t, b, shared.world.Service+"/no/existe")
	if b.Status() != http.StatusNotFound {
		t.Errorf("got status %d, want 404", b.Status())
	}
	for _, id := range []string{"NADA", "\x00", strings.Repeat("A", 300)} {
		answer, err := shared.world.Sede.GetSignatureRequestWithResponse(t.Context(), id, nil)
		wantProblem(t, client.Check(answer, err), "request_unknown", "petición")
	}
	r := ask(t, active(t), note())
	answer, err := shared.world.Sede.GetSignedDocumentWithResponse(t.Context(), r.ID, 1)
	wantProblem(t, client.Check(answer, err), "request_state", "pendiente")
}

// TestOversizedForms sends more than any form holds.
func TestOversizedForms(t *testing.T) {
	t.Parallel()
	r := ask(t, active(t), note())
	for _, address := range []string{r.SigningURL, r.SigningURL + "/confirmar", shared.world.Service + "/activar"} {
		response := post(t.Context(), t, address, url.Values{"identifier": {strings.Repeat("1", 65<<10)}, "password": {rand.Text()}})
		if got := response.StatusCode; got != http.StatusRequestEntityTooLarge {
			t.Errorf("got status %d for a form of 65 KB at %s, want 413", got, address)
		}
	}
	b := plainBrowser(t)
	open(t, b, r.SigningURL)
	submit(t, b, form{"identifier": strings.Repeat("9", 5000), "password": strings.Repeat("x", 5000)})
	says(t, b, http.StatusUnprocessableEntity, "DNI")
}
