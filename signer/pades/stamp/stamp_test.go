package stamp_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/signer/pades/stamp"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

const address = "https://firma.example.es/v/K7QF28ABCD349ZXW"

func options() stamp.Options {
	return stamp.Options{
		Page: 1, Place: stamp.BottomLeft,
		Organisation: "Ayuntamiento de Gijón", Name: "ANA NÚÑEZ PÉREZ", Identifier: "***4567**", Reason: "Conformidad",
		CSV: "K7QF-28AB-CD34-9ZXW", URL: address,
		Time: time.Date(2026, 11, 21, 9, 43, 7, 0, time.UTC),
	}
}

// blank is a PDF with one empty page.
func blank(page stamp.Page) []byte {
	b := []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	var offsets []int
	for i, object := range []string{
		"<< /Type /Catalog /Pages 2 0 R /AcroForm << /SigFlags 3 /Fields [] >> >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [%g %g %g %g] /Rotate %d /UserUnit %g /Resources << >> >>",
			page.Box[0], page.Box[1], page.Box[2], page.Box[3], page.Rotate, max(page.UserUnit, 1)),
	} {
		offsets = append(offsets, len(b))
		b = fmt.Appendf(b, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	xref := len(b)
	b = fmt.Appendf(b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, at := range offsets {
		b = fmt.Appendf(b, "%010d 00000 n \n", at)
	}
	return fmt.Appendf(b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, xref)
}

// stamped is a one-page PDF with a stamp as a signature field's appearance.
type stamped struct {
	content []byte
	slots   []stamp.Slot
	look    *stamp.Appearance
	form    pdf.Ref
}

func put(t *testing.T, o stamp.Options, page stamp.Page) stamped {
	t.Helper()
	original := blank(page)
	f, err := pdf.Open(bytes.NewReader(original), int64(len(original)))
	if err != nil {
		t.Fatalf("opening the blank page: %v", err)
	}
	place, err := stamp.Locate(o, page)
	if err != nil {
		t.Fatalf("locating: %v", err)
	}
	a, err := stamp.New(o, place.Box)
	if err != nil {
		t.Fatalf("drawing: %v", err)
	}
	u := f.NewUpdate()
	drawn, err := a.AddTo(u, place)
	if err != nil {
		t.Fatalf("adding: %v", err)
	}
	pageRef := pdf.Ref{Number: 3}
	widget := u.Add(pdf.Dict{
		"Type": pdf.Name("Annot"), "Subtype": pdf.Name("Widget"), "FT": pdf.Name("Sig"), "T": pdf.String("Firma"),
		"F": int64(132), "P": pageRef, "Rect": place.RectArray(), "AP": pdf.Dict{"N": drawn.Form},
	})
	for ref, change := range map[pdf.Ref]pdf.Dict{
		pageRef:     {"Annots": pdf.Array{widget}},
		{Number: 1}: {"AcroForm": pdf.Dict{"SigFlags": int64(3), "Fields": pdf.Array{widget}}},
	} {
		old, err := u.Get(ref)
		dict, ok := old.(pdf.Dict)
		if err != nil || !ok {
			t.Fatalf("got %v, %v for object %v, want a dictionary", old, err, ref)
		}
		dict = dict.Clone()
		maps.Copy(dict, change)
		u.Set(ref, dict)
	}
	update, err := u.Bytes()
	if err != nil {
		t.Fatalf("writing: %v", err)
	}
	return stamped{content: append(original, update...), slots: drawn.Slots(), look: a, form: drawn.Form}
}

// tool runs a program of poppler or qpdf on a PDF; @ stands for its path.
func tool(t *testing.T, content []byte, name string, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stamped.pdf")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("writing the PDF: %v", err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "@", path)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return out
}

func TestForeignToolsTakeIt(t *testing.T) {
	t.Parallel()
	s := put(t, options(), stamp.Page{Box: [4]float64{0, 0, 595, 842}})
	if out := tool(t, s.content, "qpdf", "--check", "@"); bytes.Contains(out, []byte("WARNING")) {
		t.Errorf("got from qpdf %s, want no warning", out)
	}
	fonts := strings.Split(strings.TrimSpace(string(tool(t, s.content, "pdffonts", "@"))), "\n")
	if len(fonts) != 3 {
		t.Fatalf("got fonts %q, want one", fonts)
	}
	if got, want := strings.Fields(fonts[2])[1:7], []string{"CID", "TrueType", "Identity-H", "yes", "yes", "yes"}; !cmp.Equal(got, want) {
		t.Errorf("got %q, want embedded, subset, with Unicode: %q", got, want)
	}
}

func TestTextComesBack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"ANA NÚÑEZ PÉREZ",
		"Güell i Goŀlecció Col·lecció",
		"Ἀλέξανδρος Παπαδόπουλος",
		"محمد بن عبد الله الأندلسي",
		"Đặng Thị Ngọc Ánh",
		"ffi office fluß",
		"李小龍 Lee", // not in the typeface, and yet in the copied text
		"María de los Ángeles Fernández de Córdoba y Álvarez de Toledo",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.Name = name
			s := put(t, o, stamp.Page{Box: [4]float64{0, 0, 595, 842}})
			text := strings.NewReplacer("\u202a", "", "\u202b", "", "\u202c", "").Replace(string(tool(t, s.content, "pdftotext", "@", "-")))
			text = strings.Join(strings.Fields(text), " ")
			for _, want := range []string{
				o.Organisation, "Firmado por", name, "DNI/NIE ***4567**", "21/11/2026 10:43:07 (UTC+01:00)", "Motivo: Conformidad",
				"CSV: K7QF-28AB-CD34-9ZXW", address,
			} {
				if !strings.Contains(text, want) {
					t.Errorf("got %q, want it to contain %q", text, want)
				}
			}
		})
	}
}

