package pages_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// TestSandboxSaysSo: the banner stands on a page of a sandbox in every language,
// and on what it draws, and nowhere else.
func TestSandboxSaysSo(t *testing.T) {
	t.Parallel()
	words, usual := shared(t)
	sandbox, err := pages.New(pages.Options{Catalogue: words, Sandbox: true})
	if err != nil {
		t.Fatal(err)
	}
	for on, drawn := range map[bool]*pages.Pages{true: sandbox, false: usual} {
		for _, language := range words.Languages() {
			w := httptest.NewRecorder()
			if err := drawn.Render(w, http.StatusOK, language.Tag, &pages.Identify{SubmitURL: "/firma/1"}); err != nil {
				t.Fatal(err)
			}
			banner := `<p class="sandbox">` + words.For(language.Tag).Text("layout.sandbox", nil) + `</p>`
			if got := strings.Contains(w.Body.String(), banner); got != on {
				t.Errorf("%s: got the banner %v, want %v", language.Tag, got, on)
			}
		}
		report := &verify.Report{Name: "contrato.pdf", Indication: verify.Indeterminate, Time: time.Now()}
		paper, err := drawn.ReportPDF("es", report)
		if err != nil {
			t.Fatal(err)
		}
		page, _, err := drawn.ReportHTML("es", report)
		if err != nil {
			t.Fatal(err)
		}
		banner := words.For("es").Text("layout.sandbox", nil)
		for what, text := range map[string]string{"paper": pdfText(t, string(paper)), "report": string(page)} {
			if got := strings.Contains(text, banner); got != on {
				t.Errorf("%s: got the banner %v, want %v: %s", what, got, on, text)
			}
		}
	}
}
