package desk_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// What officers type, or paste from anywhere, is understood as it was meant.
func TestParseQuestion(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		typed string
		want  citizen.Question
		code  policies.Code
	}{
		"a document":         {" 12345678z ", citizen.Question{Identifier: "12345678Z"}, ""},
		"a mobile":           {"600 000 421", citizen.Question{Phone: "+34600000421"}, ""},
		"a name":             {"  Núñez   Pérez ", citizen.Question{Name: "Núñez Pérez"}, ""},
		"a decomposed name":  {"Nu\u0301n\u0303ez", citizen.Question{Name: "Núñez"}, ""},
		"marks of direction": {"\u200eNúñez\u202c", citizen.Question{Name: "Núñez"}, ""},
		"turned writing":     {"\u202eNúñez", citizen.Question{Name: "Núñez"}, ""},
		"zero width":         {"Nú\u200bñez\ufeff", citizen.Question{Name: "Núñez"}, ""},
		"a turned document":  {"\u202a12345678Z\u202c", citizen.Question{Identifier: "12345678Z"}, ""},
		"nothing but marks":  {"\u200e\u200b\u202e\u2060", citizen.Question{}, policies.QueryInvalid},
		"two letters":        {"Nú", citizen.Question{}, policies.QueryInvalid},
		"a name of 3000":     {strings.Repeat("Núñez ", 500), citizen.Question{}, policies.QueryInvalid},
		"a wrong letter":     {"12345678A", citizen.Question{}, policies.IdentifierInvalid},
	} {
		got, err := desk.ParseQuestion(test.typed)
		if got != test.want || (test.code == "") != (err == nil) || test.code != "" && !errors.Is(err, policies.Refuse(test.code)) {
			t.Errorf("%s: got %+v, %v, want %+v, %q", name, got, err, test.want, test.code)
		}
	}
}
