package pdf_test

import (
	"bytes"
	"encoding/ascii85"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

// TestFilters undoes what the encoders here do, and qpdf has to agree with both.
func TestFilters(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("Núñez, Begoña: "), 2000)
	noise := make([]byte, 40_000)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	names := func(names ...pdf.Name) pdf.Array {
		list := pdf.Array{}
		for _, name := range names {
			list = append(list, name)
		}
		return list
	}
	cases := map[int]struct {
		dict pdf.Dict
		data []byte
		want []byte
	}{
		10: {pdf.Dict{}, text, text},
		11: {pdf.Dict{"Filter": pdf.Name("FlateDecode")}, deflate(t, text), text},
		12: {pdf.Dict{"Filter": pdf.Name("LZWDecode")}, encodeLZW(text, 1), text},
		13: {pdf.Dict{"Filter": pdf.Name("LZWDecode")}, encodeLZW(noise, 1), noise},
		14: {pdf.Dict{"Filter": pdf.Name("LZWDecode"), "DecodeParms": pdf.Dict{"EarlyChange": int64(0)}}, encodeLZW(noise, 0), noise},
		15: {pdf.Dict{"Filter": names("ASCIIHexDecode")}, append([]byte(hex.EncodeToString(text)), '>'), text},
		16: {pdf.Dict{"Filter": names("ASCII85Decode", "FlateDecode")}, encode85(deflate(t, text)), text},
		17: {pdf.Dict{"Filter": pdf.Name("RunLengthDecode")}, append(encodeRuns(noise), 128), noise},
		18: {pdf.Dict{"Filter": pdf.Name("FlateDecode"), "DecodeParms": pdf.Dict{
			"Predictor": int64(15), "Columns": int64(20), "Colors": int64(2),
		}}, deflate(t, encodePNG(noise, 40, 2)), noise},
		19: {pdf.Dict{"Filter": names("FlateDecode"), "DecodeParms": pdf.Array{pdf.Dict{
			"Predictor": int64(2), "Columns": int64(10), "Colors": int64(4),
		}}}, deflate(t, encodeTIFF(noise, 40, 4)), noise},
	}
	b := newBuilder("1.7")
	objects := map[int]pdf.Object{1: pdf.Dict{"Type": pdf.Name("Catalog")}}
	for number, c := range cases {
		objects[number] = flow{c.dict, c.data}
	}
	b.revision(t, plainStyle, objects)
	f := open(t, b.buf.Bytes())
	path := filepath.Join(t.TempDir(), "filters.pdf")
	if err := os.WriteFile(path, b.buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for number, c := range cases {
		s, err := f.Stream(pdf.Ref{Number: number})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Data(s, int64(len(c.want))); err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("object %d: got %d octets %v, want %d", number, len(got), err, len(c.want))
		}
		_, err = f.Data(s, int64(len(c.want)-1))
		wantRefusal(t, err, policies.DocumentTooComplex)
		theirs, err := exec.CommandContext(t.Context(), "qpdf", "--show-object="+strconv.Itoa(number), "--filtered-stream-data", path).Output()
		if err != nil || !bytes.Equal(theirs, c.want) {
			t.Errorf("object %d: qpdf gets %d octets %v, want %d", number, len(theirs), err, len(c.want))
		}
	}
}

