package stamp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-text/typesetting/font"
	"pgregory.net/rapid"
	"rsc.io/qr"
)

// viewer is what a PDF viewer does with the operators that a stamp may use.
type viewer struct {
	t       testing.TB
	a       *Appearance
	face    *font.Face
	matrix  [6]float64 // text matrix
	scale   [4]float64 // of the check code: size and origin
	size    float64
	rise    float64
	depth   int
	text    strings.Builder
	modules [][3]int
	glyphs  []placed
}

// placed is a glyph's ink on the page.
type placed struct {
	text           string
	x0, y0, x1, y1 float64
}

// interpret runs a content stream and fails the test if anything is painted outside the
// box, or if an operator occurs that PDF/A or the package's promise has no room for.
func interpret(tb testing.TB, a *Appearance) *viewer {
	tb.Helper()
	face, err := loadTypeface()
	if err != nil {
		tb.Fatal(err)
	}
	v := &viewer{t: tb, a: a, face: font.NewFace(face.font), scale: [4]float64{1, 1, 0, 0}}
	for line := range strings.Lines(string(a.Content)) {
		var operands []float64
		for word := range strings.FieldsSeq(line) {
			n, err := strconv.ParseFloat(word, 64)
			switch {
			case err == nil:
				operands = append(operands, n)
			case strings.HasPrefix(word, "/") || strings.HasPrefix(word, "[") || strings.HasPrefix(word, "<"):
			default:
				v.operator(word, line, operands)
				operands = nil
			}
		}
	}
	if v.depth != 0 {
		tb.Errorf("got %d of q without Q", v.depth)
	}
	return v
}

func (v *viewer) operator(op, line string, n []float64) {
	v.t.Helper()
	switch op {
	case "cs", "f", "BT", "ET":
	case "sc":
		if n[0] < 0 || n[0] > 0.5 {
			v.t.Errorf("got grey %v, want it dark enough to read", n[0])
		}
	case "q":
		v.depth++
	case "Q":
		v.depth--
		v.scale = [4]float64{1, 1, 0, 0}
	case "cm":
		v.scale = [4]float64{n[0], n[3], n[4], n[5]}
	case "re":
		s := v.scale
		v.inside("rectangle", s[2]+s[0]*n[0], s[3]+s[1]*n[1], s[2]+s[0]*(n[0]+n[2]), s[3]+s[1]*(n[1]+n[3]))
		if v.depth > 0 {
			v.modules = append(v.modules, [3]int{int(n[0]), int(n[1]), int(n[2])})
		}
	case "Tf":
		v.size = n[0]
	case "Tm":
		v.matrix = [6]float64(n)
		v.text.WriteByte('\n')
	case "Ts":
		v.rise = n[0]
	case "Tj", "TJ":
		v.show(line)
	default:
		v.t.Errorf("got operator %q, want none but those for text and rectangles", op)
	}
}

// show paints the glyphs of a TJ or Tj.
func (v *viewer) show(line string) {
	v.t.Helper()
	line = strings.Trim(line, "[]TjJ \n")
	for part := range strings.SplitSeq(line, "<") {
		code, number, _ := strings.Cut(part, ">")
		cids, err := hex.DecodeString(code)
		if err != nil {
			v.t.Fatalf("got string %q: %v", code, err)
		}
		for i := 0; i < len(cids); i += 2 {
			cid := int(cids[i])<<8 | int(cids[i+1])
			g := v.a.subset.glyphs[cid]
			if cid == 0 || v.a.subset.text[cid] == "" {
				v.t.Errorf("got CID %d shown, want none without text", cid)
			}
			v.text.WriteString(v.a.subset.text[cid])
			at := v.size / float64(v.a.subset.face.upem)
			if box, ok := v.face.GlyphExtents(g); ok && box.Width != 0 {
				x, y := v.matrix[4]+at*float64(box.XBearing), v.matrix[5]+v.rise+at*float64(box.YBearing)
				ink := placed{v.a.subset.text[cid], x, y + at*float64(box.Height), x + at*float64(box.Width), y}
				v.inside("glyph "+ink.text, ink.x0, ink.y0, ink.x1, ink.y1)
				v.glyphs = append(v.glyphs, ink)
			}
			v.matrix[4] += v.size * float64(v.a.subset.face.advance(g)) / em
		}
		if number = strings.TrimSpace(number); number != "" {
			shift, err := strconv.ParseFloat(number, 64)
			if err != nil {
				v.t.Fatalf("got number %q: %v", number, err)
			}
			v.matrix[4] -= shift * v.size / em
		}
	}
}

func (v *viewer) inside(what string, x0, y0, x1, y1 float64) {
	v.t.Helper()
	const rounding = 0.02
	if x0 < -rounding || y0 < -rounding || x1 > v.a.Box.Width+rounding || y1 > v.a.Box.Height+rounding {
		v.t.Errorf("got %s at %.2f %.2f %.2f %.2f, want it within %.2f × %.2f", what, x0, y0, x1, y1, v.a.Box.Width, v.a.Box.Height)
	}
}

