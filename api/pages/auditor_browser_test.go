package pages_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/internal/chromium"
)

// window is a real browser before an auditor's door.
type window struct {
	*bureau

	ctx context.Context

	mu       sync.Mutex
	problems []string
}

func newWindow(b *bureau) *window {
	b.Helper()
	w := &window{bureau: b}
	ctx, cancel := chromedp.NewContext(context.Background(), chromedp.WithListener(w.listen), chromium.Options(chromedp.Flag("accept-lang", "es-ES,es")))
	b.Cleanup(cancel)
	w.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		b.Fatalf("starting the browser: %v", err)
	}
	// Passkeys are for names, not for addresses.
	b.url = strings.Replace(b.url, "127.0.0.1", "localhost", 1)
	if _, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{Name: auditorCookie, Value: b.cookie, URL: b.url}); err != nil {
		b.Fatalf("setting the cookie: %v", err)
	}
	return w
}

// listen gathers what the security policy stopped, and other complaints.
func (w *window) listen(event any) {
	if e, ok := event.(*log.EventEntryAdded); ok && e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.problems = append(w.problems, e.Entry.Text)
	}
}

func (w *window) quiet() {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, problem := range w.problems {
		w.Errorf("the console says: %s", problem)
	}
}

func ask[R any](w *window, action chromedp.Action[R]) R {
	w.Helper()
	result, err := chromedp.Run(w.ctx, action)
	if err != nil {
		w.Fatalf("in the browser: %v", err)
	}
	return result
}

// until waits for a script to be true. On the way from one page to another
// there is nothing that it could ask, which is not an answer.
func (w *window) until(wait time.Duration, condition string) {
	w.Helper()
	var last error
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var met bool
		if met, last = chromedp.Run(w.ctx, chromedp.Evaluate[bool](condition)); met && last == nil {
			return
		}
	}
	w.Fatalf("never came true: %s (%v); the page reads: %s", condition, last, ask(w, chromedp.Evaluate[string](`document.body.innerText`)))
}

// largeFile is mostly holes, with something at its beginning and at its end.
func largeFile(t *testing.T, size int64) (name, hash string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "acta.pdf")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read again below
	if _, err := file.WriteAt([]byte("%PDF-1.7 ñ"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("%%EOF"), size-5); err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, size)); err != nil {
		t.Fatal(err)
	}
	return name, hex.EncodeToString(sum.Sum(nil))
}

func TestBrowserHashesFilesWhereTheyAre(t *testing.T) {
	t.Parallel()
	const size = 256<<20 + 13
	w := newWindow(newBureau(t))
	name, hash := largeFile(t, size)
	ask(w, chromedp.Navigate(w.url+"/auditoria"))
	if got := ask(w, chromedp.Evaluate[string](`document.querySelector("#archivo-hint").innerText`)); !strings.Contains(got, "no sale de él") {
		t.Errorf("hint: got %q, want that the file stays", got)
	}
	if !ask(w, chromedp.Evaluate[bool](`document.querySelector("[data-upload]").hidden && !document.querySelector("#archivo").name`)) {
		t.Error("the file could still be sent")
	}
	began := time.Now()
	ask(w, chromedp.SetUploadFiles(chromedp.CSS("#archivo"), []string{name}))
	w.until(30*time.Second, `document.querySelector("progress").value > 0`)
	w.until(5*time.Minute, `document.querySelector("#huella").value != ""`)
	t.Logf("a quarter of a GB hashed in the browser in %s", time.Since(began).Round(time.Second))
	got := ask(w, chromedp.Evaluate[string](`document.querySelector("#huella").value`))
	if strings.ToLower(strings.ReplaceAll(got, " ", "")) != hash {
		t.Errorf("fingerprint: got %s, want %s", got, hash)
	}
	if status := ask(w, chromedp.Evaluate[string](`document.querySelector("[data-status]").innerText`)); !strings.Contains(status, "acta.pdf") {
		t.Errorf("status: got %q, want the file's name", status)
	}
	ask(w, chromedp.Evaluate[bool](`document.querySelector("#huella").value = document.querySelector("#archivo").value = ""; true`))
	ask(w, chromedp.SetUploadFiles(chromedp.CSS("#archivo"), []string{name}))
	w.until(30*time.Second, `!document.querySelector("[data-cancel]").hidden`)
	ask(w, chromedp.Click(chromedp.CSS("[data-cancel]")))
	w.until(5*time.Second, `document.querySelector("[data-status]").innerText == "Cálculo cancelado." && document.querySelector("progress").hidden`)
	ask(w, chromedp.Evaluate[bool](`document.querySelector("#huella").value = "`+hash+`"; document.querySelector("form[data-hash]").requestSubmit(); true`))
	w.until(10*time.Second, `document.querySelector("h1") && document.querySelector("h1").innerText == "No se ha encontrado nada"`)
	if got := w.ledger.last(t).Document; got != hash {
		t.Errorf("searched by: got %q, want %q", got, hash)
	}
	w.quiet()
}

