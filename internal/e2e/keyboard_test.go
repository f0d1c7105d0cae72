package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// stop is where the keyboard is on a page.
type stop struct {
	Name string // of the field, or the words on what is pressed
	Self string // with its place in the order of the page
	Next string // what the next Tab has to lead to
	Ring bool   // whether the focus shows
	Seen bool   // and nothing is over it
}

// here describes where the keyboard is. What can be reached is counted in the
// order of the page, which is the one that readers expect (WCAG 2.4.3).
const here = `(() => {
	const one = (e) => e.type !== "radio" || e.checked || !document.querySelector("input[name='" + e.name + "']:checked");
	const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter((e) =>
		e.tabIndex >= 0 && !e.disabled && e.type !== "hidden" && e.checkVisibility({visibilityProperty: true}) && one(e));
	const name = (e) => e.name || e.getAttribute("aria-label") || e.textContent.trim().replace(/\s+/g, " ");
	const say = (e) => e ? (all.indexOf(e) + 1) + " " + name(e) : "";
	const at = document.activeElement;
	const next = at === document.body ? all[0] : all.find((e) => at.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING);
	const style = getComputedStyle(at), box = at.getBoundingClientRect();
	const over = document.elementFromPoint(box.left + box.width / 2, box.top + Math.min(box.height / 2, 20));
	return {
		Name: name(at), Self: say(at), Next: say(next),
		Ring: at.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
		Seen: !!over && (at.contains(over) || over.contains(at) || over.closest("label") !== null),
	};
})()`

// keys presses keys, wherever the focus is.
func (b *tab) keys(text string, modifiers ...chromedp.Modifier) {
	b.Helper()
	b.do(chromedp.KeyEvent(text, raw, chromedp.KeyModifiers(modifiers...)))
}

// raw has a key go down as it does below a finger: who moves the focus with it
// is not taken to have pressed it where the focus is then.
func raw(p *input.DispatchKeyEventParams) {
	if p.Type == input.DispatchKeyEventTypeKeyDown {
		p.Type = input.DispatchKeyEventTypeRawKeyDown
	}
}

// goes presses Tab until a field, or what begins with these words, is reached, and checks on the way that
// nothing is left out, and that one always sees where one is.
func (b *tab) goes(to string) {
	b.Helper()
	at := eval[stop](b, here)
	for range 100 {
		want := at.Next
		if want == "" {
			break
		}
		b.keys(kb.Tab)
		at = eval[stop](b, here)
		if at.Self != want {
			b.Fatalf("%s: Tab leads to %q, want %q", b.address().Path, at.Self, want)
		}
		if !at.Ring || !at.Seen {
			b.Errorf("%s: %q has the focus, which shows: %v, with nothing over it: %v", b.address().Path, at.Self, at.Ring, at.Seen)
		}
		if strings.HasPrefix(at.Name, to) {
			return
		}
	}
	b.Fatalf("%s: Tab never leads to %q", b.address().Path, to)
}

// types goes to a field and fills it in, in the place of what is there.
func (b *tab) types(field, text string) {
	b.Helper()
	b.goes(field)
	b.keys(text)
}

// enters presses Enter, which leads to another page.
func (b *tab) enters() { b.Helper(); b.load(chromedp.KeyEvent(kb.Enter, raw)) }

// follows goes to a link or a button, and presses it.
func (b *tab) follows(words string) {
	b.Helper()
	b.goes(words)
	b.enters()
}

// TestKeyboardSigning signs without touching anything but keys, with a mistake on
// the way, and to the certificate.
func TestKeyboardSigning(t *testing.T) {
	t.Parallel()
	b, c := newTab(t), active(t)
	r := ask(t, c, sample(t, "solicitud.pdf"))
	b.open(r.SigningURL)
	b.types("identifier", wrongLetter(c.Identifier))
	b.types("password", "Da-igual-9")
	b.enters()
	b.focused()
	b.goes("Revise el DNI o NIE")
	b.keys(kb.Enter)
	if at := eval[stop](b, here); at.Name != "identifier" {
		b.Fatalf("the problem leads to %q, want its field", at.Self)
	}
	b.keys("a", chromedp.ModifierCtrl)
	b.keys(c.Identifier)
	b.types("password", c.Password)
	b.enters()
	b.at("/certificado", "certificado")
	since := time.Now()
	b.follows("Enviarme el código")
	b.at("/certificado/codigo", "código")
	b.types("code", code(t, c, since))
	b.enters()
	b.at("/revisar", "firmar")
	b.follows("Siguiente")
	b.at("/revisar", "firmar")
	since = time.Now()
	b.follows("Enviarme el código")
	b.at("/confirmar", "")
	looks := `fetch(document.querySelector("[data-look]").dataset.look).then((answer) => answer.ok)`
	if !get(b, chromedp.Evaluate[bool](looks, chromedp.EvalAwaitPromise)) {
		b.Error("the page cannot look for what became of the SMS")
	}
	b.types("code", code(t, c, since))
	b.enters()
	b.at("/hecho", "firmado")
	wantState(t, r.ID, "signed")
}
