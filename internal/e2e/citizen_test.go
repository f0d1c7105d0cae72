package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/rubrica-firma/rubrica/internal/thread"
)

// activate takes a tab from the start page to a password.
func (b *tab) activate(c *thread.Citizen) {
	b.Helper()
	b.open(shared.world.Service + "/")
	b.at("/", "")
	b.press(`main a[href="/activar"]`)
	b.prove(c)
}

// prove goes from the receipt of the office to a password.
func (b *tab) prove(c *thread.Citizen) {
	b.Helper()
	b.at("/activar", "Active su cuenta")
	b.fill("identifier", c.Identifier)
	b.fill("email", c.Email)
	b.fill("activation_code", strings.ToLower(c.Activation)) // as people type it
	since := time.Now()
	b.press(`main form button[type=submit]`)
	b.at("/activar/codigo", "móvil")
	b.fill("code", code(b.T, c, since))
	b.press(`main form button[type=submit]`)
	b.at("/activar/contrasena", "contraseña")
	b.fill("password_new", c.Password)
	b.fill("password_again", c.Password)
	b.press(`main form button[type=submit]`)
	b.at("/activar/hecho", "")
}

// apply asks for a signature at the sede, with a document of one's own or, if
// it has no name, the sede's.
func (b *tab) apply(c *thread.Citizen, document string) {
	b.Helper()
	b.open(shared.sede)
	b.fill("identifier", c.Identifier)
	if document != "" {
		b.do(chromedp.SetUploadFiles(chromedp.CSS(`input[name=document]`), []string{document}))
	}
	b.press(`form button`)
}

// sign goes from the identification to the page that says that it is done.
func (b *tab) sign(c *thread.Citizen) {
	b.Helper()
	path := b.address().Path
	b.at(path, "Identifíquese")
	b.fill("identifier", strings.ToLower(c.Identifier))
	b.fill("password", c.Password)
	b.press(`form button[type=submit]`)
	if strings.HasSuffix(b.address().Path, "/certificado") {
		b.at(path+"/certificado", "certificado")
		since := time.Now()
		b.press(`form[action$="/certificado"] button`)
		b.at(path+"/certificado/codigo", "código")
		b.fill("code", code(b.T, c, since))
		b.press(`form[action$="/certificado/codigo"] button`)
	}
	b.at(path+"/revisar", "firmar")
	b.painted()
	b.shot("signing-page", look{width: desk})
	b.shot("signing-page-dark", look{width: desk, dark: true})
	since := time.Now()
	b.press(`form[action$="/codigo"] button`)
	b.at(path+"/confirmar", "")
	digits := code(b.T, c, since)
	b.compare(c)
	b.shot("sms-step", look{width: telephone, whole: true})
	b.fill("code", digits)
	b.press(`form[action$="/confirmar"] button`)
	b.at(path+"/hecho", "firmado")
}

// painted waits for the page of the document, which is a picture.
func (b *tab) painted() {
	b.Helper()
	type size struct{ Width, Height, Shown float64 }
	get(b, chromedp.Poll[bool](`document.querySelector(".sheet img").complete`))
	picture := eval[size](b, `(() => {
		const i = document.querySelector(".sheet img");
		return {Width: i.naturalWidth, Height: i.naturalHeight, Shown: i.height / i.width};
	})()`)
	if picture.Width < 500 || picture.Height < 500 {
		b.Errorf("got a picture of %v × %v pixels, want a page one can read", picture.Width, picture.Height)
	}
	if got, want := picture.Shown, picture.Height/picture.Width; got < want*0.99 || got > want*1.01 {
		b.Errorf("got a picture shown at the ratio %v, want that of the page, %v", got, want)
	}
}

// compare does what the page asks: the reference stands in the SMS too.
func (b *tab) compare(c *thread.Citizen) {
	b.Helper()
	reference := b.text(".reference-value")
	if !regexp.MustCompile(`^[A-Z0-9]{4}$`).MatchString(reference) {
		b.Errorf("got reference %q, want four characters", reference)
	}
	sms := messages(b.T, c)[0].Text
	if !strings.Contains(sms, "Ref. "+reference) {
		b.Errorf("got SMS %q, want the reference %s in it", sms, reference)
	}
	if !strings.Contains(sms, "@localhost #") {
		b.Errorf("got SMS %q, want it bound to the site", sms)
	}
}

// download presses a link and returns what the browser saved.
func (b *tab) download(selector string) string {
	b.Helper()
	dir := b.TempDir()
	_, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, DownloadPath: dir, EventsEnabled: new(true),
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	if err != nil {
		b.Fatalf("letting downloads through: %v", err)
	}
	done := make(chan string, 1)
	err = chromedp.ListenBrowser(b.ctx, func(event any) {
		e, ok := event.(*browser.EventDownloadProgress)
		if !ok || e.State != browser.DownloadProgressStateCompleted {
			return
		}
		if _, err := os.Stat(filepath.Join(dir, e.GUID)); err == nil { // other tabs download too
			done <- filepath.Join(dir, e.GUID)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	b.do(chromedp.Click(chromedp.CSS(selector)))
	select {
	case file := <-done:
		return file
	case <-time.After(20 * time.Second):
		b.Fatal("nothing was downloaded")
		return ""
	}
}

// TestCitizen is the whole path of a person with a real browser, with and
// without JavaScript.
func TestCitizen(t *testing.T) {
	t.Parallel()
	own := filepath.Join(t.TempDir(), "Acta de la reunión.pdf")
	if err := os.WriteFile(own, *sample(t, "pdf-lib.pdf").Content, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		plain    bool // no JavaScript
		document string
		saved    string
	}{
		"with scripts, the sede's sample":      {false, "", "solicitud-firmado.pdf"},
		"without scripts, a document of one's": {true, own, "Acta de la reunión-firmado.pdf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newTab(t)
			call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: test.plain})
			c := registered(t)
			b.activate(c)
			b.apply(c, test.document)
			b.sign(c)
			b.press(`main a.button`)
			b.at("/vuelta", "Solicitud firmada")
			if says := b.text(".card"); !strings.Contains(says, "Válida") || !strings.Contains(says, test.saved) {
				t.Errorf("got %q at the sede, want %s called valid", says, test.saved)
			}
			checkPDF(t, b.download(".card a.button"))
		})
	}
}

