package smpp

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/linxGnu/gosmpp/data"
)

func TestEncode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		coding     data.Encoding
		parts      []int // octets of each
	}{
		{"nothing", "", data.GSM7BIT, []int{0}},
		{"a code", "Rubrica: Codigo 1234 5678.\n@firma.example.es #12345678", data.GSM7BIT, []int{54}},
		{"160 septets", strings.Repeat("ñ", 160), data.GSM7BIT, []int{160}},
		{"161 septets", strings.Repeat("ñ", 161), data.GSM7BIT, []int{153, 8}},
		{"an escape as the last two", strings.Repeat("a", 158) + "€", data.GSM7BIT, []int{160}},
		{"an escape on the cut", strings.Repeat("a", 152) + "€" + strings.Repeat("a", 10), data.GSM7BIT, []int{152, 12}},
		{"an escape before the cut", strings.Repeat("a", 151) + "€" + strings.Repeat("a", 10), data.GSM7BIT, []int{153, 10}},
		{"70 units", strings.Repeat("á", 70), data.UCS2, []int{140}},
		{"71 units", strings.Repeat("á", 71), data.UCS2, []int{134, 8}},
		{"surrogates on the cut", strings.Repeat("á", 66) + "😀" + strings.Repeat("á", 5), data.UCS2, []int{132, 14}},
		{"the escape itself is no character", "\x1b", data.UCS2, []int{2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parts, coding := encode(test.text)
			if coding != test.coding {
				t.Errorf("coding: got %d, want %d", coding.DataCoding(), test.coding.DataCoding())
			}
			if len(parts) != len(test.parts) {
				t.Fatalf("got %d parts, want %d", len(parts), len(test.parts))
			}
			for i, part := range parts {
				if len(part) != test.parts[i] {
					t.Errorf("part %d: got %d octets, want %d", i+1, len(part), test.parts[i])
				}
			}
		})
	}
}

// Whatever the text, its parts fit, none ends within a character, and together
// they say it again to somebody else's decoder.
func TestEncodeSaysItAgain(t *testing.T) {
	t.Parallel()
	signs := []rune(gsm + "^{}[]~|\\€áíóúçŀ«»😀𝄞")
	rapid.Check(t, func(t *rapid.T) {
		text := strings.ReplaceAll(string(rapid.SliceOfN(rapid.SampledFrom(signs), 0, 400).Draw(t, "text")), "\x1b", "")
		parts, coding := encode(text)
		var said strings.Builder
		for i, part := range parts {
			limit := wholeSeptets
			switch {
			case coding == data.GSM7BIT && len(parts) > 1:
				limit = partSeptets
			case coding == data.UCS2 && len(parts) > 1:
				limit = partOctets
			case coding == data.UCS2:
				limit = wholeOctets
			}
			if len(part) > limit {
				t.Fatalf("part %d: got %d octets, want at most %d", i+1, len(part), limit)
			}
			said.WriteString(decode(t, part, coding))
		}
		if said.String() != text {
			t.Fatalf("got %q, want %q", said.String(), text)
		}
	})
}

func decode(t *rapid.T, part []byte, coding data.Encoding) string {
	t.Helper()
	if coding == data.GSM7BIT {
		text, err := coding.Decode(part)
		if err != nil {
			t.Fatalf("decoding % x: %v", part, err)
		}
		return text
	}
	units := make([]uint16, len(part)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(part[2*i:])
	}
	return string(utf16.Decode(units)) // half a pair would be U+FFFD
}
