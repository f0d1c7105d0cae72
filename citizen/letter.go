package citizen

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json/v2"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// LetterState is where an invitation letter stands.
type LetterState string

// The states of a letter. It is used when its person is registered, however.
const (
	LetterRequested LetterState = "requested"
	LetterPrinted   LetterState = "printed"
	LetterUsed      LetterState = "used"
	LetterVoid      LetterState = "void"
)

// Letter is a stored letter. Its seal covers for whom it is and where it goes;
// MAC is of the CSV, which exists from the moment of printing on, on paper.
type Letter struct {
	ID          string
	Identifier  string
	Recipient   Recipient
	State       LetterState
	Pepper      int // epoch of the key of MAC
	MAC         []byte
	RequestedAt time.Time
	PrintedAt   time.Time // zero until then
	PrintedBy   LetterPrinting
	Times       int // it was printed
	ExpiresAt   time.Time
	Seal        RowSeal
}

// LetterPrinting says which office printed a letter.
type LetterPrinting struct {
	Office     string `json:"office"` // client id
	OfficeName string `json:"office_name"`
	Officer    string `json:"officer"`
	Statement  string `json:"statement"`
}

// HolderQuestion asks who holds an account.
type HolderQuestion struct {
	Identifier    Identifier
	IBAN          IBAN
	DocumentUntil time.Time
}

// Holders is the register of accounts and addresses. *registers.Client fulfils
// it.
type Holders interface {
	// Holder is the person with that number, document and account, nil if the
	// three do not belong together. The error says that the register does not
	// answer as it should.
	Holder(ctx context.Context, q HolderQuestion) (*Recipient, error)
}

// LetterStore is what letters keep. Each method is one transaction with its
// entries.
type LetterStore interface {
	LetterCounter
	// RequestLetter stores a letter unless there is one that has been waiting, or
	// was printed after again; it reports which. e is given what came of it.
	RequestLetter(ctx context.Context, l Letter, again time.Time, e func(created bool) audit.Entry) error
	// Letter reads one that can be printed (NotFound).
	Letter(ctx context.Context, id string, now time.Time) (Letter, error)
	// PrintLetter stores that it was printed once more than when it was read, and
	// clears the wrong tries (RequestState).
	PrintLetter(ctx context.Context, l Letter, e audit.Entry) error
	// CountLetterAttempt adds one to the wrong tries of a person's codes, durably.
	CountLetterAttempt(ctx context.Context, identifier string, now time.Time) (int, error)
	// LetterTo reads the letter that was printed for somebody, a zero one if there
	// is none.
	LetterTo(ctx context.Context, identifier string, now time.Time) (Letter, error)
	// LetterAnswered clears the wrong tries.
	LetterAnswered(ctx context.Context, identifier string, e audit.Entry) error
	signer.Logger
}

// Enroller gives people who have proved who they are a ticket for what follows.
// *Enrolments fulfils it.
type Enroller interface {
	Open(ctx context.Context, o Opening) (Redeemed, error)
}

// LetterLimits are the numbers of letters.
type LetterLimits struct {
	Wait  time.Duration // to be printed
	Life  time.Duration // from printing to the code
	Again time.Duration // after printing, until another can be asked for
	Tries int           // more wrong codes than these void the letter
	// Step is what answers to requests are timed in: each leaves at a whole one
	// after its question, so that its time does not tell what was found.
	Step  time.Duration
	Asks  Quota
	Codes Quota
}

// DefaultLetterLimits are a month to be printed, sixty days to be answered,
// fifteen days until the next, ten wrong codes.
func DefaultLetterLimits() LetterLimits {
	const day = 24 * time.Hour
	return LetterLimits{
		Wait: 30 * day, Life: 60 * day, Again: 15 * day, Tries: 10, Step: time.Second,
		Asks:  Quota{Here: 3, Person: 20, Address: 20, Service: 2000},
		Codes: Quota{Here: 5, Person: 60, Address: 30, Service: 5000},
	}
}

// Letters invites people to register who cannot come to an office: a letter to
// the address that a register knows carries a code. It proves an identity at
// the basic level only, with which nobody signs.
//
// Whoever asks for a letter learns nothing: not whether such a person exists,
// is registered, holds the account, or has been sent one.
type Letters struct {
	Store    LetterStore
	People   People
	Holders  Holders
	Vault    LetterVault
	Enroller Enroller
	Limits   LetterLimits
	Now      func() time.Time
}

// LetterVault is what of the token letters need. *signer.Vault fulfils it.
type LetterVault interface {
	Checks
	Seals
}

// LetterOrder is what somebody types to get a letter.
type LetterOrder struct {
	Identifier    Identifier
	DocumentUntil time.Time
	IBAN          IBAN
	RemoteAddr    string
}

