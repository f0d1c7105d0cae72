package requests

import (
	"testing"
	"time"
)

// TestSandboxStamp: what is seen of a sandbox's signature says what it is worth.
func TestSandboxStamp(t *testing.T) {
	t.Parallel()
	visible := Options{Stamp: &Stamp{}}
	for notice, want := range map[string]string{"": "Ayuntamiento", sandboxNotice: "ENTORNO DE PRUEBAS: sin validez"} {
		drawn := visible.forPDF(signatory{Name: "Ana", Organisation: "Ayuntamiento", Notice: notice}, time.Now(), "")
		if got := drawn.Stamp.Organisation; got != want {
			t.Errorf("got %q above the name, want %q", got, want)
		}
	}
}
