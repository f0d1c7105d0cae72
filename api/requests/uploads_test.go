package requests_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// count is how many rows a table has.
func (h *house) count(table string) (n int) {
	h.Helper()
	if err := h.owner.QueryRow(h.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		h.Fatal(err)
	}
	return n
}

func TestUpload(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	limit := int(h.Limits.DocumentBytes)
	for name, tt := range map[string]struct {
		size int
		code policies.Code
	}{
		"0 bytes":   {0, policies.DocumentEmpty},
		"1 byte":    {1, ""},
		"all":       {limit, ""},
		"one more":  {limit + 1, policies.DocumentTooLarge},
		"much more": {3 * limit, policies.DocumentTooLarge},
	} {
		u, err := h.Upload(t.Context(), h.client.ID, bytes.NewReader(make([]byte, tt.size)))
		wantRefusal(t, err, tt.code)
		if tt.code == "" && (u.Size != int64(tt.size) || u.ID == "") {
			t.Errorf("%s: got %+v", name, u)
		}
		if refusal, ok := errors.AsType[*policies.Refusal](err); ok && tt.code == policies.DocumentTooLarge && refusal.Params["limit"] != "2 MB" {
			t.Errorf("%s: got %v, want the limit named", name, refusal.Params)
		}
	}
	before := h.count("contents")
	broken := io.MultiReader(strings.NewReader("the beginning"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := h.Upload(t.Context(), h.client.ID, broken); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that breaks off: got %v", err)
	}
	if after := h.count("contents"); after != before {
		t.Errorf("a body that breaks off left %d contents", after-before)
	}
}

// An upload serves its own application, as often as it likes, and only unchanged.
func TestUploadIsUsed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := pdf(t).Content
	made, err := h.Upload(t.Context(), h.client.ID, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	use := func(format signer.Format) requests.Upload {
		return requests.Upload{Name: "acta.pdf", MediaType: "application/pdf", Format: format, ID: made.ID}
	}
	ask := func(key string, change func(*requests.Submission)) (signer.Request, error) {
		sub := h.submission(use(signer.PAdES), use(signer.CAdESAttached))
		sub.IdempotencyKey = key
		if change != nil {
			change(&sub)
		}
		return h.Submit(t.Context(), sub)
	}
	for _, key := range []string{"first", "second"} {
		r, err := ask(key, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range r.Documents {
			f, err := h.Original(t.Context(), r.ID, d)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(whole(t, f), content) {
				t.Errorf("%s: document %d is another than was uploaded", key, d.Ordinal)
			}
		}
	}
	if got := h.count("contents"); got != 1 {
		t.Errorf("got %d contents for one upload that four documents use", got)
	}

	other := h.client
	other.ID, other.Name = "other", "Otra"
	if err := h.db.AddApplication(t.Context(), other, h.clock.Now()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*requests.Submission)
		code   policies.Code
	}{
		"another application": {func(s *requests.Submission) { s.Client.ID = "other" }, policies.UploadUnknown},
		"another id":          {func(s *requests.Submission) { s.Documents[0].ID, s.Documents[1].ID = "AAAA", "AAAA" }, policies.UploadUnknown},
		"and content besides": {func(s *requests.Submission) { s.Documents[1].Content = []byte("x") }, policies.RequestMalformed},
	} {
		_, err := ask(name, tt.change)
		wantRefusal(t, err, tt.code)
	}
	h.exec(`UPDATE content_pieces SET data = set_byte(data, 9, 1)`, nil)
	_, err = ask("changed", nil)
	wantDamage(t, err)
	h.exec(`DELETE FROM contents`, nil)
	_, err = ask("gone", nil)
	wantRefusal(t, err, policies.UploadUnknown)
}

// Where no document can be signed, nothing is kept, and the first is named. The
// same key then serves for others.
func TestBatchOfBadDocuments(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bad := pdf(t)
	bad.Content = bad.Content[:len(bad.Content)/2]
	_, err := h.Submit(t.Context(), h.submission(bad, bad))
	wantRefusal(t, err, policies.DocumentDamaged)
	if refusal, ok := errors.AsType[*policies.Refusal](err); !ok || refusal.Params["document"] != "1" {
		t.Errorf("got %v, want the first document named", err)
	}
	for _, table := range []string{"requests", "documents", "contents", "content_pieces"} {
		if got := h.count(table); got != 0 {
			t.Errorf("got %d rows in %s, want none", got, table)
		}
	}
	h.submit(pdf(t), text(signer.CAdESDetached))
}

// Of a file that is signed whatever it is, what the rules allow is not told.
func TestFindingsOfCAdES(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.Documents = policies.DocumentRules{policies.FindingRevisions: policies.VerdictAllow, policies.FindingRevisionsChanged: policies.VerdictWarn}
	for _, tt := range []struct {
		page string
		want []string
	}{
		{"(Contrato)", nil},
		{"(Otra cosa)", []string{string(policies.FindingRevisionsChanged)}},
	} {
		u := requests.Upload{Name: "acta.pdf", MediaType: "application/pdf", Format: signer.CAdESDetached, Content: revised(tt.page)}
		sub := h.submission(u)
		sub.IdempotencyKey = tt.page
		r, err := h.Submit(t.Context(), sub)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Documents[0]; !slices.Equal(got.Findings, tt.want) || got.Pages != 1 {
			t.Errorf("%s: got %d pages, findings %v, want %v", tt.page, got.Pages, got.Findings, tt.want)
		}
	}
}

// revised is a PDF of one page whose content was written a second time.
func revised(text string) []byte {
	var out bytes.Buffer
	at := map[int]int{}
	write := func(number int, body string) {
		at[number] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", number, body)
	}
	content := func(text string) string {
		draw := "BT /F 24 Tf 72 700 Td " + text + " Tj ET"
		return fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(draw), draw)
	}
	out.WriteString("%PDF-1.7\n")
	write(1, "<</Type/Catalog/Pages 2 0 R>>")
	write(2, "<</Type/Pages/Kids[3 0 R]/Count 1>>")
	write(3, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>")
	write(4, content("(Contrato)"))
	first := out.Len()
	out.WriteString("xref\n0 5\n0000000000 65535 f \n")
	for number := range 4 {
		fmt.Fprintf(&out, "%010d 00000 n \n", at[number+1])
	}
	fmt.Fprintf(&out, "trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", first)
	write(4, content(text))
	second := out.Len()
	fmt.Fprintf(&out, "xref\n4 1\n%010d 00000 n \ntrailer\n<</Size 5/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n", at[4], first, second)
	return out.Bytes()
}

// A stamp without room for a name is refused before its citizen comes, known or not.
func TestSmallStamp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i, tt := range []struct {
		size float64
		code policies.Code
	}{{60, policies.StampInvalid}, {180, ""}} {
		u := pdf(t)
		u.Options.Stamp = &requests.Stamp{Place: "rect", Rect: [4]float64{50, 50, 50 + tt.size, 50 + tt.size/3}}
		sub := h.submission(u)
		sub.IdempotencyKey = fmt.Sprint(i)
		_, err := h.Submit(t.Context(), sub)
		wantRefusal(t, err, tt.code)
	}
}
