package citizen

import (
	"context"
	"crypto/hmac"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Card is a stored municipal card. Its seal covers whose it is and where its
// keys go.
type Card struct {
	Number     string
	Identifier string
	Email      string
	Pepper     int // epoch of the key of PINMAC
	PINMAC     []byte
	Key        CardKey
	Seal       RowSeal
	CreatedAt  time.Time
	Disabled   bool
}

// CardKey is what is stored of a card's operations key, without a MAC if it has
// none yet.
type CardKey struct {
	Pepper int
	MAC    []byte
	At     time.Time
}

// CardStore is what cards keep. Each method is one transaction with its entries.
type CardStore interface {
	Counter
	// PutCard stores a card in the place of the one with its number, if there is
	// one, whose key and wrong tries are forgotten.
	PutCard(ctx context.Context, c Card, e audit.Entry) error
	// Card reads one that is not disabled, a zero one if there is none.
	Card(ctx context.Context, number string) (Card, error)
	// CountCardAttempt adds one to the wrong tries of a card, there or not, and
	// returns the count so far, durably.
	CountCardAttempt(ctx context.Context, number string, now time.Time) (int, error)
	// CardProved clears the wrong tries, and stores the card's checks and seal as
	// they have moved to newer keys of the token.
	CardProved(ctx context.Context, c Card, e audit.Entry) error
	// SetCardKey replaces the card's operations key, and clears nothing.
	SetCardKey(ctx context.Context, number string, k CardKey, e audit.Entry) error
	signer.Logger
}

// CardLimits are the numbers of cards.
type CardLimits struct {
	Tries int // more wrong ones than these block the card until it is imported anew
	Keys  Quota
	Codes Quota
}

// DefaultCardLimits are five tries; three keys an hour.
func DefaultCardLimits() CardLimits {
	return CardLimits{
		Tries: 5,
		Keys:  Quota{Here: 3, Person: 6, Address: 20, Service: 5000},
		Codes: Quota{Here: 20, Person: 60, Address: 60, Service: 20_000},
	}
}

// Cards identifies the holders of a town's cards: number, PIN of the card, and
// an operations key that is mailed to the card's own address, to a new user and
// to one who has forgotten it alike. They identify, and never sign.
type Cards struct {
	Store  CardStore
	People People
	Vault  CardVault
	Gate   Gate
	Post   Post
	Locale string // of mail to people of whom nothing else is known
	Limits CardLimits
	Now    func() time.Time
	Logger *slog.Logger

	sending sync.WaitGroup
}

// CardVault is what of the token cards need. *signer.Vault fulfils it.
type CardVault interface {
	Checks
	Seals
}

// NewCard is a card as the town tells of it.
type NewCard struct {
	Number     CardNumber
	Identifier Identifier
	Email      Email
	PIN        CardPIN
}

const sealedCard = "card"

func (c Card) fields() []string {
	return []string{c.Number, c.Identifier, c.Email, exactly(c.CreatedAt)}
}

// Import adds a card, or renews one.
func (s *Cards) Import(ctx context.Context, n NewCard) error {
	now := s.Now()
	c := Card{
		Number: n.Number.String(), Identifier: n.Identifier.String(), Email: n.Email.String(),
		Pepper: s.Vault.Epochs().Pepper, CreatedAt: now.UTC().Truncate(time.Microsecond),
	}
	var err error
	if c.PINMAC, err = s.checkPIN(ctx, c, n.PIN); err != nil {
		return err
	}
	if c.Seal.Epoch, c.Seal.MAC, err = s.Vault.Seal(ctx, sealedCard, c.fields()...); err != nil {
		return err
	}
	return s.Store.PutCard(ctx, c, audit.Entry{
		Type: audit.CardImported, Operation: "card", At: now, Person: c.Identifier,
		Payload: map[string]any{"card": n.Number.Masked(), "email": n.Email.Masked()},
	})
}

func (s *Cards) checkPIN(ctx context.Context, c Card, pin CardPIN) ([]byte, error) {
	return s.Vault.Check(ctx, c.Pepper, "card PIN", c.Number, exactly(c.CreatedAt), pin.Reveal())
}

func (s *Cards) checkKey(ctx context.Context, c Card, key OperationsKey) ([]byte, error) {
	return s.Vault.Check(ctx, c.Key.Pepper, "operations key", c.Number, exactly(c.CreatedAt), key.Reveal())
}

// KeyOrder is what somebody types to get an operations key.
type KeyOrder struct {
	Number     CardNumber
	PIN        CardPIN
	RemoteAddr string
}

// AskKey mails a new operations key, if the PIN is the card's. The answer is
// the same for everybody (CardBlocked, RateLimited), and given before anything
// is sent.
func (s *Cards) AskKey(ctx context.Context, o KeyOrder) error {
	asking := Asking{Kind: AskedKey, Person: o.Number.String(), Address: o.RemoteAddr, Now: s.Now()}
	if err := s.Limits.Keys.admit(ctx, s.Store, asking); err != nil {
		return err
	}
	c, right, err := s.prove(ctx, o.Number, o.PIN, o.RemoteAddr)
	if err != nil {
		return err
	}
	requested := audit.Entry{
		Type: audit.CardKeyRequested, Operation: "card", At: s.Now(), Person: c.Identifier,
		Payload: map[string]any{"matched": right, "address": o.RemoteAddr},
	}
	if !right {
		return s.Store.Log(ctx, requested)
	}
	if err := s.proved(ctx, &c, o.PIN, OperationsKey{}, requested); err != nil {
		return err
	}
	s.sending.Go(func() { s.send(context.WithoutCancel(ctx), c) })
	return nil
}

// send mails a key, and has it replace the one before once somebody has taken
// the mail.
func (s *Cards) send(ctx context.Context, c Card) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	key := newOperationsKey()
	c.Key = CardKey{Pepper: s.Vault.Epochs().Pepper, At: s.Now().UTC().Truncate(time.Microsecond)}
	var err error
	if c.Key.MAC, err = s.checkKey(ctx, c, key); err != nil {
		s.Logger.ErrorContext(ctx, "operations_key_not_made", "error", err)
		return
	}
	email, err := ParseEmail(c.Email)
	if err != nil {
		s.Logger.ErrorContext(ctx, "operations_key_not_made", "error", err)
		return
	}
	entry := audit.Entry{
		Type: audit.CardKeySent, Operation: "card", At: s.Now(), Person: c.Identifier, Payload: map[string]any{"email": email.Masked()},
	}
	err = s.Post.Mail(ctx, SecretMail{Kind: MailOperationsKey, To: c.Email, Locale: s.Locale, Secret: NewSecret(key.Print())})
	if err != nil {
		s.Logger.WarnContext(ctx, "operations_key_not_accepted", "error", err)
		entry.Type = audit.CardKeySendFailed
		err = s.Store.Log(ctx, entry)
	} else {
		err = s.Store.SetCardKey(ctx, c.Number, c.Key, entry)
	}
	if err != nil {
		s.Logger.ErrorContext(ctx, "operations_key_unrecorded", "error", err)
	}
}

