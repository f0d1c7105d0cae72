package requests

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// move is what an envelope needs next; the zero value is nothing.
type move struct {
	end      signer.EnvelopeState
	ask      *signer.EnvelopeSigner // whose turn it is, and who has no request yet
	open     []string               // requests that are stored, and not before their citizens
	withdraw []string               // requests that wait in vain
}

func (m move) nothing() bool {
	return m.end == "" && m.ask == nil && len(m.open) == 0 && len(m.withdraw) == 0
}

// next is all that decides over an envelope. What it says follows from what is
// stored: whoever asks again, at whatever moment another has died, goes on from
// there.
func next(e signer.Envelope, now time.Time) move {
	if e.State != signer.EnvelopePending {
		return move{withdraw: waiting(e)}
	}
	if end := ending(e, now); end != "" {
		return move{end: end}
	}
	var m move
	for i, s := range e.Signers {
		if s.State == signer.Received {
			m.open = append(m.open, s.RequestID)
		}
		if s.RequestID == "" {
			m.ask = &e.Signers[i]
		}
		if e.Ordering == signer.Sequential && s.State != signer.Signed {
			break
		}
	}
	return m
}

// ending is the state in which an envelope ends, empty if it goes on.
func ending(e signer.Envelope, now time.Time) signer.EnvelopeState {
	signed, underWay := 0, false
	for _, s := range e.Signers {
		switch s.State {
		case signer.Refused:
			return signer.EnvelopeRejected
		case signer.Expired, signer.Withdrawn:
			return signer.EnvelopeExpired
		case signer.Signed:
			signed++
		case signer.Received, signer.Pending, signer.Signing:
			underWay = true
		}
	}
	switch {
	case signed == len(e.Signers):
		return signer.EnvelopeCompleted
	case !underWay && !now.Before(e.ExpiresAt):
		return signer.EnvelopeExpired // nobody is left to be asked in time
	}
	return ""
}

func waiting(e signer.Envelope) []string {
	var ids []string
	for _, s := range e.Signers {
		if s.Open() {
			ids = append(ids, s.RequestID)
		}
	}
	return ids
}

// Settle brings an envelope as far as it can go by itself. It is done again after
// each outcome, and may be done by several at once: what one has done, another
// finds done.
func (s *Service) Settle(ctx context.Context, id string) error {
	// Each step leaves less to do; two of them may be undone by a key that fails.
	for range 2*mostSigners + 4 {
		e, err := s.Envelopes.Envelope(ctx, id)
		if err != nil {
			return err
		}
		m := next(e, s.Now())
		if m.nothing() {
			return nil
		}
		if err := s.make(ctx, e, m); err != nil {
			return fmt.Errorf("settling the envelope %s: %w", id, err)
		}
	}
	return fmt.Errorf("settling the envelope %s: %w", id, errRestless)
}

var errRestless = errors.New("it does not come to rest")

func (s *Service) make(ctx context.Context, e signer.Envelope, m move) error {
	var problems []error
	if m.end != "" {
		problems = append(problems, s.Envelopes.EndEnvelope(ctx, e.ID, m.end, s.Now()))
	}
	if m.ask != nil {
		asked := *m.ask
		asked.RequestID = rand.Text()
		problems = append(problems, s.Envelopes.NextRequest(ctx, e.ID, asked, s.Now()))
	}
	for _, id := range m.open {
		problems = append(problems, s.Opener.Open(ctx, id))
	}
	for _, id := range m.withdraw {
		problems = append(problems, s.Withdrawer.Withdraw(ctx, id))
	}
	for i, err := range problems {
		if errors.Is(err, policies.Refuse(policies.RequestState)) {
			problems[i] = nil // somebody else was faster, or signs in this moment
		}
	}
	return errors.Join(problems...)
}

// CancelEnvelope withdraws what waits of an envelope. One of which nothing waits is
// policies.RequestState: it has ended, or its last signature is being made.
func (s *Service) CancelEnvelope(ctx context.Context, e signer.Envelope) (signer.Envelope, error) {
	if e.State == signer.EnvelopeCancelled {
		return e, nil // the answer to the first time was lost
	}
	if e.State != signer.EnvelopePending {
		return e, policies.Refuse(policies.RequestState, "state", string(e.State))
	}
	left := false
	for _, signs := range e.Signers {
		left = left || signs.RequestID == "" || signs.Open()
	}
	if !left {
		return e, policies.Refuse(policies.RequestState, "state", string(signer.Signing))
	}
	if err := s.Envelopes.EndEnvelope(ctx, e.ID, signer.EnvelopeCancelled, s.Now()); err != nil {
		return e, err
	}
	if err := s.Settle(ctx, e.ID); err != nil { // the job that goes with the end does it
		s.Logger.WarnContext(ctx, "withdrawal_delayed", "envelope", e.ID, "error", err)
	}
	return s.Envelopes.Envelope(ctx, e.ID)
}
