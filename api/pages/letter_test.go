package pages

import (
	"context"
	"encoding/json/v2"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// TestLetters prints letters as the desk does, and reads them as poppler does:
// one sheet each, the address where the envelope's window is, the code once.
func TestLetters(t *testing.T) {
	t.Parallel()
	codes := map[string]string{"A": "ABCDEFGHJKLMNPQR", "B": "23456789ABCDEFGH"}
	var signed []printLetter
	printer := &LetterPrinter{
		Pages: open(t), ServiceURL: "https://firma.example.es", Now: func() time.Time { return noon },
		Waiting: func(context.Context) ([]citizen.Waiting, error) {
			return []citizen.Waiting{{ID: "A", Identifier: "12345678Z"}, {ID: "B", Identifier: "87654321X"}, {ID: "C", Identifier: "00000000T"}}, nil
		},
		Sign: func(wanted any) (citizen.Act, error) {
			act, ok := wanted.(printLetter)
			if !ok {
				return citizen.Act{}, errors.New("not an act")
			}
			signed = append(signed, act)
			return citizen.Act{JWS: act.Subject}, nil
		},
		Perform: func(_ context.Context, a citizen.Act) (citizen.Receipt, error) {
			code, ok := codes[a.JWS]
			if !ok {
				return citizen.Receipt{}, policies.Refuse(policies.RequestState)
			}
			text, err := json.Marshal(citizen.PrintableLetter{
				ID: a.JWS, Code: code, Masked: "***4567**", Until: "2027-01-20",
				Recipient: citizen.Recipient{
					GivenName: "Íñigo", Surnames: "Muñoz Peña",
					Address: citizen.Address{Lines: []string{"Calle de la Constitución, 14", "3.º izquierda"}, PostalCode: "33201", Town: "Gijón", Province: "Asturias"},
				},
			})
			return citizen.Receipt{Code: string(text)}, err
		},
	}
	pdf, printed, err := printer.Print(t.Context(), "Ruth", []string{"A", "C", "B", "D"})
	if err != nil || printed != 2 || len(signed) != 3 || signed[0] != (printLetter{citizen.ActPrintLetter, "Ruth", "12345678Z", "A"}) {
		t.Fatalf("got %d letters %v and acts %v, want the two that can be printed", printed, err, signed)
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
	for _, want := range []string{"ABCD-EFGH-JKLM-NPQR", "2345-6789-ABCD-EFGH", "https://firma.example.es/registro/carta/codigo", "***4567**", "20/01/2027"} {
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
	if _, _, err := printer.Print(t.Context(), "Ruth", []string{"D"}); !errors.Is(err, policies.Refuse(policies.NotFound)) {
		t.Errorf("got %v, want not_found", err)
	}
}
