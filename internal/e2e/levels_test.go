package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

func levels() []client.Level {
	return []client.Level{client.LevelB, client.LevelT, client.LevelLT, client.LevelLTA}
}

// collect downloads a signed document, which has to have what the request says.
func collect(t *testing.T, r *client.SignatureRequest, ordinal int) ([]byte, client.Document) {
	t.Helper()
	told := func() client.Document {
		answer, err := shared.world.Sede.GetSignatureRequestWithResponse(t.Context(), r.ID, nil)
		if err := client.Check(answer, err); err != nil {
			t.Fatal(err)
		}
		return answer.JSON200.Documents[ordinal-1]
	}
	document := told()
	signed, err := shared.world.Sede.GetSignedDocumentWithResponse(t.Context(), r.ID, ordinal)
	if err := client.Check(signed, err); err != nil {
		t.Fatal(err)
	}
	level := client.Level(signed.HTTPResponse.Header.Get("Rubrica-Signature-Level"))
	if document.LevelReached == nil || level != *document.LevelReached {
		document = told() // it may have been lifted in between
	}
	if document.LevelReached == nil || level != *document.LevelReached {
		t.Errorf("the download says %q, the request %v", level, document.LevelReached)
	}
	return signed.Body, document
}

// verdict is what rubrica verify says of one signature of ours.
type verdict struct {
	Indication string `json:"indication"`
	Level      string `json:"level"`
	Structure  string `json:"structure"`
}

// verified is of a document's first signature.
func verified(t *testing.T, signed, content []byte) verdict {
	t.Helper()
	return reported(t, signed, content)[0]
}