func sample() Options {
	return Options{
		Organisation: "Ayuntamiento de Gijón", Name: "ANA NÚÑEZ PÉREZ", Identifier: "***4567**", Reason: "Conformidad",
		CSV: "K7QF-28AB-CD34-9ZXW", URL: "https://firma.example.es/v/K7QF28ABCD349ZXW",
		Time: time.Date(2026, 11, 21, 9, 43, 7, 0, time.UTC), Place: BottomLeft,
	}
}

// Any text in any box is inside, or a typed error.
func TestNothingIsOutside(t *testing.T) {
	t.Parallel()
	texts := rapid.OneOf(
		rapid.String(),
		rapid.StringOfN(rapid.RuneFrom([]rune("aWÑ fi\u0301\u0327\u0489\u0323ŀ·\u200d\u200cابلأإ ﷺ\u064b\u0651שץ12./-%()[]\u202e漢\U0001f600")), 0, 60, -1),
		rapid.StringOfN(rapid.RuneFrom([]rune("jfQ_|Ǻ")), 0, 300, -1),
	)
	rapid.Check(t, func(r *rapid.T) {
		o := Options{
			Organisation: texts.Draw(r, "organisation"), Name: texts.Draw(r, "name"), Identifier: texts.Draw(r, "identifier"),
			Reason: texts.Draw(r, "reason"), CSV: texts.Draw(r, "csv"), URL: texts.Draw(r, "url"),
			Time: time.Unix(rapid.Int64Range(0, 4e9).Draw(r, "time"), 0),
		}
		box := Box{rapid.Float64Range(1, 900).Draw(r, "width"), rapid.Float64Range(1, 400).Draw(r, "height")}
		a, err := New(o, box)
		if errors.Is(err, ErrNoRoom) {
			if box.Width > 300 && box.Height > 250 && len(o.Organisation+o.Name+o.Identifier+o.Reason+o.CSV+o.URL) < 200 {
				r.Errorf("got %v for %v, want so little text to fit", err, box)
			}
			return
		}
		if err != nil {
			r.Fatalf("got %v, want a stamp or ErrNoRoom", err)
		}
		interpret(t, a)
		again, err := New(o, box)
		if err != nil || !bytes.Equal(a.Content, again.Content) {
			r.Errorf("got other octets the second time (%v), want the same", err)
		}
	})
}

// Latin text is shown whole and in order, wherever lines end.
func TestNoTextIsLost(t *testing.T) {
	t.Parallel()
	words := rapid.SliceOfN(rapid.StringMatching(`[A-Za-zñÑüŀ·αβγжщ0-9.,/-]{1,40}`), 1, 20)
	rapid.Check(t, func(r *rapid.T) {
		o := sample()
		o.Reason = strings.Join(words.Draw(r, "words"), " ")
		a, err := New(o, Box{rapid.Float64Range(120, 500).Draw(r, "width"), rapid.Float64Range(60, 300).Draw(r, "height")})
		if errors.Is(err, ErrNoRoom) {
			return
		}
		if err != nil {
			r.Fatal(err)
		}
		squash := func(s string) string { return strings.Join(strings.Fields(s), "") }
		shown := squash(interpret(t, a).text.String())
		for _, want := range []string{o.Organisation, o.Name, o.Identifier, o.Reason, o.CSV, o.URL} {
			if !strings.Contains(shown, squash(want)) {
				r.Errorf("got %q, want it to contain %q", shown, squash(want))
			}
		}
	})
}

// Ink that stands out of its line makes room for itself.
func TestTallInkMakesRoom(t *testing.T) {
	t.Parallel()
	face, err := loadTypeface()
	if err != nil {
		t.Fatal(err)
	}
	s := face.shaper()
	tallest, deepest := 0, 0
	for r := rune('!'); r < 0x2600; r++ {
		p, err := s.paragraph(string(r), map[rune]bool{})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.runes) == 0 || p.runes[0] == substitute {
			continue
		}
		const size = 10
		ink := s.shape(p, 0, len(p.runes))
		tallest, deepest = max(tallest, ink.top), min(deepest, ink.bottom)
		a, ok := s.arrange([]row{{cells: []cell{{text: p, scale: 1}}}}, 1000, size)
		if !ok || len(a.pieces) != 1 {
			t.Fatalf("%U: got %v, want one piece", r, a)
		}
		y := a.pieces[0].y
		if y-size*float64(ink.top)/em < -eps || y-size*float64(ink.bottom)/em > a.height+eps || a.pieces[0].x+size*float64(ink.left)/em < -eps {
			t.Errorf("%U: got its base at %.2f of %.2f with ink from %d to %d, want room for it", r, y, a.height, ink.bottom, ink.top)
		}
	}
	if tallest <= ascent+100 || deepest >= -descent-100 {
		t.Errorf("got ink from %d to %d at most, want some out of the line", deepest, tallest)
	}
}

