package pdf

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestHexadecimal: spaces anywhere, an odd number of digits, and the borders of
// blocks make no difference to what a string in hexadecimal says.
func TestHexadecimal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "octets"), rapid.IntRange(1, 60).Draw(t, "times"))
		digits := hex.EncodeToString(want)
		if rapid.Bool().Draw(t, "capitals") {
			digits = strings.ToUpper(digits)
		}
		if strings.HasSuffix(digits, "0") && rapid.Bool().Draw(t, "odd") {
			digits = digits[:len(digits)-1]
		}
		every := rapid.IntRange(1, 300).Draw(t, "every")
		var text strings.Builder
		for len(digits) > every {
			text.WriteString(digits[:every] + rapid.SampledFrom([]string{"", " ", "\r\n", "\x00"}).Draw(t, "space"))
			digits = digits[every:]
		}
		document := strings.Repeat(" ", rapid.IntRange(0, 300).Draw(t, "before")) + "<" + text.String() + digits + ">"
		s := &source{r: strings.NewReader(document), size: int64(len(document)), blocks: map[int64][]byte{}}
		got, err := s.lexer(0).object(0)
		if err != nil || got != Object(String(want)) {
			t.Fatalf("%q: got %q, %v, want %q", document, got, err, want)
		}
	})
	for _, broken := range []string{"<", "<4", "<41", "<41 4g>", "<4\x01>", "<" + strings.Repeat("41", 300)} {
		if got, _, err := Parse([]byte(broken)); err == nil {
			t.Errorf("%q: got %q, want an error", broken, got)
		}
	}
}