// The time is overwritten in the finished file, and nothing else changes.
func TestTimeIsOverwritten(t *testing.T) {
	t.Parallel()
	for _, place := range []stamp.Place{stamp.BottomRight, stamp.LeftMargin} {
		o := options()
		o.Place = place
		s := put(t, o, stamp.Page{Box: [4]float64{0, 0, 595, 842}, Rotate: 90})
		later := time.Date(2027, 7, 6, 22, 58, 9, 0, time.UTC)
		if len(s.slots) != 1 {
			t.Fatalf("got %d slots, want 1", len(s.slots))
		}
		slot := s.slots[0]
		if got, err := slot.Decode(s.content[slot.Offset:][:slot.Size()]); err != nil || !got.Equal(o.Time) {
			t.Fatalf("got %v, %v in the slot, want %v", got, err, o.Time)
		}
		before := bytes.Clone(s.content)
		if err := slot.Fix(s.content, later); err != nil {
			t.Fatalf("overwriting: %v", err)
		}
		text := string(tool(t, s.content, "pdftotext", "@", "-"))
		if want := "07/07/2027 00:58:09 (UTC+02:00)"; !strings.Contains(text, want) || strings.Contains(text, "10:43:07") {
			t.Errorf("got %q, want it to say %s and not the old time", text, want)
		}
		copy(before[slot.Offset:], s.content[slot.Offset:][:slot.Size()])
		if !bytes.Equal(before, s.content) {
			t.Error("got changes outside the slot, want none")
		}
		o.Time = later
		if again := put(t, o, stamp.Page{Box: [4]float64{0, 0, 595, 842}, Rotate: 90}); !bytes.Equal(again.look.Content, fixed(t, s, later)) {
			t.Error("got another content than one drawn with the later time, want the same")
		}
	}
}

func fixed(t *testing.T, s stamped, at time.Time) []byte {
	t.Helper()
	content := bytes.Clone(s.look.Content)
	if err := s.look.Slots[0].Fix(content, at); err != nil {
		t.Fatalf("overwriting: %v", err)
	}
	return content
}

// Whatever the page's rotation, origin and unit are, its reader sees the same.
func TestReaderSeesTheSame(t *testing.T) {
	t.Parallel()
	const width, height = 500.0, 640.0
	pages := []stamp.Page{
		{Box: [4]float64{0, 0, width, height}},
		{Box: [4]float64{-30, 50, width - 30, height + 50}},
		{Box: [4]float64{17, -99, height + 17, width - 99}, Rotate: 90},
		{Box: [4]float64{100, 200, width + 100, height + 200}, Rotate: 180},
		{Box: [4]float64{-height, -width, 0, 0}, Rotate: 270},
		{Box: [4]float64{10, 10, height/2 + 10, width/2 + 10}, Rotate: 90, UserUnit: 2},
	}
	for _, place := range []stamp.Place{
		stamp.TopLeft, stamp.TopRight, stamp.BottomLeft, stamp.BottomRight,
		stamp.LeftMargin, stamp.RightMargin, stamp.TopMargin, stamp.BottomMargin, stamp.FreeRect,
	} {
		t.Run(string(place), func(t *testing.T) {
			t.Parallel()
			o := options()
			o.Place, o.Rect = place, [4]float64{50, 60, 350, 180}
			var first []byte
			for i, page := range pages {
				// Poppler's pdftoppm does not scale by UserUnit: do it in its place.
				resolution := fmt.Sprint(72 * max(page.UserUnit, 1))
				image := tool(t, put(t, o, page).content, "pdftoppm", "-gray", "-r", resolution, "@")
				if i == 0 {
					first = image
					if ink := 255 - mean(image, nil); ink < 0.5 {
						t.Fatalf("got %.2f of ink, want a stamp", ink)
					}
					continue
				}
				if got := mean(image, first); got > 0.6 {
					t.Errorf("got a mean difference of %.2f on page %d, want none but smoothing", got, i)
				}
			}
		})
	}
}

// mean is the mean difference of two grey images, or of one from black.
func mean(a, b []byte) float64 {
	header := bytes.Index(a, []byte("\n255\n")) + 5
	if b != nil && (len(a) != len(b) || !bytes.Equal(a[:header], b[:header])) {
		return math.Inf(1)
	}
	sum := 0.0
	for i := header; i < len(a); i++ {
		v := float64(a[i])
		if b != nil {
			v = math.Abs(v - float64(b[i]))
		}
		sum += v
	}
	return sum / float64(len(a)-header)
}