// Marks stand over and under their letters, and pairs are kerned.
func TestGlyphsArePlaced(t *testing.T) {
	t.Parallel()
	o := Options{Name: "q\u0323 AV بَ"}
	a, err := New(o, Box{200, 60})
	if err != nil {
		t.Fatal(err)
	}
	find := func(glyphs []placed, text string) placed {
		t.Helper()
		i := slices.IndexFunc(glyphs, func(p placed) bool { return p.text == text })
		if i < 0 {
			t.Fatalf("got %v, want %q among them", glyphs, text)
		}
		return glyphs[i]
	}
	glyphs := interpret(t, a).glyphs
	for _, c := range []struct {
		base, mark string
		above      bool
	}{{"q", "\u0323", false}, {"ب", "\u064e", true}} {
		base, mark := find(glyphs, c.base), find(glyphs, c.mark)
		if middle := (mark.x0 + mark.x1) / 2; middle < base.x0 || middle > base.x1 || mark.y0 > base.y1 != c.above || mark.y1 < base.y0 == c.above {
			t.Errorf("got %q at %v of base %q at %v, want it above: %v", c.mark, mark, c.base, base, c.above)
		}
	}
	if left, right := find(glyphs, "A"), find(glyphs, "V"); right.x0 >= left.x1 {
		t.Errorf("got V at %.2f behind A until %.2f, want them kerned", right.x0, left.x1)
	}
}

func FuzzNew(f *testing.F) {
	f.Add("ANA NÚÑEZ PÉREZ", "Conformidad", "https://firma.example.es/v/K7QF28ABCD349ZXW", 212.0, 76.0)
	f.Add("محمد بن عبد الله", "موافق 12-3.", "x", 640.0, 42.0)
	f.Add("\xff\u202eZEREP\u202c", "a\u0301\u0301\u0301\u0301\u0301\u0301", strings.Repeat("/", 300), 90.0, 30.0)
	f.Fuzz(func(t *testing.T, name, reason, url string, width, height float64) {
		a, err := New(Options{Name: name, Reason: reason, URL: url}, Box{width, height})
		if err != nil {
			if !errors.Is(err, ErrNoRoom) && !errors.Is(err, ErrTooLong) {
				t.Errorf("got %v, want ErrNoRoom or ErrTooLong", err)
			}
			return
		}
		if width <= 1e6 && height <= 1e6 {
			interpret(t, a)
		}
	})
}

func TestCheckCodeIsTheAddress(t *testing.T) {
	t.Parallel()
	o := sample()
	a, err := New(o, Box{300, 120})
	if err != nil {
		t.Fatal(err)
	}
	want, err := qr.Encode(o.URL, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	black := map[[2]int]bool{}
	for _, m := range interpret(t, a).modules {
		for x := m[0]; x < m[0]+m[2]; x++ {
			black[[2]int{x, want.Size - 1 - m[1]}] = true
		}
	}
	for y := range want.Size {
		for x := range want.Size {
			if black[[2]int{x, y}] != want.Black(x, y) {
				t.Fatalf("got module %d,%d %v, want %v", x, y, black[[2]int{x, y}], want.Black(x, y))
			}
		}
	}
}

func TestCheckCodeOnlyIfReadable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		box   Box
		url   string
		coded bool
	}{
		{"corner", Box{212, 76}, sample().URL, true},
		{"margin", Box{640, 42}, sample().URL, true},
		{"small field", Box{120, 18}, sample().URL, false},
		{"long address", Box{120, 90}, "https://firma.example.es/" + strings.Repeat("x", 300), false},
		{"none", Box{212, 76}, "", false},
	} {
		o := sample()
		o.URL = c.url
		a, err := New(o, c.box)
		if err != nil {
			t.Errorf("%s: got %v, want a stamp", c.name, err)
			continue
		}
		if a.Coded != c.coded || (len(interpret(t, a).modules) > 0) != c.coded {
			t.Errorf("%s: got code %v, want %v", c.name, a.Coded, c.coded)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	long := sample()
	long.Reason = strings.Repeat("a", maxText+1)
	full := sample()
	full.Reason = strings.Repeat("palabra ", 60)
	distant := sample()
	distant.Time = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		o    Options
		box  Box
		want error
	}{
		{"too long", long, Box{212, 76}, ErrTooLong},
		{"too much", full, Box{100, 30}, ErrNoRoom},
		{"no box", sample(), Box{}, ErrNoRoom},
		{"no number", sample(), Box{math.NaN(), 10}, ErrNoRoom},
		{"endless", sample(), Box{math.Inf(1), 10}, ErrNoRoom},
		{"the year 12026", distant, Box{212, 76}, ErrTime},
	} {
		if _, err := New(c.o, c.box); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestWhatIsMissingIsTold(t *testing.T) {
	t.Parallel()
	o := sample()
	o.Name, o.Reason = "李 Lee 龍", "\u202eevil\u202c \U0001f600"
	a, err := New(o, Box{300, 100})
	if err != nil {
		t.Fatal(err)
	}
	if want := []rune{'李', '龍'}; !slices.Equal(a.Missing, want) {
		t.Errorf("got %q missing, want %q", a.Missing, want)
	}
	if text := interpret(t, a).text.String(); !strings.Contains(text, "李 Lee 龍") || !strings.Contains(text, "evil") || strings.Contains(text, "\u202e") {
		t.Errorf("got %q, want all characters but the directional controls", text)
	}
}
