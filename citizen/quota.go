package citizen

import (
	"context"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Asking is a question that anybody may ask about anybody, and that costs a
// message, a letter or a guess.
type Asking struct {
	Kind    AskingKind
	Person  string // the number that was typed, whoever has it
	Address string // network that it came from
	Now     time.Time
}

// AskingKind is what was asked.
type AskingKind string

// The kinds of questions.
const (
	AskedPIN        AskingKind = "pin"
	AskedLetter     AskingKind = "letter"
	TriedLetter     AskingKind = "letter_code"
	AskedKey        AskingKind = "card_key"
	TriedCard       AskingKind = "card"
	quotaOf                    = time.Hour
	quotaResolution            = time.Second
)

// Asked is how often it was asked in the hour that has begun, this time
// included.
type Asked struct {
	Here    int // about the person from the address
	Person  int // from anywhere
	Address int // about anybody
	Service int // all in all
}

// Quota bounds questions by the hour. Questions about a person from one network
// are bounded more narrowly than from everywhere, so that a stranger who knows
// somebody's number cannot easily keep that person from asking.
type Quota Asked

// Counter counts questions. *store.DB fulfils it.
type Counter interface {
	// CountAsking counts a question, durably, about people known or not.
	CountAsking(ctx context.Context, a Asking) (Asked, error)
}

// LetterCounter counts questions that may turn out to have cost nothing.
type LetterCounter interface {
	Counter
	// UncountAsking takes a question back from what its person may ask; its address
	// and the service keep it.
	UncountAsking(ctx context.Context, a Asking) error
}

// admit counts a question and refuses it where there were too many
// (RateLimited). The refusal does not depend on whether there is such a person.
func (q Quota) admit(ctx context.Context, counter Counter, a Asking) error {
	a = a.from()
	asked, err := counter.CountAsking(ctx, a)
	if err != nil {
		return err
	}
	if asked.Here > q.Here || asked.Person > q.Person || asked.Address > q.Address || asked.Service > q.Service {
		next := a.Now.Truncate(quotaOf).Add(quotaOf)
		return policies.Refuse(policies.RateLimited).After(next.Sub(a.Now).Round(quotaResolution))
	}
	return nil
}

// from is the question as it is counted: by the network that it came from.
func (a Asking) from() Asking {
	a.Address = signer.Source(a.Address)
	return a
}