// TestReview reads a document of two pages: turned, enlarged and as text.
func TestReview(t *testing.T) {
	t.Parallel()
	b, c := newTab(t), certified(t)
	document := filepath.Join(t.TempDir(), "solicitud.pdf")
	if err := os.WriteFile(document, *sample(t, "solicitud.pdf").Content, 0o600); err != nil {
		t.Fatal(err)
	}
	b.apply(c, document)
	b.fill("identifier", c.Identifier)
	b.fill("password", c.Password)
	b.press(`form button[type=submit]`)
	b.painted()
	b.press(`a[rel=next]`)
	b.painted()
	if got := b.text(".viewer-bar p"); got != "Página 2 de 2" {
		t.Errorf("got %q, want the second page", got)
	}
	b.press(`.viewer-tools a[href*="texto="]`)
	b.painted()
	if got := b.text(".page-text"); len(strings.Fields(got)) < 20 {
		t.Errorf("got the text %q, want that of the page", got)
	}
	width := func() float64 { return eval[float64](b, `document.querySelector(".sheet img").width`) }
	before := width()
	for _, want := range []bool{true, false} {
		b.do(chromedp.Click(chromedp.CSS(`.viewer-tools a`)))
		if got := width() > before; got != want {
			t.Errorf("got the page enlarged: %v, want %v", got, want)
		}
		b.narrow()
	}
}

// TestReturnAndReload checks that back, reload and a second visit are safe.
func TestReturnAndReload(t *testing.T) {
	t.Parallel()
	b, c := newTab(t), certified(t)
	b.apply(c, "")
	path := b.address().Path
	b.sign(c)
	b.do(chromedp.Reload())
	b.at(path+"/hecho", "firmado")
	// The browser may keep the form as it was left; sent again, it changes nothing.
	b.leave(`history.back()`, "/confirmar")
	b.leave(`document.querySelector('form[action$="/confirmar"] button').click()`, "/hecho")
	b.open(shared.world.Service + path)
	b.at(path+"/hecho", "firmado")
	b.open(shared.world.Service + path + "/revisar")
	b.at(path+"/hecho", "firmado")
	checkPDF(t, b.download(`a[href$="/documento/1/firmado"]`))
}

// leave runs a script that leads to another page, and waits for that one. A page
// out of the history, as it was left, has no nodes for the driver to press.
func (b *tab) leave(script, suffix string) {
	b.Helper()
	eval[any](b, `setTimeout(() => { `+script+` })`)
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
		path, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.readyState == "complete" ? location.pathname : ""`))
		if err == nil && strings.HasSuffix(path, suffix) {
			return
		}
	}
	b.Fatalf("the browser does not get to %s", suffix)
}

// TestRefuse is the other end of the ceremony.
func TestRefuse(t *testing.T) {
	t.Parallel()
	b, c := newTab(t), certified(t)
	b.apply(c, "")
	path := b.address().Path
	b.fill("identifier", c.Identifier)
	b.fill("password", c.Password)
	b.press(`form button[type=submit]`)
	b.press(`a[href$="/rechazar"]`)
	b.at("/rechazar", "rechazar")
	b.press(`.button-danger`)
	b.at(path, "rechazado")
	b.press(`main a.button`)
	b.at("/vuelta", "rechazado")
	wantState(t, strings.TrimPrefix(path, "/firma/"), "refused")
}

// TestMistakes types what is wrong and reads what the page says of it.
func TestMistakes(t *testing.T) {
	t.Parallel()
	b, c := newTab(t), certified(t)
	b.apply(c, "")
	b.fill("identifier", "12345678A")
	b.fill("password", "Da-igual-9")
	b.press(`form button[type=submit]`)
	b.focused()
	b.narrow()
	if got := b.text(".field-wrong"); !strings.Contains(got, "letra") {
		t.Errorf("got %q beside the field, want it to speak of the letter", got)
	}
	if kept := get(b, chromedp.Value(chromedp.CSS(`#identifier`))); kept != "12345678A" {
		t.Errorf("got %q in the field, want what was typed", kept)
	}
	b.do(chromedp.Clear(chromedp.CSS(`#identifier`)))
	b.fill("identifier", c.Identifier)
	b.fill("password", c.Password)
	b.press(`form button[type=submit]`)
	since := time.Now()
	b.press(`form[action$="/codigo"] button`)
	right := code(t, c, since)
	b.fill("code", other(right))
	b.press(`form[action$="/confirmar"] button`)
	b.focused()
	b.narrow()
	if got := b.text(".field-wrong"); !strings.Contains(got, "Le quedan 2 intentos") {
		t.Errorf("got %q beside the field, want the tries left", got)
	}
	b.fill("code", right)
	b.press(`form[action$="/confirmar"] button`)
	b.at("/hecho", "firmado")
}

// focused checks that the keyboard is where the reader should be: at what is
// wrong.
func (b *tab) focused() {
	b.Helper()
	var got string
	// The browser moves the focus a moment after it has drawn the page.
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = eval[string](b, `document.activeElement.className`); got == "summary" {
			return
		}
	}
	b.Errorf("got the focus on %q, want the summary", got)
}

// other is a code that is not the one given.
func other(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}
