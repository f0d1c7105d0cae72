package pdf_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/signer/pdf"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pdf.Object{
		"null": nil, "true": true, " % comment\r\n false": false,
		"0": int64(0), "+17": int64(17), "-98": int64(-98), "34.5": pdf.Real("34.5"), "-.002": pdf.Real("-.002"), "4.": pdf.Real("4."),
		"/Name1": pdf.Name("Name1"), "/": pdf.Name(""), "/A#42": pdf.Name("AB"), "/Lime#20Green": pdf.Name("Lime Green"),
		"(a(b)c)": pdf.String("a(b)c"), `(\n\r\t\b\f\(\)\\\053\0534\53\q)`: pdf.String("\n\r\t\b\f()\\++4+q"),
		"(a\\\nb\\\r\nc\r\nd\re)": pdf.String("abc\nd\ne"), "()": pdf.String(""),
		"<4E6f 7>": pdf.String("Nop"), "<>": pdf.String(""),
		"[1 2 R 3 0 R 4]":        pdf.Array{pdf.Ref{Number: 1, Generation: 2}, pdf.Ref{Number: 3}, int64(4)},
		"[ 549 3.14 (R) /R]":     pdf.Array{int64(549), pdf.Real("3.14"), pdf.String("R"), pdf.Name("R")},
		"[1 0 R 2 3]":            pdf.Array{pdf.Ref{Number: 1}, int64(2), int64(3)},
		"[1 1 0 R]":              pdf.Array{int64(1), pdf.Ref{Number: 1}},
		"12 3 R":                 pdf.Ref{Number: 12, Generation: 3},
		"<</A/B/C<</D[<<>>]>>>>": pdf.Dict{"A": pdf.Name("B"), "C": pdf.Dict{"D": pdf.Array{pdf.Dict{}}}},
		"<</N null/A 1>>":        pdf.Dict{"N": nil, "A": int64(1)},
	} {
		got, n, err := pdf.Parse([]byte(text))
		if err != nil || n != len(text) {
			t.Errorf("%q: got %d octets, %v", text, n, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
	for _, text := range []string{
		"", "%", "(", "(()", "<4", "<4x>", "[", "[1", "<<", "<</A", "<</A>>", "<<1 2>>", "<</A 1/A 2>>", "]", ">>", ">", ")", "{", "nil",
		"/A#4", "/A#4x", "/A#00", "1.2.3", "--1", "1e5", "99999999999999999999", strings.Repeat("[", 1000), strings.Repeat("<</A", 1000),
	} {
		if got, _, err := pdf.Parse([]byte(text)); err == nil {
			t.Errorf("%.20q: got %v, want an error", text, got)
		}
	}
}

// TestAppendParse writes any object and reads it again.
func TestAppendParse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawObject(t, 4)
		written := pdf.Append(nil, want)
		if noisy := render(t, want); rapid.Bool().Draw(t, "noisy") {
			written = noisy
		}
		got, n, err := pdf.Parse(written)
		if err != nil {
			t.Fatalf("%q: %v", written, err)
		}
		if diff := cmp.Diff(want, got); diff != "" || n > len(written) {
			t.Fatalf("%q: %s", written, diff)
		}
	})
}

// drawObject gives an object that may stand anywhere; no nulls in dictionaries.
func drawObject(t *rapid.T, depth int) pdf.Object {
	kinds := 8
	if depth == 0 {
		kinds = 6
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return rapid.Bool().Draw(t, "bool")
	case 1:
		return rapid.Int64Range(-1<<40, 1<<40).Draw(t, "int")
	case 2:
		return pdf.Real(rapid.StringMatching(`-?[0-9]{1,5}\.[0-9]{0,5}`).Draw(t, "real"))
	case 3:
		return pdf.Name(strings.ReplaceAll(string(rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "name")), "\x00", "!"))
	case 4:
		return pdf.String(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "string"))
	case 5:
		return pdf.Ref{Number: rapid.IntRange(0, 30).Draw(t, "number")}
	case 6:
		a := pdf.Array{}
		for range rapid.IntRange(0, 5).Draw(t, "members") {
			a = append(a, drawObject(t, depth-1))
		}
		return a
	default:
		d := pdf.Dict{}
		for range rapid.IntRange(0, 5).Draw(t, "keys") {
			d[pdf.Name(rapid.StringMatching(`[A-Za-z#() ]{1,8}`).Draw(t, "key"))] = drawObject(t, depth-1)
		}
		return d
	}
}

