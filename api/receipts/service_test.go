package receipts_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/receipts"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/internal/audittest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const request = "PETICION"

// shelf is a log in memory, published when somebody asks for it.
type shelf struct {
	*audittest.Log

	tb     testing.TB
	size   int64 // of the newest witnessed checkpoint
	asked  int
	silent bool // the witnesses do not answer
}

func (s *shelf) SignatureEntries(_ context.Context, operation string) ([]audit.Record, error) {
	var found []audit.Record
	for _, r := range s.Records {
		if r.Operation == operation && (r.Type == audit.SignIntent || r.Type == audit.SignDone) && r.Payload != nil {
			found = append(found, r)
		}
	}
	return found, nil
}

func (s *shelf) Trees(context.Context) ([]publication.Tree, error) {
	return []publication.Tree{{Origin: audittest.Origin, Key: s.Key(s.tb).VerifierKey()}}, nil
}

func (s *shelf) WitnessedWith(_ context.Context, origin string, seq int64) (publication.Published, error) {
	if origin != audittest.Origin || s.size <= seq {
		return publication.Published{}, policies.Refuse(policies.NotFound)
	}
	note := s.Witnessed(s.tb, s.size) //nolint:contextcheck // the test's own
	return publication.Published{Size: s.size, Note: note, Timestamp: []byte("token")}, nil
}

func (s *shelf) RequestCheckpoint(context.Context) error {
	s.asked++
	if !s.silent {
		s.size = s.Size()
	}
	return nil
}

// newShelf has a request that was interrupted once and then signed.
func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{Log: audittest.New(t).Fill(t, 10), tb: t}
	for _, e := range []struct {
		kind          audit.EventType
		authorisation string
	}{{audit.SignIntent, "first"}, {audit.SignInterrupted, "first"}, {audit.SignIntent, "second"}, {audit.SignDone, "second"}} {
		s.Append(t, s.Entry(e.kind, request, map[string]any{"authorisation": e.authorisation}))
	}
	s.Fill(t, 3)
	return s
}

func (s *shelf) service(policy audit.Policy) *receipts.Service {
	return receipts.New(receipts.Config{
		Log: s, Policy: policy, Patience: 300 * time.Millisecond,
		Draw: func(e receipts.Evidence) ([]byte, error) { return []byte(e.FileName), nil },
	})
}

// The receipt is that of the consent which was spent, waits for the witnesses,
// and holds by their keys alone.
func TestReceipt(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	service := s.service(s.Policy(t))
	receipt, err := service.Receipt(t.Context(), signer.Request{ID: request, State: signer.Signed})
	if err != nil {
		t.Fatal(err)
	}
	if s.asked != 1 {
		t.Errorf("a checkpoint was asked for %d times, want once", s.asked)
	}
	b, err := receipt.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	read, err := audit.ParseReceipt(b)
	if err != nil {
		t.Fatal(err)
	}
	signed, facts, err := read.Check(s.Policy(t))
	if err != nil || len(signed.Witnesses) != 2 {
		t.Fatalf("checking: got %v by %v, want it to hold", err, signed.Witnesses)
	}
	if facts[0].Seq != 12 || facts[1].Seq != 13 {
		t.Errorf("got entries %d and %d, want the second intent and its outcome", facts[0].Seq, facts[1].Seq)
	}
	if name, err := service.Evidence(t.Context(), signer.Request{ID: request, State: signer.Signed}); err != nil || string(name) != request+".rubrica-receipt.json" {
		t.Errorf("evidence: got %s, %v", name, err)
	}
}

// Without witnesses the log's own word is what there is.
func TestReceiptWithoutWitnesses(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.size = s.Size()
	if _, err := s.service(audit.Policy{}).Receipt(t.Context(), signer.Request{ID: request, State: signer.Signed}); err != nil {
		t.Error(err)
	}
}

func TestReceiptRefused(t *testing.T) {
	t.Parallel()
	silent := newShelf(t)
	silent.silent = true
	erased := newShelf(t)
	for i := range erased.Records {
		erased.Records[i].Payload, erased.Records[i].Salt = nil, nil
	}
	altered := newShelf(t)
	altered.Records[13].Payload = []byte(`{"authorisation":"second"}`)
	signed := signer.Request{ID: request, State: signer.Signed}
	for name, tc := range map[string]struct {
		shelf   *shelf
		request signer.Request
		want    error
	}{
		"not signed yet":       {newShelf(t), signer.Request{ID: request, State: signer.Pending}, policies.Refuse(policies.RequestState)},
		"another request":      {newShelf(t), signer.Request{ID: "OTRA", State: signer.Signed}, policies.Refuse(policies.NotFound)},
		"witnesses are silent": {silent, signed, policies.Refuse(policies.ReceiptPending)},
		"erased":               {erased, signed, policies.Refuse(policies.NotFound)},
		"altered in its row":   {altered, signed, audit.ErrNotCommitted},
	} {
		if _, err := tc.shelf.service(tc.shelf.Policy(t)).Receipt(t.Context(), tc.request); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}
