package citizen

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// PINState is where a PIN stands.
type PINState string

// The states of a PIN. Those of somebody who asked with wrong data stay
// prepared to their end.
const (
	PINPrepared   PINState = "prepared"
	PINSent       PINState = "sent"
	PINFailed     PINState = "failed" // the operator has not taken it
	PINConsumed   PINState = "consumed"
	PINSuperseded PINState = "superseded"
)

// PINRow is a stored PIN. Without a citizen it is nobody's: it stands there so
// that whoever asked with wrong data meets what all others meet.
type PINRow struct {
	ID         string
	Identifier string
	CitizenID  string
	Pepper     int // epoch of the key of MAC
	MAC        []byte
	Attempts   int
	State      PINState
	CreatedAt  time.Time
	ExpiresAt  time.Time
}

// PINTry is an attempt on a PIN.
type PINTry struct {
	ID    string
	Limit int
	Now   time.Time
}

// PINStore is what PINs keep. Each method is one transaction with its entries.
type PINStore interface {
	Counter
	// PreparePIN stores a PIN. Those that its citizen was sent before are
	// superseded; where there were already so many in an hour, the row is stored
	// as nobody's, and the answer is that it is not to be sent.
	PreparePIN(ctx context.Context, p PINRow, perHour int, e audit.Entry) (send bool, err error)
	// SentPIN moves prepared → sent or failed.
	SentPIN(ctx context.Context, id string, to PINState, e audit.Entry) error
	// TryPIN counts an attempt, durably, and returns the row as counted
	// (PINMismatch with the reason expired or exhausted). A superseded one is
	// counted and returned like the others.
	TryPIN(ctx context.Context, try PINTry) (PINRow, error)
	// UsePIN consumes it, once (PINMismatch).
	UsePIN(ctx context.Context, id string, now time.Time) error
	signer.Logger
}

// Checks makes what is stored of a secret that a person types: an HMAC by the
// token. *signer.Vault fulfils it.
type Checks interface {
	Epochs() signer.Epochs
	// Check is the HMAC over fields, under the pepper of an epoch. No two kinds
	// and no two lists of fields are alike.
	Check(ctx context.Context, pepper int, kind string, fields ...string) ([]byte, error)
}

// Gate lets those in to their own pages who were identified. *signer.Service
// fulfils it.
type Gate interface {
	Access(ctx context.Context, e signer.Entrance) (signer.Session, error)
}

// PINLimits are the numbers of PINs.
type PINLimits struct {
	Life    time.Duration
	Tries   int
	PerHour int // sent to one citizen
	// Step is what answers wait for the next whole of: of somebody who is
	// registered there is more to be written.
	Step  time.Duration
	Quota Quota
}

// DefaultPINLimits are ten minutes and three tries, as the codes have; ten
// messages an hour for one citizen.
func DefaultPINLimits() PINLimits {
	return PINLimits{
		Life: 10 * time.Minute, Tries: 3, PerHour: 10, Step: 200 * time.Millisecond,
		Quota: Quota{Here: 5, Person: 60, Address: 60, Service: 20_000},
	}
}

// Pins identifies people by DNI or NIE, its validity date and an access key of
// their choice: the answer comes by SMS, ten minutes long, once. It identifies,
// and never signs.
//
// Whoever asks learns nothing about who exists: the answer is the same, and is
// given before anything is sent.
type Pins struct {
	Store  PINStore
	People People
	Checks Checks
	Gate   Gate
	Post   Post
	Limits PINLimits
	Now    func() time.Time
	Logger *slog.Logger

	sending sync.WaitGroup
}

// PINOrder is what somebody types to get a PIN.
type PINOrder struct {
	Identifier    Identifier
	DocumentUntil time.Time
	AccessKey     AccessKey
	RemoteAddr    string
}

// PINTicket is the answer: what the PIN has to be brought back with.
type PINTicket struct {
	ID        string
	ExpiresAt time.Time
}

