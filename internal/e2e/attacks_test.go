package e2e

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rubrica-firma/rubrica/internal/thread"
)

// evil is a site of somebody else on the same host, which is the worst case:
// to cookies it is the same site.
func evil(t *testing.T, page string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, "<!doctype html><title>x</title><link rel=icon href=data:,>", page)
	}))
	t.Cleanup(server.Close)
	return local(strings.TrimPrefix(server.URL, "http://"))
}

// confirm takes a tab to the last step and returns the code.
func (b *tab) confirm(c *thread.Citizen) string {
	b.Helper()
	b.apply(c, "")
	b.fill("identifier", c.Identifier)
	b.fill("password", c.Password)
	b.press(`form button[type=submit]`)
	since := time.Now()
	b.press(`form[action$="/codigo"] button`)
	b.at("/confirmar", "código")
	return code(b.T, c, since)
}

// TestForeignForm posts the right code, with the session's cookie and even its
// guard, from a page of another origin.
func TestForeignForm(t *testing.T) {
	t.Parallel()
	b, c := newTab(t), certified(t)
	digits := b.confirm(c)
	address := b.address()
	guard := get(b, chromedp.Value(chromedp.CSS(`form[action$="/confirmar"] input[name=guard]`)))
	b.open(evil(t, fmt.Sprintf(`<form method="post" action="%s"><input name="code" value="%s"><input name="guard" value="%s"><button>Premio</button></form>`,
		html.EscapeString(address.String()), digits, guard)))
	if status := b.press("button"); status != http.StatusBadRequest {
		t.Errorf("got status %d for a form of another origin, want %d", status, http.StatusBadRequest)
	}
	wantState(t, requestOf(address), "pending")
	b.open(address.String())
	b.fill("code", digits)
	b.press(`form[action$="/confirmar"] button`)
	b.at("/hecho", "firmado")
}

// requestOf is the id in the address of a signing page.
func requestOf(u *url.URL) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/firma/"), "/")
	return id
}

// TestFramed shows a signing page in a frame of another origin.
func TestFramed(t *testing.T) {
	t.Parallel()
	b, c := newTab(t), certified(t)
	b.confirm(c)
	address := b.address()
	b.open(evil(t, fmt.Sprintf(`<iframe src="%s"></iframe>`, html.EscapeString(address.String()))))
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if said := strings.Join(b.said(), "\n"); strings.Contains(said, "frame-ancestors") {
			return
		}
		if time.Now().After(limit) {
			t.Fatal("the browser did not refuse to frame the page")
		}
	}
}

// post sends a form as a program would: with the cookies and headers given, and
// without following anywhere.
func post(ctx context.Context, tb testing.TB, address string, fields url.Values, cookies ...*http.Cookie) *http.Response {
	tb.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(fields.Encode()))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept-Language", "es")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		tb.Fatalf("posting: %v", err)
	}
	tb.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// ticket identifies a citizen and returns what the browser would keep.
func ticket(t *testing.T, c *thread.Citizen, signingURL string) *http.Cookie {
	t.Helper()
	response := post(t.Context(), t, signingURL, url.Values{"identifier": {c.Identifier}, "password": {c.Password}})
	for _, cookie := range response.Cookies() {
		if cookie.Name == "rubrica_ticket" {
			return cookie
		}
	}
	t.Fatalf("got status %d and no ticket", response.StatusCode)
	return nil
}

// TestTicketOfAnother carries a ticket to where it does not belong: to another
// request of the same citizen, and to one of somebody else.
func TestTicketOfAnother(t *testing.T) {
	t.Parallel()
	ana, eva := certified(t), certified(t)
	mine, other, hers := ask(t, ana, note()), ask(t, ana, note()), ask(t, eva, note())
	stolen := ticket(t, ana, mine.SigningURL)
	if !stolen.HttpOnly || stolen.SameSite != http.SameSiteLaxMode || stolen.Path != "/firma/"+mine.ID {
		t.Errorf("got cookie %v, want it out of reach of scripts, of other sites and of other requests", stolen)
	}
	for name, target := range map[string]string{"another request": other.SigningURL, "somebody else's": hers.SigningURL} {
		for _, page := range []string{"/revisar", "/confirmar", "/rechazar", "/certificado", "/documento/1/original", "/documento/1/firmado", "/documento/1/pagina/1.png", "/hecho"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target+page, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.AddCookie(stolen)
			response, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			home := strings.TrimPrefix(target, shared.world.Service)
			if got := response.StatusCode; got != http.StatusForbidden && response.Header.Get("Location") != home {
				t.Errorf("got status %d for %s of %s, want %d or the way to the identification", got, page, name, http.StatusForbidden)
			}
		}
		for _, page := range []string{"/codigo", "/confirmar", "/rechazar", "/certificado"} {
			if got := post(t.Context(), t, target+page, url.Values{"code": {"12345678"}}, stolen).StatusCode; got != http.StatusForbidden {
				t.Errorf("got status %d for posting to %s of %s, want %d", got, page, name, http.StatusForbidden)
			}
		}
	}
	wantState(t, other.ID, "pending")
	wantState(t, hers.ID, "pending")
}

// TestGuard posts each form of the ceremony with the ticket and without the
// guard, and with the guard of another session.
func TestGuard(t *testing.T) {
	t.Parallel()
	c := certified(t)
	r := ask(t, c, note())
	b, digits := confirming(t, c, r)
	before := shared.query(t, `SELECT count(*) FROM challenges WHERE request_id = $1`, r.ID)
	for _, guard := range []string{"", "AAAA", strings.Repeat("A", 43)} {
		copied := *b
		submit(t, &copied, form{"code": digits, "guard": guard})
		says(t, &copied, http.StatusForbidden, "sesión")
	}
	wantState(t, r.ID, "pending")
	if after := shared.query(t, `SELECT count(*) FROM challenges WHERE request_id = $1`, r.ID); after != before {
		t.Errorf("got %d codes, want %d", after, before)
	}
	submit(t, b, form{"code": digits})
	at(t, b, "/hecho")
}