// TestFilterExamples are those of ISO 32000-2, 7.4, and what is broken.
func TestFilterExamples(t *testing.T) {
	t.Parallel()
	f := open(t, onePage(t, plainStyle))
	for name, c := range map[string]struct {
		filter     pdf.Name
		data, want string
		bad        bool
	}{
		"lzw":            {"LZWDecode", "\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01", "-----A---B", false},
		"lzw, cut":       {"LZWDecode", "\x80\x0b\x60\x50", "---", false},
		"lzw, no code":   {"LZWDecode", "\x80\x7f\xff", "", true},
		"hex, odd":       {"ASCIIHexDecode", "41 4\n2 5>zz", "ABP", false},
		"hex, no digit":  {"ASCIIHexDecode", "4x>", "", true},
		"85":             {"ASCII85Decode", "87cUR\nD]i,\"Ebo80~>junk", "Hello World!", false},
		"85, z":          {"ASCII85Decode", "z~>", "\x00\x00\x00\x00", false},
		"85, bad":        {"ASCII85Decode", "87c\x80~>", "", true},
		"runs":           {"RunLengthDecode", "\x02abc\xfed\x80x", "abcddd", false},
		"runs, cut":      {"RunLengthDecode", "\x05ab", "", true},
		"flate, empty":   {"FlateDecode", "", "", false},
		"flate, broken":  {"FlateDecode", "\x78\x9c\xff\xff\xff", "", true},
		"flate, no head": {"FlateDecode", "plain text", "", true},
		"image":          {"JPXDecode", "", "", true},
	} {
		got, err := f.Data(pdf.NewStream(pdf.Dict{"Filter": c.filter}, []byte(c.data)), 1000)
		if (err != nil) != c.bad || string(got) != c.want {
			t.Errorf("%s: got %q %v, want %q", name, got, err, c.want)
		}
		if err != nil && !refused(err) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

// TestBombs inflates no further than it must.
func TestBombs(t *testing.T) {
	t.Parallel()
	f := open(t, onePage(t, plainStyle))
	zeros := deflate(t, make([]byte, 50<<20))
	spaces := deflate(t, deflate(t, bytes.Repeat([]byte(" "), 50<<20)))
	for name, s := range map[string]*pdf.Stream{
		"zeros": pdf.NewStream(pdf.Dict{"Filter": pdf.Name("FlateDecode")}, zeros),
		// What comes out is little; what stands in between is not.
		"in between": pdf.NewStream(pdf.Dict{"Filter": pdf.Array{
			pdf.Name("FlateDecode"), pdf.Name("FlateDecode"), pdf.Name("ASCIIHexDecode"),
		}}, spaces),
		"many filters": pdf.NewStream(pdf.Dict{"Filter": pdf.Array{
			pdf.Name("A85"), pdf.Name("A85"), pdf.Name("A85"), pdf.Name("A85"), pdf.Name("A85"), pdf.Name("A85"),
			pdf.Name("A85"), pdf.Name("A85"), pdf.Name("A85"),
		}}, nil),
	} {
		_, err := f.Data(s, 1<<20)
		if err == nil {
			t.Errorf("%s: got data", name)
		}
		wantRefusal(t, err, policies.DocumentTooComplex)
	}
}

// TestLZW undoes what an encoder in the words of the TIFF specification does.
func TestLZW(t *testing.T) {
	t.Parallel()
	f := open(t, onePage(t, plainStyle))
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SliceOfN(rapid.ByteRange(0, 3), 0, 5000).Draw(t, "data")
		early := rapid.IntRange(0, 1).Draw(t, "early")
		d := pdf.Dict{"Filter": pdf.Name("LZWDecode"), "DecodeParms": pdf.Dict{"EarlyChange": int64(early)}}
		got, err := f.Data(pdf.NewStream(d, encodeLZW(letters, early)), 5000)
		if err != nil || !bytes.Equal(got, letters) {
			t.Fatalf("got %v %v, want %v", got, err, letters)
		}
	})
}

func encodeLZW(data []byte, early int) []byte {
	var out []byte
	var bits uint64
	var have, width, next int
	var codes map[string]int
	put := func(code int) {
		bits, have = bits<<width|uint64(code), have+width
		for ; have >= 8; have -= 8 {
			out = append(out, byte(bits>>(have-8)))
		}
	}
	clearAll := func() {
		if width > 0 {
			put(256)
		}
		width, next, codes = 9, 258, map[string]int{}
		for i := range 256 {
			codes[string([]byte{byte(i)})] = i
		}
	}
	width = 9
	clearAll()
	var run []byte
	for _, c := range data {
		longer := append(bytes.Clone(run), c)
		if _, ok := codes[string(longer)]; ok {
			run = longer
			continue
		}
		put(codes[string(run)])
		codes[string(longer)] = next
		if next == 1<<width-early && width < 12 {
			width++
		}
		if next++; next == 4094 {
			clearAll()
		}
		run = []byte{c}
	}
	if len(run) > 0 {
		put(codes[string(run)])
		if next == 1<<width-early && width < 12 {
			width++
		}
	}
	put(257)
	return append(out, byte(bits<<(8-have)))
}

func encode85(data []byte) []byte {
	var out bytes.Buffer
	w := ascii85.NewEncoder(&out)
	_, _ = w.Write(data)
	_ = w.Close()
	out.WriteString("~>")
	return out.Bytes()
}

func encodeRuns(data []byte) []byte {
	var out []byte
	for i := 0; i < len(data); {
		n := 1
		for i+n < len(data) && n < 128 && data[i+n] == data[i] {
			n++
		}
		if n > 1 {
			out = append(out, byte(257-n), data[i])
		} else {
			out = append(out, 0, data[i])
		}
		i += n
	}
	return out
}

// encodePNG uses each of the five predictors in turn.
func encodePNG(data []byte, row, pixel int) []byte {
	var out []byte
	at := func(i, j int) int {
		if i < 0 || j < 0 {
			return 0
		}
		return int(data[i*row+j])
	}
	for i := range len(data) / row {
		kind := i % 5
		out = append(out, byte(kind))
		for j := range row {
			left, above, corner := at(i, j-pixel), at(i-1, j), at(i-1, j-pixel)
			estimate := left + above - corner
			nearest := left
			for _, candidate := range []int{above, corner} {
				if max(estimate-candidate, candidate-estimate) < max(estimate-nearest, nearest-estimate) {
					nearest = candidate
				}
			}
			predicted := []int{0, left, above, (left + above) / 2, nearest}[kind]
			out = append(out, byte(at(i, j)-predicted))
		}
	}
	return out
}

func encodeTIFF(data []byte, row, pixel int) []byte {
	out := bytes.Clone(data)
	for i := len(out) - 1; i >= 0; i-- {
		if i%row >= pixel {
			out[i] -= data[i-pixel]
		}
	}
	return out
}