// Request has a letter sent, if the data are those of one person who is not
// registered (IdentityDocumentExpiry, RateLimited, RegisterUnavailable).
func (s *Letters) Request(ctx context.Context, o LetterOrder) error {
	defer even(ctx, s.Limits.Step, time.Now())
	now := s.Now()
	if !now.Before(o.DocumentUntil.AddDate(0, 0, 1)) {
		return policies.Refuse(policies.IdentityDocumentExpiry, "until", o.DocumentUntil.Format(time.DateOnly))
	}
	asking := Asking{Kind: AskedLetter, Person: o.Identifier.String(), Address: o.RemoteAddr, Now: now}
	if err := s.Limits.Asks.admit(ctx, s.Store, asking); err != nil {
		return err
	}
	c, _, err := s.People.ByIdentifier(ctx, o.Identifier.String())
	if err != nil && !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		return err
	}
	barred := policies.Register(policies.Status(c.Status))
	recipient, err := s.Holders.Holder(ctx, HolderQuestion{Identifier: o.Identifier, IBAN: o.IBAN, DocumentUntil: o.DocumentUntil})
	if err != nil {
		// It is nothing that the person could help; an address that goes on asking
		// is stopped all the same.
		err = fmt.Errorf("%w: %w", policies.Refuse(policies.RegisterUnavailable), err)
		return errors.Join(err, s.Store.UncountAsking(context.WithoutCancel(ctx), asking.from()))
	}
	entry := audit.Entry{
		Type: audit.LetterRequested, Operation: rand.Text(), At: now, Person: o.Identifier.String(),
		Payload: map[string]any{"address": o.RemoteAddr},
	}
	switch {
	case errors.Is(barred, policies.Refuse(policies.CitizenDeceased)):
		entry.Payload["outcome"] = "deceased"
	case barred != nil:
		entry.Payload["outcome"] = "registered"
	case recipient == nil:
		entry.Payload["outcome"] = "mismatch"
	default:
		return s.request(ctx, o.Identifier, *recipient, entry)
	}
	return s.Store.Log(ctx, entry)
}

func (s *Letters) request(ctx context.Context, id Identifier, to Recipient, entry audit.Entry) error {
	l := Letter{
		ID: rand.Text(), Identifier: id.String(), Recipient: to, State: LetterRequested,
		RequestedAt: entry.At.UTC().Truncate(time.Microsecond), ExpiresAt: entry.At.Add(s.Limits.Wait).UTC().Truncate(time.Microsecond),
	}
	fields, err := l.fields()
	if err != nil {
		return err
	}
	if l.Seal.Epoch, l.Seal.MAC, err = s.Vault.Seal(ctx, sealedLetter, fields...); err != nil {
		return err
	}
	return s.Store.RequestLetter(ctx, l, entry.At.Add(-s.Limits.Again), func(created bool) audit.Entry {
		entry.Payload["outcome"] = "pending"
		if created {
			entry.Payload["outcome"], entry.Payload["letter"] = "requested", l.ID
		}
		return entry
	})
}