// render writes an object as other producers do: literal strings, odd white
// space, comments.
func render(t *rapid.T, o pdf.Object) []byte {
	space := rapid.SampledFrom([]string{" ", "\n", "\r\n", "\t", " %c(\r", "\x00 "})
	switch v := o.(type) {
	case pdf.String:
		return renderString(t, v)
	case pdf.Array:
		out := []byte("[")
		for _, member := range v {
			out = append(append(out, render(t, member)...), space.Draw(t, "space")...)
		}
		return append(out, ']')
	case pdf.Dict:
		out := []byte("<<")
		for key, value := range v {
			out = append(append(out, pdf.Append(nil, key)...), space.Draw(t, "space")...)
			out = append(append(out, render(t, value)...), space.Draw(t, "space")...)
		}
		return append(out, ">>"...)
	default:
		return pdf.Append(nil, o)
	}
}

func renderString(t *rapid.T, s pdf.String) []byte {
	out := []byte("(")
	for _, c := range []byte(s) {
		switch {
		case c == '(' || c == ')' || c == '\\':
			out = append(out, '\\', c)
		case c == '\r':
			out = append(out, `\r`...)
		case rapid.IntRange(0, 9).Draw(t, "octal") == 0:
			out = append(out, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			out = append(out, c)
		}
	}
	return append(out, ')')
}

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pdf.String{
		"": "", "Plain (text)": "Plain (text)", "Núñez": "\xfe\xff\x00N\x00\xfa\x00\xf1\x00e\x00z", "\U0001d11e": "\xfe\xff\xd8\x34\xdd\x1e",
	} {
		if got := pdf.TextString(text); got != want {
			t.Errorf("TextString(%q): got %q, want %q", text, got, want)
		}
	}
	for text, want := range map[pdf.String]string{
		"\xef\xbb\xbfNúñez": "Núñez", "\xff\xfeN\x00\xfa\x00": "Nú", "N\xfa\xf1ez \xa0 \x80 \x18": "Núñez € • ˘", "\xfe\xff\x00A\x00": "A",
	} {
		if got := pdf.DecodeText(text); got != want {
			t.Errorf("DecodeText(%q): got %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`\PC*[A-Za-zñŀΩ]?`).Draw(t, "text")
		if got := pdf.DecodeText(pdf.TextString(text)); got != text {
			t.Fatalf("got %q, want %q", got, text)
		}
	})
}

func TestDate(t *testing.T) {
	t.Parallel()
	madrid := time.FixedZone("", 3600)
	moment := time.Date(2026, 3, 4, 5, 6, 7, 0, madrid)
	if got, want := pdf.Date(moment), pdf.String("D:20260304050607+01'00'"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for text, want := range map[pdf.String]time.Time{
		"D:20260304050607+01'00'": moment, "D:20260304050607+01'00": moment, "20260304050607+0100": moment, "D:20260304050607+01": moment,
		"D:20260304040607Z": moment, "D:20260304040607Z00'00'": moment, "D:20260304040607": moment, "D:20260304003607-03'30'": moment,
		"D:2026":                       time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		"\xfe\xff\x002\x000\x002\x006": time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, ok := pdf.ParseDate(text); !ok || !got.Equal(want) {
			t.Errorf("%q: got %v %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []pdf.String{"", "D:", "D:202", "D:20261", "D:20261301", "D:20260304050607X", "D:20260304050607+1", "yesterday"} {
		if got, ok := pdf.ParseDate(text); ok {
			t.Errorf("%q: got %v, want none", text, got)
		}
	}
}

func TestOperators(t *testing.T) {
	t.Parallel()
	const content = "q 1 0 0 1 .5 -7 cm /F1 12 Tf [(a) -20 (b)]TJ\nBI /W 2/H 1 ID \x00EI\xff )( EI Q (x)' ) S"
	var got []string
	for operator, operands := range pdf.Operators([]byte(content)) {
		got = append(got, string(append(pdf.Append(nil, pdf.Array(operands)), operator...)))
	}
	want := []string{"[]q", "[1 0 0 1 .5 -7]cm", "[/F1 12]Tf", "[[<61> -20 <62>]]TJ", "[<</H 1/W 2>>]BI", "[]Q", "[<78>]'"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
