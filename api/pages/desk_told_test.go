package pages_test

import (
	"strings"
	"testing"
)

// A field that was left empty is asked for by what it is, not as a reason that
// is there.
func TestDeskAsksForWhatIsMissing(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	for path, want := range map[string]string{
		"/mesa/ficha/ana/fallecimiento":               "Falta el documento que acredita el fallecimiento",
		"/mesa/ficha/ana/incidencia?incidencia=inc-1": "Falta qué se ha hecho",
		"/mesa/ficha/ana/bloquear":                    "Falta el motivo",
	} {
		form := map[string]string{"motivo": deskReason}
		if strings.HasSuffix(path, "bloquear") {
			form["motivo"] = ""
		}
		a := h.post(path, form)
		if h.want(a, 422, "", want); want != "Falta el motivo" && strings.Contains(a.body, "Falta el motivo") {
			t.Errorf("%s: the page asks for a reason that is there: %s", path, told(a.body))
		}
	}
	if len(h.counter.acts) > 0 {
		t.Errorf("got %v done, want nothing", h.counter.acts)
	}
}
