package e2e

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// contract is a PDF of one page with more in its catalogue and on its page.
func contract(catalog, page string) client.NewDocument {
	draw := "BT /F 24 Tf 72 700 Td (Contrato de arrendamiento) Tj ET"
	var out bytes.Buffer
	var at []int
	out.WriteString("%PDF-1.7\n")
	for i, body := range []string{
		"<</Type/Catalog/Pages 2 0 R" + catalog + ">>",
		"<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>" + page + ">>",
		fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(draw), draw),
	} {
		at = append(at, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, body)
	}
	start := out.Len()
	out.WriteString("xref\n0 5\n0000000000 65535 f \n")
	for _, offset := range at {
		fmt.Fprintf(&out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&out, "trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", start)
	return client.NewDocument{Name: "Contrato.pdf", MediaType: "application/pdf", Format: client.Pades, Content: new(out.Bytes())}
}

const script = "<</S/JavaScript/JS(app.alert)>>"

// TestBadDocumentInBatch has one document of three refused: the answer says
// which, why and what to do, and the others can be signed.
func TestBadDocumentInBatch(t *testing.T) {
	t.Parallel()
	c := certified(t)
	good := []client.NewDocument{sample(t, "cairo.pdf"), note()}
	for name, test := range map[string]struct {
		bad                client.NewDocument
		code, says, remedy string
	}{
		"a script":  {contract("/OpenAction"+script, ""), "document_unsafe", "JavaScript", "Quite los progr"},
		"a program": {contract("/OpenAction<</S/Launch/F(cmd.exe)>>", ""), "document_unsafe", "iniciar un programa", "PDF/A"},
		"no PDF":    {client.NewDocument{Name: "a.pdf", MediaType: "application/pdf", Format: client.Pades, Content: new([]byte("PK\x03\x04…"))}, "document_not_pdf", "no lo es", "Convierta"},
		"another's": {client.NewDocument{Name: "a.pdf", MediaType: "application/pdf", Format: client.Pades, Upload: new("AAAA")}, "upload_unknown", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := persist(t, rand.Text(), order(c, slices.Insert(slices.Clone(good), 1, test.bad)...))
			if len(r.Documents) != 2 || r.Documents[0].Name != good[0].Name || r.Documents[1].Name != good[1].Name {
				t.Errorf("got documents %+v, want the two that are good", r.Documents)
			}
			if len(r.Rejected) != 1 || r.Rejected[0].Position != 2 || r.Rejected[0].Name != test.bad.Name {
				t.Fatalf("got %+v rejected, want the second", r.Rejected)
			}
			told := r.Rejected[0].Refusal
			if told.Code != test.code || !strings.Contains(told.Detail, test.says) {
				t.Errorf("got %+v, want %s with %q", told, test.code, test.says)
			}
			if !strings.Contains(told.Remedy, test.remedy) {
				t.Errorf("got remedy %v, want %q", told.Remedy, test.remedy)
			}
			// Alone it is refused, and the same key then serves for others.
			key := rand.Text()
			wantProblem(t, submitOrder(t, key, order(c, test.bad)), test.code, test.says)
			if got := shared.query(t, `SELECT count(*) FROM requests WHERE idempotency_key = $1`, key); got != 0 {
				t.Errorf("got %d requests, want none", got)
			}
			if err := submitOrder(t, key, order(c, good...)); err != nil {
				t.Errorf("without it: %v", err)
			}
		})
	}
}

// TestWarnings reads on the page what is told of a document that is signed all
// the same, at the width of a desk and of a telephone.
func TestWarnings(t *testing.T) {
	t.Parallel()
	b, c := newTab(t), certified(t)
	odd := contract("", "/Annots[<</Type/Annot/Subtype/Link/Rect[72 690 300 720]/A<</S/SubmitForm/F(https://example.es)>>>>"+
		"<</Type/Annot/Subtype/Link/Rect[72 600 300 630]/A"+script+">>]")
	r := ask(t, c, odd, sample(t, "cairo.pdf"))
	var told []string
	for _, f := range r.Documents[0].Findings {
		told = append(told, f.Code)
		if f.Title == "" || f.Detail == "" {
			t.Errorf("got %+v, want words", f)
		}
	}
	slices.Sort(told)
	if want := []string{"action_submit", "javascript_form"}; !slices.Equal(told, want) {
		t.Errorf("got findings %v, want %v", told, want)
	}
	if got := r.Documents[1].Findings; len(got) != 0 {
		t.Errorf("got findings %v of an ordinary document", got)
	}
	b.open(r.SigningURL)
	b.identify(c)
	b.painted()
	for _, f := range r.Documents[0].Findings {
		if text := b.text(".viewer"); !strings.Contains(text, f.Title) || !strings.Contains(text, f.Detail) {
			t.Errorf("the page does not say %q: %s", f.Title, text)
		}
	}
	b.narrow()
	b.press(`.documents li:nth-child(2) a`)
	b.painted()
	if n := eval[int](b, `document.querySelectorAll(".viewer .notice").length`); n != 0 {
		t.Errorf("got %d notices beside an ordinary document", n)
	}
	b.confirmed(c)
}

// TestDocumentChanges has somebody change a document in the database while its
// citizen reads it. What was read is what is signed, and nothing else leaves.
func TestDocumentChanges(t *testing.T) {
	t.Parallel()
	c := certified(t)
	d := sample(t, "cairo.pdf")
	d.Signature = &client.SignatureOptions{Stamp: &client.Stamp{}}
	r := ask(t, c, d)
	b := identified(t, c, r)
	at(t, b, "/revisar")
	const flip = `UPDATE content_pieces SET data = set_byte(data, 5000, get_byte(data, 5000) # 1)
		WHERE content_id = (SELECT content_id FROM documents WHERE request_id = $1)`
	shared.exec(t, flip, r.ID)
	since := time.Now()
	press(t, b, "/codigo")
	submit(t, b, form{"code": code(t, c, since)})
	if _, err := shared.world.Result(t.Context(), r.ID, 1); err == nil {
		t.Error("another document than was read leaves")
	} else {
		var problem *client.Problem
		if !errors.As(err, &problem) || problem.Code != "internal" {
			t.Errorf("got %v, want a fault of ours", err)
		}
	}
	shared.exec(t, flip, r.ID)
	signed, err := shared.world.Result(t.Context(), r.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(signed, *d.Content) {
		t.Error("the signed file does not begin with the document as it came")
	}
}

// TestCertificateReplaced revokes a certificate and makes another while the
// document is being read. The old session signs no more; the new one does.
func TestCertificateReplaced(t *testing.T) {
	t.Parallel()
	c := certified(t)
	r := ask(t, c, sample(t, "cairo.pdf"))
	old := identified(t, c, r)
	at(t, old, "/revisar")
	if err := c.Undergo(t.Context(), client.ActRevoke, "cessation_of_operation"); err != nil {
		t.Fatal(err)
	}
	if err := c.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	shared.remember(c.Activation)
	if err := c.Activate(t.Context()); err != nil {
		t.Fatal(err)
	}
	sign(t, c, ask(t, c, note())) // makes another certificate
	press(t, old, "/codigo")
	if strings.HasSuffix(old.URL().Path, "/confirmar") && old.Status() == 200 {
		t.Errorf("a session of the old certificate goes on: %s", old.Text())
	}
	wantState(t, r.ID, "pending")
	sign(t, c, r)
	signed, _ := collect(t, r, 1)
	if got := verified(t, signed, nil); got.Indication == "TOTAL-FAILED" {
		t.Errorf("got %+v", got)
	}
}