func TestBrowserWithoutScriptSendsTheFile(t *testing.T) {
	t.Parallel()
	w := newWindow(newBureau(t))
	name, hash := largeFile(t, 1<<20)
	if _, err := chromedp.Call(w.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	ask(w, chromedp.Navigate(w.url+"/auditoria"))
	ask(w, chromedp.SendKeys(chromedp.CSS("#dni"), "12345678Z"))
	ask(w, chromedp.SetUploadFiles(chromedp.CSS("#archivo"), []string{name}))
	ask(w, chromedp.Click(chromedp.CSS("[data-upload]")))
	w.until(20*time.Second, `document.querySelector("#huella").value != ""`)
	got := ask(w, chromedp.Evaluate[string](`document.querySelector("#huella").value + "|" + document.querySelector("#dni").value`))
	if want := hash + "|12345678z"; strings.ToLower(strings.ReplaceAll(got, " ", "")) != want {
		t.Errorf("form: got %s, want %s", got, want)
	}
	w.quiet()
}

// passkeyDesk answers the script as the door does, and refuses on demand.
type passkeyDesk struct {
	mu      sync.Mutex
	refuse  bool
	bodies  map[string]string
	options map[string]string
}

func (p *passkeyDesk) serve(c echo.Context) error {
	body, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	step := strings.TrimPrefix(c.Request().URL.Path, "/auditoria/passkey/")
	p.bodies[step] = string(body)
	if p.refuse {
		return c.JSON(http.StatusForbidden, map[string]string{"detail": "No vale.", "remedy": "Pida otra."})
	}
	return c.JSONBlob(http.StatusOK, []byte(p.options[step]))
}

func (p *passkeyDesk) got(step string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bodies[step]
}

func TestBrowserUsesPasskeys(t *testing.T) {
	t.Parallel()
	desk := &passkeyDesk{bodies: make(map[string]string), options: map[string]string{
		"enrol/begin": `{"publicKey":{"challenge":"AAAA","rp":{"id":"localhost","name":"Rúbrica"},"user":{"id":"QUFB","name":"Carmen","displayName":"Carmen"},
			"pubKeyCredParams":[{"type":"public-key","alg":-7}],"authenticatorSelection":{"residentKey":"required","userVerification":"required"}}}`,
		"enrol/finish": `{"next":"/auditoria/entrar"}`,
		"login/begin":  `{"publicKey":{"challenge":"AAAA","rpId":"localhost","userVerification":"required"}}`,
		"login/finish": `{"next":"/auditoria/verificar"}`,
	}}
	b := newBureau(t)
	b.passkeys = desk.serve
	b.cookie = "nobody"
	w := newWindow(b)
	if _, err := chromedp.Call(w.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	yes := true
	if _, err := chromedp.Call(w.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: yes, HasUserVerification: yes, IsUserVerified: yes, AutomaticPresenceSimulation: yes,
	}}); err != nil {
		t.Fatal(err)
	}
	ask(w, chromedp.Navigate(w.url+"/auditoria/invitacion#SECRETO"))
	w.until(10*time.Second, `location.hash == "" && !document.querySelector("[data-passkey] button").hidden`)
	desk.refuse = true
	ask(w, chromedp.Click(chromedp.CSS("[data-passkey] button")))
	w.until(10*time.Second, `document.querySelector("[data-said]").innerText == "No vale. Pida otra."`)
	desk.mu.Lock()
	desk.refuse = false
	desk.mu.Unlock()
	ask(w, chromedp.Click(chromedp.CSS("[data-passkey] button")))
	w.until(20*time.Second, `location.pathname == "/auditoria/entrar" && document.readyState == "complete"`)
	if got := desk.got("enrol/begin"); got != `{"invitation":"SECRETO"}` {
		t.Errorf("invitation: got %s", got)
	}
	ask(w, chromedp.Click(chromedp.CSS("[data-passkey] button")))
	w.until(20*time.Second, `location.pathname == "/auditoria/verificar"`)
	for _, step := range []string{"enrol/finish", "login/finish"} {
		if got := desk.got(step); !strings.Contains(got, `"clientDataJSON"`) || !strings.Contains(got, `"type":"public-key"`) {
			t.Errorf("%s: got %s, want a credential", step, fmt.Sprintf("%.80s", got))
		}
	}
	w.quiet()
}