// even waits for the next whole step after the beginning, so that how long an
// answer took tells nobody what was found. No step is no wait.
func even(ctx context.Context, step time.Duration, began time.Time) {
	if step <= 0 {
		return
	}
	wait := time.NewTimer(step - time.Since(began)%step)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

const sealedLetter = "letter"

func (l Letter) fields() ([]string, error) {
	to, err := json.Marshal(l.Recipient, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("writing whom a letter is for: %w", err)
	}
	return []string{l.ID, l.Identifier, string(to), exactly(l.RequestedAt)}, nil
}

// genuine refuses a letter that this service did not address as it stands.
func (s *Letters) genuine(ctx context.Context, l Letter) error {
	fields, err := l.fields()
	if err != nil {
		return err
	}
	return s.Vault.CheckSeal(ctx, l.Seal.Epoch, l.Seal.MAC, sealedLetter, fields...)
}

// check is the stored form of a letter's code.
func (s *Letters) check(ctx context.Context, l Letter, code LetterCode) ([]byte, error) {
	return s.Vault.Check(ctx, l.Pepper, "letter", l.ID, l.Identifier, strconv.Itoa(l.Times), exactly(l.ExpiresAt), code.Reveal())
}

// Print is the Performer of ActPrintLetter: it makes the letter's code. The
// receipt's code is a PrintableLetter in JSON, so that what goes on the paper
// comes from where the seal was checked. Printing again makes another code.
func (s *Letters) Print(ctx context.Context, act Statement) (Receipt, error) {
	now := s.Now()
	l, err := s.Store.Letter(ctx, act.Subject, now)
	if err != nil {
		return Receipt{}, err
	}
	if l.Identifier != act.Identifier.String() {
		return Receipt{}, policies.Refuse(policies.NotFound)
	}
	if err := s.genuine(ctx, l); err != nil {
		return Receipt{}, err
	}
	code := LetterCode{NewActivationCode()}
	l.Times++
	l.State, l.Pepper = LetterPrinted, s.Vault.Epochs().Pepper
	l.PrintedAt, l.ExpiresAt = now.UTC().Truncate(time.Microsecond), now.Add(s.Limits.Life).UTC().Truncate(time.Microsecond)
	l.PrintedBy = LetterPrinting{Office: act.Office, OfficeName: act.OfficeName, Officer: act.Officer, Statement: act.ID}
	if l.MAC, err = s.check(ctx, l, code); err != nil {
		return Receipt{}, err
	}
	printable, err := json.Marshal(PrintableLetter{
		ID: l.ID, Code: code.Reveal(), Masked: act.Identifier.Masked(), Recipient: l.Recipient, Until: l.ExpiresAt.AddDate(0, 0, -1).Format(time.DateOnly),
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("writing a letter: %w", err)
	}
	err = s.Store.PrintLetter(ctx, l, audit.Entry{
		Type: audit.LetterPrinted, Operation: l.ID, At: now, Person: l.Identifier,
		Payload: act.By().into(map[string]any{"letter": l.ID, "times": l.Times}),
	})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{Code: string(printable)}, nil
}

// LetterAnswer is what somebody types who got a letter.
type LetterAnswer struct {
	Identifier    Identifier
	DocumentUntil time.Time
	Code          LetterCode
	RemoteAddr    string
}

// Answer lets somebody who got a letter go on to register. The attempt is
// counted before anything is compared; a stranger, another date, a wrong code
// and one too old answer alike (LetterMismatch, LetterBlocked, RateLimited).
func (s *Letters) Answer(ctx context.Context, a LetterAnswer) (Redeemed, error) {
	now := s.Now()
	err := s.Limits.Codes.admit(ctx, s.Store, Asking{Kind: TriedLetter, Person: a.Identifier.String(), Address: a.RemoteAddr, Now: now})
	if err != nil {
		return Redeemed{}, err
	}
	failures, err := s.Store.CountLetterAttempt(ctx, a.Identifier.String(), now)
	if err != nil {
		return Redeemed{}, err
	}
	if failures > s.Limits.Tries {
		return Redeemed{}, s.denied(ctx, audit.LetterBlocked, a, policies.LetterBlocked)
	}
	l, err := s.Store.LetterTo(ctx, a.Identifier.String(), now)
	if err != nil {
		return Redeemed{}, err
	}
	if l.ID == "" {
		l.Pepper = s.Vault.Epochs().Pepper
	}
	mac, err := s.check(ctx, l, a.Code)
	if err != nil {
		return Redeemed{}, err
	}
	if !hmac.Equal(mac, l.MAC) || l.Recipient.DocumentUntil != a.DocumentUntil.Format(time.DateOnly) {
		return Redeemed{}, s.denied(ctx, audit.LetterWrong, a, policies.LetterMismatch)
	}
	if err := s.genuine(ctx, l); err != nil {
		return Redeemed{}, err
	}
	err = s.Store.LetterAnswered(ctx, l.Identifier, audit.Entry{
		Type: audit.LetterAnswered, Operation: l.ID, At: now, Person: l.Identifier,
		Payload: map[string]any{"letter": l.ID, "address": a.RemoteAddr},
	})
	if err != nil {
		return Redeemed{}, err
	}
	return s.Enroller.Open(ctx, l.opening(a.RemoteAddr))
}

// opening is what a letter proves: less than a person at a desk.
func (l Letter) opening(address string) Opening {
	return Opening{
		Kind: ByLetter, Identifier: l.Identifier, RemoteAddr: address,
		Procedure: ProcedureRegister, Mode: policies.ModeLetter, Level: policies.LevelBasic,
		GivenName: l.Recipient.GivenName, Surnames: l.Recipient.Surnames, DocumentUntil: l.Recipient.DocumentUntil,
		Evidence: map[string]string{"letter": l.ID},
		Office:   l.PrintedBy.Office, OfficeName: l.PrintedBy.OfficeName, Officer: l.PrintedBy.Officer, Statement: l.PrintedBy.Statement,
	}
}

func (s *Letters) denied(ctx context.Context, kind audit.EventType, a LetterAnswer, code policies.Code) error {
	err := s.Store.Log(ctx, audit.Entry{
		Type: kind, Operation: "letter", At: s.Now(), Person: a.Identifier.String(),
		Payload: map[string]any{"reason": string(code), "address": a.RemoteAddr},
	})
	if err != nil {
		return err
	}
	return policies.Refuse(code)
}