// reported is of all that it has; content is nil where it is inside.
func reported(t *testing.T, signed, content []byte) []verdict {
	t.Helper()
	dir := t.TempDir()
	file, args := filepath.Join(dir, "signed"), []string{"verify", "--json", "--trust", shared.root}
	if err := os.WriteFile(file, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	if content != nil {
		of := filepath.Join(dir, "content")
		if err := os.WriteFile(of, content, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--content", of)
	}
	// Its status says what the report says.
	out, err := exec.CommandContext(t.Context(), shared.program, append(args, file)...).Output()
	var report struct {
		Signatures []verdict `json:"signatures"`
	}
	if broken := json.Unmarshal(out, &report); broken != nil || len(report.Signatures) == 0 {
		t.Fatalf("rubrica verify: %v, %v: %s", err, broken, out)
	}
	return report.Signatures
}

// everyLevel makes every level in every format, with all that can be asked of
// each, and has others look at it.
func everyLevel(t *testing.T) {
	t.Helper()
	c := certified(t)
	content := []byte("De cualquier clase\x00\xff\r\n")
	formats := []struct {
		format    client.Format
		signature *client.SignatureOptions
	}{
		{client.Pades, &client.SignatureOptions{
			Reason: new("Conforme"), Location: new("Valdehierro"), Stamp: &client.Stamp{Page: new(-1), Csv: new("CSV-1234")},
		}},
		{client.CadesDetached, &client.SignatureOptions{
			Country: new("ES"), Locality: new("Valdehierro"), Commitment: new(client.ProofOfApproval), Policy: new(client.PolicyAGE19),
		}},
		{client.CadesAttached, nil},
	}
	for _, level := range levels() {
		var documents []client.NewDocument
		for _, f := range formats {
			d := client.NewDocument{Name: "datos.bin", MediaType: "application/octet-stream", Content: &content}
			if f.format == client.Pades {
				d = sample(t, "cairo.pdf")
			}
			d.Format, d.Level, d.Signature = f.format, &level, f.signature
			documents = append(documents, d)
		}
		r := ask(t, c, documents...)
		sign(t, c, r)
		for i, f := range formats {
			signed, document := collect(t, r, i+1)
			if *document.LevelReached != level || document.LevelMissing != nil {
				t.Errorf("%s: got %s lacking %v, want %s", f.format, *document.LevelReached, document.LevelMissing, level)
			}
			var got verdict
			switch f.format {
			case client.Pades:
				got = verified(t, signed, nil)
				file := filepath.Join(t.TempDir(), "signed.pdf")
				if err := os.WriteFile(file, signed, 0o600); err != nil {
					t.Fatal(err)
				}
				checkValid(t, file)
			case client.CadesDetached:
				got = verified(t, signed, content)
				checkCMS(t, signed, content)
			case client.CadesAttached:
				got = verified(t, signed, nil)
				checkCMS(t, signed, nil)
			}
			if got.Structure != string(level) && got.Level != string(level) {
				t.Errorf("%s: got %+v, want %s", f.format, got, level)
			}
			// Below B-LT nothing proves that the certificate was not revoked.
			if (level == client.LevelLT || level == client.LevelLTA) && got.Indication != "TOTAL-PASSED" {
				t.Errorf("%s at %s: got %+v, want it valid", f.format, level, got)
			}
		}
	}
}

// TestStampAsShown has somebody sign whom nobody knew when the request came. The
// stamp has the name all the same, and the page that the browser has shown is the
// result's, pixel by pixel.
func TestStampAsShown(t *testing.T) {
	t.Parallel()
	c := stranger(t)
	c.GivenName, c.Surnames = "José Ángel", "L·lorens i Güell"
	d := sample(t, "solicitud.pdf")
	d.Signature = &client.SignatureOptions{
		Reason: new("Aprobación"),
		Stamp:  &client.Stamp{Place: new(client.LeftMargin), Csv: new("CSV-1234-5678"), CheckURL: new("https://sede.example.es/csv")},
	}
	r := ask(t, c, d)
	if err := c.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Activate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := newTab(t)
	b.open(r.SigningURL)
	b.identify(c)
	b.painted()
	shown := b.shown()
	b.confirmed(c)
	signed, _ := collect(t, r, 1)
	file := filepath.Join(t.TempDir(), "signed.pdf")
	if err := os.WriteFile(file, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	checkPDF(t, file)
	result := drawn(t, file)
	if shown.Bounds() != result.Bounds() {
		t.Fatalf("got pictures of %v and %v", shown.Bounds(), result.Bounds())
	}
	if n := differing(shown, result); n != 0 {
		t.Errorf("%d pixels of the result are others than were shown", n)
	}
	bare := filepath.Join(t.TempDir(), "bare.pdf")
	if err := os.WriteFile(bare, *d.Content, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := differing(shown, drawn(t, bare)); n < 1000 {
		t.Errorf("the stamp takes %d pixels, want one that is seen", n)
	}
	text, err := exec.CommandContext(t.Context(), "pdftotext", "-l", "1", file, "-").Output()
	for _, want := range []string{"José Ángel L·lorens i Güell", "CSV-1234-5678", "***" + c.Identifier[3:7] + "**", "Ayuntamiento de Valdehierro"} {
		if err != nil || !strings.Contains(strings.Join(strings.Fields(string(text)), " "), want) {
			t.Errorf("the stamp does not say %q: %v", want, err)
		}
	}
}

// identify goes to the review page, by way of a certificate where there is none.
func (b *tab) identify(c *thread.Citizen) {
	b.Helper()
	b.fill("identifier", c.Identifier)
	b.fill("password", c.Password)
	b.press(`form button[type=submit]`)
	if strings.HasSuffix(b.address().Path, "/certificado") {
		since := time.Now()
		b.press(`form[action$="/certificado"] button`)
		b.fill("code", code(b.T, c, since))
		b.press(`form[action$="/certificado/codigo"] button`)
	}
	b.at("/revisar", "firmar")
}

// confirmed goes from the review page to the end.
func (b *tab) confirmed(c *thread.Citizen) {
	b.Helper()
	since := time.Now()
	b.press(`form[action$="/codigo"] button`)
	b.fill("code", code(b.T, c, since))
	b.press(`form[action$="/confirmar"] button`)
	b.at("/hecho", "firmado")
}

// shown is the picture of the page as the browser has it.
func (b *tab) shown() image.Image {
	b.Helper()
	address := eval[string](b, `(() => {
		const picture = document.querySelector(".sheet img"), canvas = document.createElement("canvas");
		canvas.width = picture.naturalWidth;
		canvas.height = picture.naturalHeight;
		canvas.getContext("2d").drawImage(picture, 0, 0);
		return canvas.toDataURL("image/png");
	})()`)
	_, text, _ := strings.Cut(address, ",")
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.Fatal(err)
	}
	return decoded(b.T, data)
}

// drawn is the first page of a file, as large as the pages show it.
func drawn(t *testing.T, file string) image.Image {
	t.Helper()
	data, err := exec.CommandContext(t.Context(), "pdftoppm", "-q", "-cropbox", "-r", "96", "-singlefile", "-png", file).Output()
	if err != nil {
		t.Fatalf("pdftoppm: %v", err)
	}
	return decoded(t, data)
}

func decoded(t *testing.T, data []byte) image.Image {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("decoding a picture: %v", err)
	}
	return picture
}

// differing counts the pixels that are not the same.
func differing(a, b image.Image) (n int) {
	same := func(x, y int) bool {
		return color.RGBAModel.Convert(a.At(x, y)) == color.RGBAModel.Convert(b.At(x, y))
	}
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			if !same(x, y) {
				n++
			}
		}
	}
	return n
}
