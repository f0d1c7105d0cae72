package e2e

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// TestSeveralSign has two people sign a PDF and a file: one after the other, and
// each when it suits. Who comes to confirm what the other has signed meanwhile
// is shown it again, and confirms that.
func TestSeveralSign(t *testing.T) {
	t.Parallel()
	ana, bea := certified(t), certified(t)

	e := enveloped(t, client.Sequential, ana, bea)
	if e.Signers[1].State != client.SignerWaiting || e.Signers[1].SigningURL != nil {
		t.Errorf("got %+v, want the second to wait", e.Signers[1])
	}
	signs(t, ana, e, 1)
	e = comes(t, e.ID, func(e *client.Envelope) bool { return e.Signers[1].SigningURL != nil })
	signs(t, bea, e, 2)
	completed(t, e.ID)
	eventually(t, "the sede is told that all have signed", func() bool {
		b := plainBrowser(t)
		open(t, b, shared.sede+"/avisos")
		return strings.Contains(b.Text(), e.ID)
	})

	e = enveloped(t, client.Parallel, ana, bea)
	b, digits := confirming(t, bea, &client.SignatureRequest{ID: *e.Signers[1].RequestID, SigningURL: *e.Signers[1].SigningURL})
	signs(t, ana, e, 1)
	submit(t, b, form{"code": digits})
	says(t, b, http.StatusUnprocessableEntity, "Otra persona ha firmado mientras tanto")
	signs(t, bea, e, 2)
	completed(t, e.ID)

	e = enveloped(t, client.Parallel, ana, bea)
	cancelled(t, e)
	comes(t, e.ID, func(e *client.Envelope) bool { return e.State == client.EnvelopeCancelled })
	b = plainBrowser(t)
	open(t, b, *e.Signers[0].SigningURL)
	says(t, b, http.StatusGone, "Ya no hace falta su firma")
}

func enveloped(t *testing.T, order client.EnvelopeOrder, people ...*thread.Citizen) *client.Envelope {
	t.Helper()
	n := client.NewEnvelope{
		Order: order, Title: "Contrato", ReturnURL: shared.world.ReturnURL, Documents: []client.NewDocument{sample(t, "cairo.pdf"), note()},
	}
	for _, c := range people {
		n.Signers = append(n.Signers, client.EnvelopeSigner{Identifier: c.Identifier})
	}
	answer, err := shared.world.Sede.CreateEnvelopeWithResponse(t.Context(), &client.CreateEnvelopeParams{IdempotencyKey: rand.Text()}, n)
	if err := client.Check(answer, err); err != nil {
		t.Fatal(err)
	}
	return answer.JSON201
}

func cancelled(t *testing.T, e *client.Envelope) {
	t.Helper()
	answer, err := shared.world.Sede.CancelEnvelopeWithResponse(t.Context(), e.ID)
	if err := client.Check(answer, err); err != nil {
		t.Fatal(err)
	}
}

func signs(t *testing.T, c *thread.Citizen, e *client.Envelope, position int) {
	t.Helper()
	if err := c.Sign(t.Context(), *e.Signers[position-1].SigningURL, thread.Walk{}); err != nil {
		t.Fatalf("signer %d: %v", position, err)
	}
}

// comes waits for an envelope to be as it is wanted, as an application would.
func comes(t *testing.T, id string, wanted func(*client.Envelope) bool) *client.Envelope {
	t.Helper()
	var tag *string
	for range 6 {
		answer, err := shared.world.Sede.GetEnvelopeWithResponse(t.Context(), id, &client.GetEnvelopeParams{Wait: new(10), IfNoneMatch: tag})
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode() == http.StatusNotModified {
			continue
		}
		if err := client.Check(answer, err); err != nil {
			t.Fatal(err)
		}
		if wanted(answer.JSON200) {
			return answer.JSON200
		}
		tag = new(answer.HTTPResponse.Header.Get("ETag"))
	}
	t.Fatal("the envelope does not come to what is wanted")
	return nil
}

// completed wants each document to have both signatures.
func completed(t *testing.T, id string) {
	t.Helper()
	e := comes(t, id, func(e *client.Envelope) bool { return e.State == client.EnvelopeCompleted })
	for _, d := range e.Documents {
		answer, err := shared.world.Sede.GetEnvelopeDocumentWithResponse(t.Context(), id, d.Ordinal)
		if err := client.Check(answer, err); err != nil {
			t.Fatal(err)
		}
		var content []byte
		if d.Format == client.Pades {
			file := filepath.Join(t.TempDir(), "signed.pdf")
			if err := os.WriteFile(file, answer.Body, 0o600); err != nil {
				t.Fatal(err)
			}
			checkPDF(t, file)
		} else {
			content = *note().Content
			checkCMS(t, answer.Body, content)
		}
		if got := len(reported(t, answer.Body, content)); got != 2 {
			t.Errorf("%s: got %d signatures, want 2", d.Name, got)
		}
	}
}