// Ask sends a PIN, if the data are those of a registered person.
func (s *Pins) Ask(ctx context.Context, o PINOrder) (PINTicket, error) {
	defer even(ctx, s.Limits.Step, time.Now())
	now := s.Now().Truncate(time.Microsecond)
	err := s.Limits.Quota.admit(ctx, s.Store, Asking{Kind: AskedPIN, Person: o.Identifier.String(), Address: o.RemoteAddr, Now: now})
	if err != nil {
		return PINTicket{}, err
	}
	c, _, err := s.People.ByIdentifier(ctx, o.Identifier.String())
	if err != nil && !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		return PINTicket{}, err
	}
	pin, err := newPIN()
	if err != nil {
		return PINTicket{}, err
	}
	row := PINRow{
		ID: rand.Text(), Identifier: o.Identifier.String(), Pepper: s.Checks.Epochs().Pepper, State: PINPrepared,
		CreatedAt: now, ExpiresAt: now.Add(s.Limits.Life),
	}
	if mayUsePIN(c) && c.DocumentUntil.Equal(o.DocumentUntil) {
		row.CitizenID = c.ID
	}
	if row.MAC, err = s.check(ctx, row, o.AccessKey, pin); err != nil {
		return PINTicket{}, err
	}
	send, err := s.Store.PreparePIN(ctx, row, s.Limits.PerHour, audit.Entry{
		Type: audit.PINRequested, Operation: row.ID, At: now, Person: row.Identifier,
		Payload: map[string]any{"matched": row.CitizenID != "", "address": o.RemoteAddr},
	})
	if err != nil {
		return PINTicket{}, err
	}
	if send {
		s.sending.Go(func() { s.send(context.WithoutCancel(ctx), row, c, pin) })
	}
	return PINTicket{ID: row.ID, ExpiresAt: row.ExpiresAt}, nil
}

// mayUsePIN is whether somebody is registered. A password is not asked for.
func mayUsePIN(c signer.Citizen) bool {
	return c.Status == signer.Registered || c.Status == signer.Active
}

// sendTime bounds what nobody waits for.
const sendTime = time.Minute

// send hands the PIN over. What becomes of it is in the log alone: on a page it
// would tell that the data were right.
func (s *Pins) send(ctx context.Context, row PINRow, c signer.Citizen, pin PIN) {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	facts := map[string]any{"phone": signer.MaskPhone(c.Phone)}
	to, event := PINSent, audit.PINSent
	err := s.Post.Text(ctx, SecretText{ID: row.ID, Kind: TextPIN, Phone: c.Phone, Locale: c.Locale, Secret: NewSecret(pin.Reveal())})
	if err != nil {
		to, event = PINFailed, audit.PINSendFailed
		facts["reason"] = string(policies.SMSFailed)
		s.Logger.WarnContext(ctx, "pin_not_accepted", "pin", row.ID, "error", err)
	}
	err = s.Store.SentPIN(ctx, row.ID, to, audit.Entry{
		Type: event, Operation: row.ID, At: s.Now(), Person: row.Identifier, Payload: facts,
	})
	if err != nil {
		s.Logger.ErrorContext(ctx, "pin_unrecorded", "pin", row.ID, "error", err)
	}
}

// Wait returns when everything has been sent that is on its way.
func (s *Pins) Wait() { s.sending.Wait() }

// PINAnswer is what somebody types who got a PIN.
type PINAnswer struct {
	ID         string
	AccessKey  AccessKey
	PIN        PIN
	RemoteAddr string
}

// Identify lets the citizen in whose PIN it is. The attempt is counted before
// anything is compared.
func (s *Pins) Identify(ctx context.Context, a PINAnswer) (signer.Session, error) {
	now := s.Now()
	row, err := s.Store.TryPIN(ctx, PINTry{ID: a.ID, Limit: s.Limits.Tries, Now: now})
	if err != nil {
		return signer.Session{}, err
	}
	mac, err := s.check(ctx, row, a.AccessKey, a.PIN)
	if err != nil {
		return signer.Session{}, err
	}
	if right := hmac.Equal(mac, row.MAC); !right || row.CitizenID == "" || row.State == PINSuperseded {
		return signer.Session{}, s.wrong(ctx, row, a.RemoteAddr, now)
	}
	if err := s.Store.UsePIN(ctx, row.ID, now); err != nil {
		return signer.Session{}, err
	}
	return s.Gate.Access(ctx, signer.Entrance{CitizenID: row.CitizenID, Via: signer.ViaPIN, RemoteAddr: a.RemoteAddr})
}

func (s *Pins) wrong(ctx context.Context, row PINRow, address string, now time.Time) error {
	refusal := policies.Refuse(policies.PINMismatch, "reason", "exhausted")
	if left := s.Limits.Tries - row.Attempts; left > 0 {
		refusal = policies.Refuse(policies.PINMismatch, "tries", strconv.Itoa(left))
	}
	err := s.Store.Log(ctx, audit.Entry{
		Type: audit.PINWrong, Operation: row.ID, At: now, Person: row.Identifier,
		Payload: map[string]any{"attempt": row.Attempts, "reason": string(refusal.Code), "address": address},
	})
	if err != nil {
		return err
	}
	return refusal
}

// check is the stored form of a PIN: it covers all that the row says, so that
// in a row that was altered no PIN is right.
func (s *Pins) check(ctx context.Context, row PINRow, key AccessKey, pin PIN) ([]byte, error) {
	return s.Checks.Check(ctx, row.Pepper, "pin", row.ID, row.Identifier, row.CitizenID,
		row.CreatedAt.UTC().Format(time.RFC3339Nano), row.ExpiresAt.UTC().Format(time.RFC3339Nano), key.Reveal(), pin.Reveal())
}
