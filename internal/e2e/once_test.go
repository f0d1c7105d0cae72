package e2e

import (
	"net/http"
	"sync"
	"testing"

	"github.com/rubrica-firma/rubrica/api/rest/client"
)

// TestConfirmTogether posts one confirmation several times at the same moment,
// as an impatient finger or a bad network does. One signature comes of it, and
// every browser ends on the page that says so.
func TestConfirmTogether(t *testing.T) {
	t.Parallel()
	c := certified(t)
	for _, times := range []int{2, 20} {
		r := ask(t, c, sample(t, "cairo.pdf"))
		b, digits := confirming(t, c, r)
		var all sync.WaitGroup
		for range times {
			all.Go(func() {
				mine := *b // the same cookies and the same page
				if err := mine.Submit(t.Context(), form{"code": digits}); err != nil {
					t.Errorf("confirming: %v", err)
					return
				}
				// One that came while the signature was being made says so, and
				// asks again by itself.
				for range 50 {
					if mine.URL().Path == "/firma/"+r.ID+"/hecho" {
						says(t, &mine, http.StatusOK, "firmado")
						return
					}
					if err := mine.Open(t.Context(), r.SigningURL); err != nil {
						t.Errorf("looking again: %v", err)
						return
					}
				}
				t.Errorf("a browser ended at %s (%d): %s", mine.URL().Path, mine.Status(), mine.Text())
			})
		}
		all.Wait()
		for _, kind := range []string{"sign.intent", "sign.done"} {
			if got := shared.query(t, `SELECT count(*) FROM log_entries WHERE operation = $1 AND type = $2`, r.ID, kind); got != 1 {
				t.Errorf("got %d entries %s for %d posts, want 1", got, kind, times)
			}
		}
		// Posted once more when all is over.
		submit(t, b, form{"code": digits})
		at(t, b, "/hecho")
	}
}

// TestAskTogether repeats one request of a back end at the same moment: one
// request comes of it.
func TestAskTogether(t *testing.T) {
	t.Parallel()
	c := certified(t)
	order := client.NewSignatureRequest{
		Signer: client.Signer{Identifier: c.Identifier}, Title: "Solicitud", ReturnURL: shared.world.ReturnURL,
		Documents: []client.NewDocument{sample(t, "cairo.pdf")},
	}
	const key = "ask-together"
	ids := make([]string, 10)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			answer, err := shared.world.Sede.CreateSignatureRequestWithResponse(t.Context(), &client.CreateSignatureRequestParams{IdempotencyKey: key}, order)
			if err := client.Check(answer, err); err != nil {
				t.Errorf("asking: %v", err)
				return
			}
			ids[i] = answer.JSON201.ID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("got requests %v for one key", ids)
			break
		}
	}
	if got := shared.query(t, `SELECT count(*) FROM requests WHERE idempotency_key = $1`, key); got != 1 {
		t.Errorf("got %d requests for one key, want 1", got)
	}
	if got := shared.query(t, `SELECT count(*) FROM log_entries WHERE operation = $1 AND type = 'sign.requested'`, ids[0]); got != 1 {
		t.Errorf("got %d entries sign.requested, want 1", got)
	}
}
