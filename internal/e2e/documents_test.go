package e2e

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// producers signs the real PDFs of all producers, in requests of several
// documents, and one of them in each form of CAdES.
func producers(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pdf", "*.pdf"))
	if err != nil || len(files) < 9 {
		t.Fatalf("got %d test documents, want 9 or more: %v", len(files), err)
	}
	documents := make([]client.NewDocument, 0, len(files)+2)
	for _, file := range files {
		documents = append(documents, sample(t, filepath.Base(file)))
	}
	content := []byte("De cualquier clase\x00\xff\r\n")
	documents = append(documents,
		client.NewDocument{Name: "datos.bin", MediaType: "application/octet-stream", Format: "cades-detached", Content: &content},
		client.NewDocument{Name: "datos.bin", MediaType: "application/octet-stream", Format: "cades-attached", Content: &content})
	c := active(t)
	for len(documents) > 0 {
		batch := documents[:min(6, len(documents))]
		documents = documents[len(batch):]
		r := ask(t, c, batch...)
		sign(t, c, r)
		for i, document := range batch {
			signed, err := shared.world.Result(t.Context(), r.ID, i+1)
			if err != nil {
				t.Fatal(err)
			}
			switch document.Format {
			case "cades-detached":
				checkCMS(t, signed, content)
			case "cades-attached":
				checkCMS(t, signed, nil)
			default:
				if !bytes.HasPrefix(signed, *document.Content) {
					t.Errorf("%s: the signed file does not begin with the document as it came", document.Name)
				}
				file := filepath.Join(t.TempDir(), document.Name)
				if err := os.WriteFile(file, signed, 0o600); err != nil {
					t.Fatal(err)
				}
				checkPDF(t, file)
			}
		}
	}
}

// encrypted is a PDF that a password opens.
func encrypted(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "encrypted.pdf")
	out, err := exec.CommandContext(t.Context(), "qpdf", "--encrypt", "usuario", "propietario", "256", "--",
		filepath.Join("..", "..", "testdata", "pdf", "cairo.pdf"), file).CombinedOutput()
	if err != nil {
		t.Fatalf("qpdf: %v: %s", err, out)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestBadRequests asks for what cannot be had. Each no has its stable code and
// its sentence, leaves nothing behind, and the same key then serves for what is
// right.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	c := certified(t)
	good := sample(t, "cairo.pdf")
	pdf := func(content []byte) func(*client.NewSignatureRequest) {
		return func(o *client.NewSignatureRequest) { o.Documents[0].Content = &content }
	}
	for name, test := range map[string]struct {
		spoil func(*client.NewSignatureRequest)
		code  string
		says  string
	}{
		"not a PDF":                  {pdf([]byte("Estimado señor:")), "document_not_pdf", "no lo es"},
		"encrypted":                  {pdf(encrypted(t)), "document_encrypted", "cifrado"},
		"truncated":                  {pdf((*good.Content)[:len(*good.Content)/2]), "document_damaged", "le falta una parte"},
		"garbage after the end":      {pdf(append(bytes.Clone(*good.Content), bytes.Repeat([]byte("basura\n"), 500)...)), "document_damaged", "le falta una parte"},
		"0 bytes":                    {pdf([]byte{}), "document_empty", "no tiene contenido"},
		"21 MB":                      {pdf(append(bytes.Clone(*good.Content), make([]byte, 21<<20)...)), "document_too_large", "20 MB"},
		"no documents":               {func(o *client.NewSignatureRequest) { o.Documents = []client.NewDocument{} }, "request_malformed", "documents"},
		"eleven documents":           {func(o *client.NewSignatureRequest) { o.Documents = elevenNotes() }, "request_too_many_documents", "10"},
		"unknown format":             {func(o *client.NewSignatureRequest) { o.Documents[0].Format = "xades" }, "request_malformed", "format"},
		"wrong check letter":         {func(o *client.NewSignatureRequest) { o.Signer.Identifier = wrongLetter(c.Identifier) }, "identifier_invalid", "no se corresponden"},
		"return address of another":  {func(o *client.NewSignatureRequest) { o.ReturnURL = "https://sede.example/vuelta" }, "return_address_unknown", "ninguna de las suyas"},
		"return address, one beyond": {func(o *client.NewSignatureRequest) { o.ReturnURL += "/" }, "return_address_unknown", "ninguna de las suyas"},
		"return address, query":      {func(o *client.NewSignatureRequest) { o.ReturnURL += "?a=1" }, "return_address_unknown", "ninguna de las suyas"},
		"title with a line break":    {func(o *client.NewSignatureRequest) { o.Title = "Ayuda\nRef. AAAA" }, "request_malformed", "title"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := rand.Text()
			order := client.NewSignatureRequest{
				Signer: client.Signer{Identifier: c.Identifier}, Title: "Solicitud", ReturnURL: shared.world.ReturnURL,
				Documents: []client.NewDocument{good},
			}
			test.spoil(&order)
			wantProblem(t, submitOrder(t, key, order), test.code, test.says)
			if got := shared.query(t, `SELECT count(*) FROM requests WHERE idempotency_key = $1`, key); got != 0 {
				t.Errorf("got %d requests, want none", got)
			}
			order = client.NewSignatureRequest{
				Signer: client.Signer{Identifier: c.Identifier}, Title: "Solicitud", ReturnURL: shared.world.ReturnURL,
				Documents: []client.NewDocument{good},
			}
			if err := submitOrder(t, key, order); err != nil {
				t.Errorf("asking again, rightly: %v", err)
			}
			order.Title = "Otra"
			wantProblem(t, submitOrder(t, key, order), "idempotency_key_reused", "con otro contenido")
		})
	}
}

func elevenNotes() []client.NewDocument {
	documents := make([]client.NewDocument, 11)
	for i := range documents {
		documents[i] = note()
	}
	return documents
}

func submitOrder(t *testing.T, key string, order client.NewSignatureRequest) error {
	t.Helper()
	answer, err := shared.world.Sede.CreateSignatureRequestWithResponse(t.Context(), &client.CreateSignatureRequestParams{IdempotencyKey: key}, order)
	return client.Check(answer, err)
}

// wantProblem checks a problem document: its code, a remedy, and what it says.
func wantProblem(t *testing.T, err error, code, says string) {
	t.Helper()
	var problem *client.Problem
	if !errors.As(err, &problem) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if problem.Code != code || !strings.Contains(problem.Error(), says) || problem.Remedy == nil {
		t.Errorf("got %v, want %s with %q and a remedy", problem, code, says)
	}
}