// Wait returns when everything has been sent that is on its way.
func (s *Cards) Wait() { s.sending.Wait() }

// CardAnswer is what the holder of a card types.
type CardAnswer struct {
	Number     CardNumber
	PIN        CardPIN
	Key        OperationsKey
	RemoteAddr string
}

// Identify lets a card's holder in to the own pages. That the holder is not
// registered learns only who has proved to hold the card (CitizenUnknown).
func (s *Cards) Identify(ctx context.Context, a CardAnswer) (signer.Session, error) {
	asking := Asking{Kind: TriedCard, Person: a.Number.String(), Address: a.RemoteAddr, Now: s.Now()}
	if err := s.Limits.Codes.admit(ctx, s.Store, asking); err != nil {
		return signer.Session{}, err
	}
	c, rightPIN, err := s.prove(ctx, a.Number, a.PIN, a.RemoteAddr)
	if err != nil {
		return signer.Session{}, err
	}
	if c.Key.MAC == nil {
		c.Key.Pepper = s.Vault.Epochs().Pepper
	}
	mac, err := s.checkKey(ctx, c, a.Key)
	if err != nil {
		return signer.Session{}, err
	}
	if rightKey := hmac.Equal(mac, c.Key.MAC); !rightKey || !rightPIN {
		return signer.Session{}, s.denied(ctx, audit.CardWrong, c, a.RemoteAddr, policies.CardMismatch)
	}
	person, _, err := s.People.ByIdentifier(ctx, c.Identifier)
	if err != nil && !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		return signer.Session{}, err
	}
	proved := audit.Entry{
		Type: audit.AuthSucceeded, Operation: "card", At: s.Now(), Person: c.Identifier,
		Payload: map[string]any{"factor": string(signer.ViaCard), "address": a.RemoteAddr},
	}
	if provedErr := s.proved(ctx, &c, a.PIN, a.Key, proved); provedErr != nil {
		return signer.Session{}, provedErr
	}
	if err != nil {
		return signer.Session{}, err
	}
	return s.Gate.Access(ctx, signer.Entrance{CitizenID: person.ID, Via: signer.ViaCard, RemoteAddr: a.RemoteAddr})
}

