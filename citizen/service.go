package citizen

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Store is what a citizen's life keeps. As in signer.Store each method is one
// transaction with its log entries, and a failed compare is a refusal.
type Store interface {
	// Register stores a new citizen with its registration and the check of its
	// activation code (CitizenExists, PhoneTaken).
	Register(ctx context.Context, c signer.Citizen, activationMAC []byte, entries ...audit.Entry) error
	// ReplaceActivation stores a new activation code's check and clears its failures.
	ReplaceActivation(ctx context.Context, citizenID string, activationMAC []byte, e audit.Entry) error
	// CountActivationAttempt adds one to the wrong tries of an identifier,
	// known or not, and returns the count so far, durably.
	CountActivationAttempt(ctx context.Context, identifier string, now time.Time) (int, error)
	// Activation reads a citizen and the check of the open activation code,
	// nil if none is open (CitizenUnknown).
	Activation(ctx context.Context, identifier string) (signer.Citizen, []byte, error)
	// OpenActivation stores the ticket of an activation whose code was right.
	OpenActivation(ctx context.Context, t signer.TicketRow, e audit.Entry) error
	// VerifyActivation consumes the SMS code and marks the ticket verified.
	VerifyActivation(ctx context.Context, ticketHash []byte, challengeID string, e audit.Entry) error
	// SetPassword ends the ticket and the activation code, destroys what the
	// old password could open, revokes its certificates, and stores the new
	// credential; the citizen becomes active. Entries for what was revoked are
	// put before the others by the store, which alone knows it.
	SetPassword(ctx context.Context, t signer.TicketRow, sealed signer.Sealed, n signer.Notice, entries ...audit.Entry) error

	signer.TicketReader
	Log(ctx context.Context, entries ...audit.Entry) error
}

// Codes sends and checks one-time codes. signer.Service fulfils it.
type Codes interface {
	SendCode(ctx context.Context, order signer.CodeOrder) (signer.Challenge, error)
	CheckCode(ctx context.Context, t signer.TicketRow, purpose signer.Purpose, code signer.Code) (signer.ChallengeRow, error)
}

// Vault turns passwords and activation codes into what may be stored.
// signer.Vault fulfils it.
type Vault interface {
	Enrol(ctx context.Context, citizenID, credentialID string, password []byte) (signer.Sealed, error)
	Opens(ctx context.Context, s signer.Sealed, password []byte) (bool, error)
	CheckActivation(ctx context.Context, citizenID, code string) ([]byte, error)
}

// Limits are the numbers of activation.
type Limits struct {
	ActivationTries int           // more than these wrong tries block the code
	TicketLife      time.Duration // from the activation code to the password
}

// DefaultLimits are five tries and fifteen minutes.
func DefaultLimits() Limits {
	return Limits{ActivationTries: 5, TicketLife: 15 * time.Minute}
}

// Config names the parts of a Service.
type Config struct {
	Store  Store
	Codes  Codes
	Vault  Vault
	Limits Limits
	Now    func() time.Time
}

// Service keeps citizens' registrations and passwords. It runs in the signer
// process, because phones and passwords may be written nowhere else.
type Service struct{ Config }

// New makes a Service.
func New(c Config) *Service { return &Service{c} }

// Application is what an officer writes down.
type Application struct {
	Identifier    Identifier
	Name          Name
	Phone         Phone
	Email         Email
	DocumentUntil time.Time // validity date of the DNI or NIE
	Locale        string
	Office        string
	Officer       string // client id that authenticated
}

// Receipt is what the citizen takes home.
type Receipt struct {
	CitizenID      string
	ActivationCode ActivationCode
	RegisteredAt   time.Time
}

