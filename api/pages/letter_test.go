package pages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/citizen"
)

// TestLetters prints letters and reads them as poppler does: one sheet each, the
// address where the envelope's window is, the code once.
func TestLetters(t *testing.T) {
	t.Parallel()
	letter := citizen.PrintableLetter{
		ID: "A", Code: "ABCDEFGHJKLMNPQR", Masked: "***4567**", Until: "2027-01-20",
		Recipient: citizen.Recipient{
			GivenName: "Íñigo", Surnames: "Muñoz Peña",
			Address: citizen.Address{Lines: []string{"Calle de la Constitución, 14", "3.º izquierda"}, PostalCode: "33201", Town: "Gijón", Province: "Asturias"},
		},
	}
	another := letter
	another.Code = "23456789ABCDEFGH"
	p := open(t)
	pdf, err := p.Letters([]citizen.PrintableLetter{letter, another}, "https://firma.example.es", noon)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cartas.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), "pdftotext", append(args, file, "-")...).Output()
		if err != nil {
			t.Fatalf("pdftotext: %v", err)
		}
		return strings.Join(strings.Fields(string(out)), " ")
	}
	text := read("-layout")
	for _, want := range []string{"ABCD-EFGH-JKLM-NPQR", "2345-6789-ABCD-EFGH", "https://firma.example.es/registro/carta/codigo", "***4567**", "20 de enero de 2027"} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %q in %q", want, text)
		}
	}
	if sheets := strings.Count(read("-layout", "-nopgbrk"), "ABCD-EFGH-JKLM-NPQR"); sheets != 1 {
		t.Errorf("got the first code %d times, want once", sheets)
	}
	// The window: 80 mm by 35 mm, at 2.835 points a millimetre.
	const window = "Íñigo Muñoz Peña Calle de la Constitución, 14 3.º izquierda 33201 Gijón Asturias"
	if got := read("-f", "2", "-l", "2", "-r", "72", "-x", "312", "-y", "130", "-W", "227", "-H", "100"); got != window {
		t.Errorf("the window shows %q, want %q and nothing else", got, window)
	}
	another.Until = "mañana"
	if _, err := p.Letters([]citizen.PrintableLetter{another}, "https://firma.example.es", noon); err == nil {
		t.Error("got a letter without a day, want none")
	}
}
