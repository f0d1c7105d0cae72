package citizen

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"github.com/rubrica-firma/rubrica/policies"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ given, surnames, want string }{
		{"María", "Pérez Núñez", "María Pérez Núñez"},
		{"  Mari\u0301a  del\u00a0Pilar ", "Nun\u0303ez", "María del Pilar Nuñez"},
		{"Gal·la", "Puig i Coŀl", "Gal·la Puig i Coŀl"},
		{"Mª José", "de la O'Donnell-Sáenz", "Mª José de la O'Donnell-Sáenz"},
		{"Iñaki", "Etxeberria Agirre", "Iñaki Etxeberria Agirre"},
		{"Xoán", "Güell", "Xoán Güell"},
		{"Nguyễn", "’t Hooft Jr.", "Nguyễn ’t Hooft Jr."},
		{strings.Repeat("a", 100), "ß", strings.Repeat("a", 100) + " ß"},
	} {
		name, err := ParseName(tc.given, tc.surnames)
		if err != nil {
			t.Errorf("ParseName(%q, %q): %v", tc.given, tc.surnames, err)
			continue
		}
		if diff := cmp.Diff(tc.want, name.String()); diff != "" {
			t.Errorf("ParseName(%q, %q) (-want +got):\n%s", tc.given, tc.surnames, diff)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "   ", "-", "''", "María\x00", "María\nPérez", "Mar\u202eía", "María\u200b", "\ufeffMaría", "محمد", "王", "Αθηνά", "Мария",
		"M\u0430ria", // a Cyrillic а
		"María 2", "María, Pérez", "María;", "<b>María</b>", "María/CN=x", "María=", "Mar\xffía", "María\ue000", "-María",
		strings.Repeat("a", 101), strings.Repeat("ñ", 1<<16), "María😀",
		"ＭＡＲＩＡ", "ﬁlomena", "Mᴀria", "Mar\u034fía", "Marı\ufe0fa", "z\u0302\u0303\u0304\u0305algo",
	} {
		_, err := ParseName(bad, "Pérez")
		if got := wantRefusal(t, err, policies.NameInvalid)["field"]; got != "given" {
			t.Errorf("ParseName(%.30q, …): got field %q, want given", bad, got)
		}
		_, err = ParseName("María", bad)
		if got := wantRefusal(t, err, policies.NameInvalid)["field"]; got != "surnames" {
			t.Errorf("ParseName(…, %.30q): got field %q, want surnames", bad, got)
		}
	}
}

func FuzzParseName(f *testing.F) {
	f.Add("María", "Pérez Núñez")
	f.Add("Gal·la", "O'Donnell")
	f.Add("Mari\u0301a", "’t Hooft")
	f.Add("a\u0300\u0301\u0302", "王")
	f.Fuzz(func(t *testing.T, given, surnames string) {
		name, err := ParseName(given, surnames)
		if err != nil {
			wantRefusal(t, err, policies.NameInvalid)
			return
		}
		again, err := ParseName(name.Given(), name.Surnames())
		if err != nil || again != name {
			t.Errorf("ParseName(%q, %q): got %v, which reads as %v, %v", given, surnames, name, again, err)
		}
		if !norm.NFC.IsNormalString(name.Given()) || utf8.RuneCountInString(name.Surnames()) > maxNamePart {
			t.Errorf("ParseName(%q, %q): got %v, not canonical", given, surnames, name)
		}
	})
}