// Register records an identity proved in person, at the advanced level
// (reference: levels and ways to register).
func (s *Service) Register(ctx context.Context, a Application) (Receipt, error) {
	now := s.Now()
	if !now.Before(a.DocumentUntil.AddDate(0, 0, 1)) {
		return Receipt{}, policies.Refuse(policies.IdentityDocumentExpiry, "until", a.DocumentUntil.Format(time.DateOnly))
	}
	c := signer.Citizen{
		ID: rand.Text(), Identifier: a.Identifier.String(), GivenName: a.Name.Given(), Surnames: a.Name.Surnames(),
		Phone: a.Phone.String(), Email: a.Email.String(), Locale: a.Locale, Status: signer.Registered, DocumentUntil: a.DocumentUntil,
		Registration: signer.Registration{
			Mode: string(policies.ModeOffice), Level: string(policies.LevelAdvanced), Office: a.Office, Officer: a.Officer, AssuredAt: now,
		},
	}
	code, mac, err := s.activationCode(ctx, c.ID)
	if err != nil {
		return Receipt{}, err
	}
	err = s.Store.Register(ctx, c, mac,
		audit.Entry{
			Type: audit.RegistrationCreated, Operation: c.ID, At: now, Person: c.Identifier,
			Payload: map[string]any{
				"citizen": c.ID, "mode": c.Registration.Mode, "level": c.Registration.Level, "office": a.Office, "officer": a.Officer,
				"document_until": a.DocumentUntil.Format(time.DateOnly), "phone": a.Phone.Masked(), "email": a.Email.Masked(),
			},
		},
		audit.Entry{
			Type: audit.ActivationCodeIssued, Operation: c.ID, At: now, Person: c.Identifier,
			Payload: map[string]any{"officer": a.Officer},
		})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{CitizenID: c.ID, ActivationCode: code, RegisteredAt: now}, nil
}

// RenewActivation gives a citizen at the office a new activation code, for a
// blocked or lost one and for a forgotten or locked password alike.
func (s *Service) RenewActivation(ctx context.Context, id Identifier, officer string) (Receipt, error) {
	c, _, err := s.Store.Activation(ctx, id.String())
	if err != nil {
		return Receipt{}, err
	}
	if c.Status == signer.Deregistered {
		return Receipt{}, policies.Refuse(policies.CitizenDeregistered)
	}
	code, mac, err := s.activationCode(ctx, c.ID)
	if err != nil {
		return Receipt{}, err
	}
	now := s.Now()
	err = s.Store.ReplaceActivation(ctx, c.ID, mac, audit.Entry{
		Type: audit.ActivationCodeIssued, Operation: c.ID, At: now, Person: c.Identifier,
		Payload: map[string]any{"officer": officer},
	})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{CitizenID: c.ID, ActivationCode: code, RegisteredAt: c.Registration.AssuredAt}, nil
}

func (s *Service) activationCode(ctx context.Context, citizenID string) (ActivationCode, []byte, error) {
	code := NewActivationCode()
	mac, err := s.Vault.CheckActivation(ctx, citizenID, code.Reveal())
	if err != nil {
		return ActivationCode{}, nil, fmt.Errorf("storing an activation code: %w", err)
	}
	return code, mac, nil
}

// Claim is what the citizen types to activate.
type Claim struct {
	Identifier Identifier
	Email      Email
	Code       ActivationCode
	RemoteAddr string
}

// StartActivation checks the activation code and sends an SMS. A stranger, a
// wrong e-mail and a wrong code answer alike.
func (s *Service) StartActivation(ctx context.Context, claim Claim) (signer.Session, signer.Challenge, error) {
	now := s.Now()
	failures, err := s.Store.CountActivationAttempt(ctx, claim.Identifier.String(), now)
	if err != nil {
		return signer.Session{}, signer.Challenge{}, err
	}
	if failures > s.Limits.ActivationTries {
		return signer.Session{}, signer.Challenge{}, s.denied(ctx, audit.ActivationBlocked, claim, policies.ActivationBlocked)
	}
	c, want, err := s.Store.Activation(ctx, claim.Identifier.String())
	if err != nil && !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		return signer.Session{}, signer.Challenge{}, err
	}
	got, err := s.Vault.CheckActivation(ctx, c.ID, claim.Code.Reveal())
	if err != nil {
		return signer.Session{}, signer.Challenge{}, fmt.Errorf("checking an activation code: %w", err)
	}
	right := hmac.Equal(got, want)
	if !right || !strings.EqualFold(c.Email, claim.Email.String()) || c.Status == signer.Deregistered {
		return signer.Session{}, signer.Challenge{}, s.denied(ctx, audit.ActivationFailed, claim, policies.ActivationMismatch)
	}

	ticket := signer.NewTicket()
	row := signer.TicketRow{Hash: ticket.Hash(), Purpose: signer.ForActivation, CitizenID: c.ID, ExpiresAt: now.Add(s.Limits.TicketLife)}
	err = s.Store.OpenActivation(ctx, row, audit.Entry{
		Type: audit.AuthSucceeded, Operation: c.ID, At: now, Person: c.Identifier,
		Payload: map[string]any{"factor": "activation", "address": claim.RemoteAddr},
	})
	if err != nil {
		return signer.Session{}, signer.Challenge{}, err
	}
	challenge, err := s.Codes.SendCode(ctx, signer.CodeOrder{Ticket: ticket, Purpose: signer.ForActivation})
	return signer.Session{Ticket: ticket, ExpiresAt: row.ExpiresAt}, challenge, err
}

