package receipts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Log is what the public side may read of the log. What is not there is
// policies.NotFound.
type Log interface {
	audit.HashReader
	// SignatureEntries are the intents and outcomes of a request's signatures,
	// oldest first.
	SignatureEntries(ctx context.Context, operation string) ([]audit.Record, error)
	Trees(ctx context.Context) ([]publication.Tree, error)
	// WitnessedWith is the first checkpoint that covers an entry and that the
	// quorum cosigned; any that covers it where nobody is asked.
	WitnessedWith(ctx context.Context, origin string, seq int64) (publication.Published, error)
	// RequestCheckpoint has the log published now, and returns before it is.
	RequestCheckpoint(ctx context.Context) error
}

// Config names the parts of a Service.
type Config struct {
	Log Log
	// Policy is the deployment's witness policy; the zero value asks nobody.
	Policy audit.Policy
	// Patience is how long a receipt waits for its checkpoint.
	Patience time.Duration
	// Draw makes a PDF of a receipt.
	Draw func(Evidence) ([]byte, error)
}

// Service makes receipts.
type Service struct{ Config }

// New makes a Service.
func New(c Config) *Service { return &Service{c} }

// pause is between two looks whether the witnesses have answered.
const pause = 100 * time.Millisecond

// Receipt is the one of a request that was signed: policies.RequestState if it
// was not, policies.ReceiptPending while witnesses have not seen it.
func (s *Service) Receipt(ctx context.Context, r signer.Request) (audit.Receipt, error) {
	if r.State != signer.Signed {
		return audit.Receipt{}, policies.Refuse(policies.RequestState, "state", string(r.State))
	}
	intent, done, err := s.entries(ctx, r.ID)
	if err != nil {
		return audit.Receipt{}, err
	}
	checkpoint, err := s.checkpoint(ctx, done.Seq)
	if err != nil {
		return audit.Receipt{}, err
	}
	var proofs [2]audit.Proof
	for i, record := range []audit.Record{intent, done} {
		if proofs[i], err = audit.NewProof(ctx, record, checkpoint.Note, s.Log); err != nil {
			return audit.Receipt{}, err
		}
	}
	policy := s.Policy
	if trees, err := s.Log.Trees(ctx); err == nil && len(trees) > 0 {
		if policy, err = policy.WithLog(trees[len(trees)-1].Key); err != nil {
			return audit.Receipt{}, fmt.Errorf("naming the log's key: %w", err)
		}
	}
	return audit.NewReceipt(proofs[0], proofs[1], checkpoint.Timestamp, policy)
}

// entries are the outcome of the signature and the intent that it ended: one
// that was interrupted before has another authorisation. Erased ones prove
// nothing to anybody any more.
func (s *Service) entries(ctx context.Context, id string) (intent, done audit.Record, err error) {
	records, err := s.Log.SignatureEntries(ctx, id)
	if err != nil {
		return intent, done, err
	}
	intents := map[string]audit.Record{}
	for _, r := range records {
		payload, err := r.Open()
		if err != nil {
			return intent, done, fmt.Errorf("reading what the log says of a signature: %w", err)
		}
		var told struct {
			Authorisation string `json:"authorisation"`
		}
		if err := json.Unmarshal(payload, &told); err != nil {
			return intent, done, fmt.Errorf("reading what the log says of a signature: %w", err)
		}
		if r.Type == audit.SignIntent {
			intents[told.Authorisation] = r
			continue
		}
		if of, known := intents[told.Authorisation]; known {
			intent, done = of, r
		}
	}
	if done.Leaf == nil {
		return intent, done, policies.Refuse(policies.NotFound)
	}
	return intent, done, nil
}

// checkpoint is one that covers an entry. Asking for it has the log published,
// which takes as long as its witnesses do.
func (s *Service) checkpoint(ctx context.Context, seq int64) (publication.Published, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	for asked := false; ; {
		found, err := s.covering(ctx, seq)
		if !errors.Is(err, policies.Refuse(policies.NotFound)) {
			return found, err
		}
		if !asked {
			if err := s.Log.RequestCheckpoint(ctx); err != nil {
				return found, fmt.Errorf("asking for a checkpoint: %w", err)
			}
			asked = true
		}
		select {
		case <-ctx.Done():
			return found, policies.Refuse(policies.ReceiptPending).After(5 * time.Second)
		case <-time.After(pause):
		}
	}
}

func (s *Service) covering(ctx context.Context, seq int64) (publication.Published, error) {
	trees, err := s.Log.Trees(ctx)
	if err != nil {
		return publication.Published{}, err
	}
	if len(trees) == 0 {
		return publication.Published{}, policies.Refuse(policies.NotFound)
	}
	return s.Log.WitnessedWith(ctx, trees[len(trees)-1].Origin, seq)
}