// prove counts an attempt and then compares the PIN. A card that is not there
// costs the same.
func (s *Cards) prove(ctx context.Context, number CardNumber, pin CardPIN, address string) (Card, bool, error) {
	failures, err := s.Store.CountCardAttempt(ctx, number.String(), s.Now())
	if err != nil {
		return Card{}, false, err
	}
	c, err := s.Store.Card(ctx, number.String())
	if err != nil {
		return Card{}, false, err
	}
	if failures > s.Limits.Tries {
		return Card{}, false, s.denied(ctx, audit.CardBlocked, c, address, policies.CardBlocked)
	}
	known := c.Number != ""
	if !known {
		c.Pepper = s.Vault.Epochs().Pepper
	}
	mac, err := s.checkPIN(ctx, c, pin)
	if err != nil {
		return Card{}, false, err
	}
	err = s.Vault.CheckSeal(ctx, max(c.Seal.Epoch, 1), c.Seal.MAC, sealedCard, c.fields()...)
	if known && err != nil {
		return Card{}, false, err
	}
	return c, known && hmac.Equal(mac, c.PINMAC), nil
}

// proved records that a card was proved. What is stored of it moves to the keys
// of today while its PIN, and its operations key where that was typed, are at
// hand.
func (s *Cards) proved(ctx context.Context, c *Card, pin CardPIN, key OperationsKey, e audit.Entry) error {
	var err error
	c.Pepper = s.Vault.Epochs().Pepper
	if c.PINMAC, err = s.checkPIN(ctx, *c, pin); err != nil {
		return err
	}
	if key.Reveal() != "" {
		c.Key.Pepper = c.Pepper
		if c.Key.MAC, err = s.checkKey(ctx, *c, key); err != nil {
			return err
		}
	}
	if c.Seal.Epoch, c.Seal.MAC, err = s.Vault.Seal(ctx, sealedCard, c.fields()...); err != nil {
		return err
	}
	return s.Store.CardProved(ctx, *c, e)
}

func (s *Cards) denied(ctx context.Context, kind audit.EventType, c Card, address string, code policies.Code) error {
	err := s.Store.Log(ctx, audit.Entry{
		Type: kind, Operation: "card", At: s.Now(), Person: c.Identifier,
		Payload: map[string]any{"reason": string(code), "address": address},
	})
	if err != nil {
		return err
	}
	return policies.Refuse(code)
}