func (s *Service) denied(ctx context.Context, kind audit.EventType, claim Claim, code policies.Code) error {
	err := s.Store.Log(ctx, audit.Entry{
		Type: kind, Operation: "activation", At: s.Now(), Person: claim.Identifier.String(),
		Payload: map[string]any{"reason": string(code), "address": claim.RemoteAddr},
	})
	if err != nil {
		return err
	}
	return policies.Refuse(code)
}

// ConfirmActivation checks the SMS code; the password may be set then.
func (s *Service) ConfirmActivation(ctx context.Context, answer signer.Answer) error {
	now := s.Now()
	row, err := s.ticket(ctx, answer.Ticket, now)
	if err != nil {
		return err
	}
	challenge, err := s.Codes.CheckCode(ctx, row, signer.ForActivation, answer.Code)
	if err != nil {
		return err
	}
	return s.Store.VerifyActivation(ctx, row.Hash, challenge.ID, audit.Entry{
		Type: audit.AuthSucceeded, Operation: row.CitizenID, At: now, Person: challenge.Identifier,
		Payload: map[string]any{"factor": "possession", "purpose": string(signer.ForActivation), "challenge": challenge.ID},
	})
}

func (s *Service) ticket(ctx context.Context, t signer.Ticket, now time.Time) (signer.TicketRow, error) {
	row, err := s.Store.Ticket(ctx, t.Hash(), now)
	if err != nil {
		return signer.TicketRow{}, err
	}
	if row.Purpose != signer.ForActivation {
		return signer.TicketRow{}, policies.Refuse(policies.SessionExpired)
	}
	return row, nil
}

// SetPassword ends an activation. Where there was a key, the old password was
// forgotten and nobody can open it any more: it is destroyed and its
// certificates are revoked.
func (s *Service) SetPassword(ctx context.Context, ticket signer.Ticket, password Password) error {
	defer password.Zero()
	now := s.Now()
	row, err := s.ticket(ctx, ticket, now)
	if err != nil {
		return err
	}
	if !row.Verified {
		return policies.Refuse(policies.SessionExpired)
	}
	c, last, err := s.Store.CitizenByID(ctx, row.CitizenID)
	if err != nil {
		return err
	}
	identifier, err := ParseIdentifier(c.Identifier)
	if err != nil {
		return fmt.Errorf("reading a stored identifier: %w", err)
	}
	name, err := ParseName(c.GivenName, c.Surnames)
	if err != nil {
		return fmt.Errorf("reading a stored name: %w", err)
	}
	if err := CheckPassword(password, PasswordContext{Name: name, Identifier: identifier}); err != nil {
		return err
	}
	if last != nil {
		same, err := s.Vault.Opens(ctx, last.Sealed, password.Reveal())
		if err != nil {
			return err
		}
		if same {
			return policies.Refuse(policies.PasswordWeak, "reason", "previous")
		}
	}
	sealed, err := s.Vault.Enrol(ctx, c.ID, rand.Text(), password.Reveal())
	if err != nil {
		return err
	}
	return s.Store.SetPassword(ctx, row, sealed,
		signer.Notice{Kind: "activated", CitizenID: c.ID},
		audit.Entry{
			Type: audit.PasswordSet, Operation: c.ID, At: now, Person: c.Identifier,
			Payload: map[string]any{"credential": sealed.CredentialID},
		},
		audit.Entry{
			Type: audit.ActivationDone, Operation: c.ID, At: now, Person: c.Identifier,
			Payload: map[string]any{"citizen": c.ID},
		})
}
