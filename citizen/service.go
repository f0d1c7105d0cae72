package citizen

import (
	"cmp"
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

// Activation is what is stored of an activation code.
type Activation struct {
	Pepper int // epoch of the key of MAC
	MAC    []byte
	// Enrolment is the hash of the one that is used up for it, nil at an office.
	Enrolment []byte
}

// Registering is somebody who is going to be registered, for the first time or
// again.
type Registering struct {
	Citizen    signer.Citizen // as the record will stand
	Evidence   map[string]string
	Activation Activation
	Change     signer.Change // of nothing the first time: Was is 0
	Notice     signer.Notice
}

// Update is a change of what a record says, and of nothing that it owns.
type Update struct {
	Citizen   signer.Citizen    // as the record will stand
	Evidence  map[string]string // of a renewed registration
	Enrolment []byte            // hash of the one that is used up, nil at an office
	Change    signer.Change
	Notice    signer.Notice
}

// PasswordChange is a new password in the place of a known one.
type PasswordChange struct {
	Ticket     signer.TicketRow
	Credential signer.Credential // as it will be
	Change     signer.Change
	Notice     signer.Notice
}

// Move is a change of a citizen's status.
type Move struct {
	From, To signer.CitizenStatus
	Fate     Fate
	Reason   int    // of a revocation (RFC 5280, section 5.3.1)
	Serial   string // of the certificate that is suspended or released
	// ChallengeID and TicketHash are the code and the ticket that the citizen
	// confirmed with; an office has none.
	ChallengeID string
	TicketHash  []byte
	Change      signer.Change
	Notice      signer.Notice
}

// Fate is what becomes of a citizen's keys and certificates.
type Fate int

// The fates.
const (
	Kept      Fate = iota
	Destroyed      // keys destroyed, certificates revoked
	Suspended      // certificateHold
	Released       // the hold lifted
)

// Store is what a citizen's life keeps. As in signer.Store each method is one
// transaction with its log entries, and a failed compare is a refusal. What
// changes a record takes its sealed next state, and does nothing if the record
// is not at the version that was read.
type Store interface {
	// Register stores a new citizen with its registration and the check of its
	// activation code (CitizenExists, PhoneTaken). Somebody who has been
	// deregistered gets a new registration of the old record; nobody who has
	// died does.
	Register(ctx context.Context, r Registering, entries ...audit.Entry) error
	// RenewRegistration stores another proof of the identity of somebody who is
	// registered.
	RenewRegistration(ctx context.Context, u Update, entries ...audit.Entry) error
	// ChangeContact stores mobile and mail (PhoneTaken), and ends sessions and
	// consents: codes that are on their way went to another.
	ChangeContact(ctx context.Context, u Update, entries ...audit.Entry) error
	// OfficeActs counts the acts of a kind that an office has sent since.
	OfficeActs(ctx context.Context, office string, kind ActKind, since time.Time) (int, error)
	// ReplaceActivation stores a new activation code's check and clears its failures.
	ReplaceActivation(ctx context.Context, citizenID string, a Activation, e audit.Entry) error
	// CountActivationAttempt adds one to the wrong tries of an identifier,
	// known or not, and returns the count so far, durably.
	CountActivationAttempt(ctx context.Context, identifier string, now time.Time) (int, error)
	// Activation reads the check of a citizen's open activation code, without a
	// MAC if none is open.
	Activation(ctx context.Context, citizenID string) (Activation, error)
	// OpenActivation stores the ticket of an activation whose code was right.
	OpenActivation(ctx context.Context, t signer.TicketRow, e audit.Entry) error
	// VerifyTicket consumes the SMS code and marks the ticket verified.
	VerifyTicket(ctx context.Context, t signer.TicketRow, challengeID string, e audit.Entry) error
	// SetPassword ends the ticket and the activation code, destroys what the
	// old password could open, revokes its certificates, and stores the new
	// credential; the citizen becomes active. Entries for what was revoked are
	// put before the others by the store, which alone knows it.
	SetPassword(ctx context.Context, t signer.TicketRow, k signer.Credential, c signer.Change, n signer.Notice, entries ...audit.Entry) error
	// ChangePassword consumes the ticket, stores the box under the new
	// password, and ends the citizen's other sessions and consents.
	ChangePassword(ctx context.Context, p PasswordChange, entries ...audit.Entry) error
	// SetStatus moves a citizen from one status to another and ends sessions
	// and consents.
	SetStatus(ctx context.Context, m Move, entries ...audit.Entry) error
	// EnterDeceased stores a record of somebody who was not registered and has
	// died (CitizenExists, where they have been registered meanwhile).
	EnterDeceased(ctx context.Context, c signer.Citizen, change signer.Change, e audit.Entry) error

	signer.TicketReader
	signer.Logger
}

// Codes sends and checks one-time codes. signer.Service fulfils it.
type Codes interface {
	SendCode(ctx context.Context, order signer.CodeOrder) (signer.Challenge, error)
	CheckCode(ctx context.Context, t signer.TicketRow, purpose signer.Purpose, code signer.Code) (signer.ChallengeRow, error)
}

// Vault turns passwords and activation codes into what may be stored.
// signer.Vault fulfils it.
type Vault interface {
	Epochs() signer.Epochs
	Enrol(ctx context.Context, citizenID, credentialID string, password []byte) (signer.Sealed, error)
	Opens(ctx context.Context, s signer.Sealed, password []byte) (bool, error)
	Reseal(ctx context.Context, s signer.Sealed, ks, password []byte) (signer.Sealed, error)
	CheckActivation(ctx context.Context, pepper int, citizenID, code string) ([]byte, error)
	SealTicket(ctx context.Context, t signer.TicketRow) (signer.TicketRow, error)
	CheckTicket(ctx context.Context, t signer.TicketRow) error
	Genuine(ctx context.Context, t signer.TicketRow, holder signer.Ticket) error
}

// People reads citizens' records, checked, and seals their changes.
// signer.People fulfils it.
type People interface {
	ByID(ctx context.Context, id string) (signer.Citizen, *signer.Credential, error)
	ByIdentifier(ctx context.Context, identifier string) (signer.Citizen, *signer.Credential, error)
	Change(ctx context.Context, c signer.Citizen, k *signer.Credential) (signer.Change, error)
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
	People People
	Codes  Codes
	Vault  Vault
	Desk   Desk
	Rules  policies.Rules
	Limits Limits
	Now    func() time.Time
	// Acts are those of offices that other parts of a citizen's life carry out.
	Acts map[ActKind]Performer
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
	Officer       string // who registers, as the registration keeps it
	By            By     // the same, for the log
	// Mode and Level are how the identity was proved: at an office, and at the
	// advanced level, if they are empty.
	Mode     policies.Mode
	Level    policies.Level
	Evidence map[string]string // what proved it, where that was not an officer's eyes
	Proved   Proved
}

// Proved is with what a citizen confirmed something on line; an office has none.
type Proved struct {
	Enrolment []byte // hash of the one that is used up
	Challenge string // id of the code
	Serial    string // of the certificate that was shown
	Factors   []string
}

// into adds what there is of it to the facts of an entry.
func (p Proved) into(facts map[string]any) map[string]any {
	if p.Challenge != "" {
		facts["challenge"] = p.Challenge
	}
	if p.Serial != "" {
		facts["serial"] = p.Serial
	}
	if len(p.Factors) > 0 {
		facts["factors"] = p.Factors
	}
	return facts
}

// Receipt is what the citizen takes home.
type Receipt struct {
	CitizenID      string
	ActivationCode ActivationCode
	RegisteredAt   time.Time
	// Code is the secret that another act leaves for whoever asked for it: what a
	// browser takes from the certificate door, what is printed in a letter.
	Code string
}

// Register records an identity that was proved (reference: levels and ways to
// register). Somebody who left comes back as the same person with a new
// registration: nothing of the former one counts.
func (s *Service) Register(ctx context.Context, a Application) (Receipt, error) {
	now := s.Now()
	if err := s.validDocument(a.DocumentUntil, now); err != nil {
		return Receipt{}, err
	}
	c, err := s.newcomer(ctx, a.Identifier)
	if err != nil {
		return Receipt{}, err
	}
	// A stranger whose death was reported, wrongly, has a record and no registration.
	again := c.Registration.Mode != ""
	c.GivenName, c.Surnames, c.Phone, c.Email = a.Name.Given(), a.Name.Surnames(), a.Phone.String(), a.Email.String()
	c.Locale, c.Status, c.DocumentUntil = a.Locale, signer.Registered, a.DocumentUntil
	c.PhoneChangedAt, c.Associated, c.Notices = time.Time{}, nil, signer.NoticesMail
	c.Registration = signer.Registration{
		Mode: string(cmp.Or(a.Mode, policies.ModeOffice)), Level: string(cmp.Or(a.Level, policies.LevelAdvanced)),
		Office: a.Office, Officer: a.Officer, AssuredAt: later(now, c.Registration.AssuredAt),
	}
	code, activation, err := s.activationCode(ctx, c.ID)
	if err != nil {
		return Receipt{}, err
	}
	activation.Enrolment = a.Proved.Enrolment
	change, err := s.People.Change(ctx, c, nil)
	if err != nil {
		return Receipt{}, err
	}
	r := Registering{Citizen: c, Evidence: a.Evidence, Activation: activation, Change: change}
	if again || a.Proved.Enrolment != nil {
		r.Notice = signer.Notice{Kind: "registered", CitizenID: c.ID}
	}
	err = s.Store.Register(ctx, r,
		audit.Entry{
			Type: audit.RegistrationCreated, Operation: c.ID, At: now, Person: c.Identifier,
			Payload: a.By.into(a.Proved.into(a.facts(c, again))),
		},
		audit.Entry{
			Type: audit.ActivationCodeIssued, Operation: c.ID, At: now, Person: c.Identifier,
			Payload: a.By.into(map[string]any{"officer": a.Officer}),
		})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{CitizenID: c.ID, ActivationCode: code, RegisteredAt: c.Registration.AssuredAt}, nil
}

// newcomer is the record of somebody who is not registered: a new one, or that
// of somebody who was (CitizenExists, CitizenDeceased).
func (s *Service) newcomer(ctx context.Context, id Identifier) (signer.Citizen, error) {
	c, _, err := s.People.ByIdentifier(ctx, id.String())
	switch {
	case errors.Is(err, policies.Refuse(policies.CitizenUnknown)):
		return signer.Citizen{ID: rand.Text(), Identifier: id.String()}, nil
	case err != nil:
		return c, err
	}
	return c, policies.Register(policies.Status(c.Status))
}

func (a Application) facts(c signer.Citizen, again bool) map[string]any {
	facts := map[string]any{
		"citizen": c.ID, "mode": c.Registration.Mode, "level": c.Registration.Level,
		"assured_at": c.Registration.AssuredAt.UTC().Format(time.RFC3339),
		"office":     a.Office, "office_name": a.Office, "officer": a.Officer,
		"document_until": a.DocumentUntil.Format(time.DateOnly), "phone": a.Phone.Masked(), "email": a.Email.Masked(),
	}
	if again {
		facts["again"] = true
	}
	if len(a.Evidence) > 0 {
		facts["evidence"] = a.Evidence
	}
	return facts
}

// validDocument refuses an identity document that is not valid any more.
func (s *Service) validDocument(until, now time.Time) error {
	if until.IsZero() {
		return policies.Refuse(policies.IdentityDocumentExpiry).From(policies.SourceRegister)
	}
	if !now.Before(until.AddDate(0, 0, 1)) {
		return policies.Refuse(policies.IdentityDocumentExpiry, "until", until.Format(time.DateOnly)).From(policies.SourceRegister)
	}
	return nil
}

// later keeps the newest registration the newest where clocks differ.
func later(now, last time.Time) time.Time {
	if now.After(last) {
		return now
	}
	return last
}

// RenewActivation gives a citizen at the office a new activation code, for a
// blocked or lost one and for a forgotten or locked password alike.
func (s *Service) RenewActivation(ctx context.Context, id Identifier, by By) (Receipt, error) {
	return s.renewActivation(ctx, id, by, nil)
}

func (s *Service) renewActivation(ctx context.Context, id Identifier, by By, enrolment []byte) (Receipt, error) {
	c, _, err := s.present(ctx, id)
	if err != nil {
		return Receipt{}, err
	}
	code, activation, err := s.activationCode(ctx, c.ID)
	if err != nil {
		return Receipt{}, err
	}
	activation.Enrolment = enrolment
	now := s.Now()
	err = s.Store.ReplaceActivation(ctx, c.ID, activation, audit.Entry{
		Type: audit.ActivationCodeIssued, Operation: c.ID, At: now, Person: c.Identifier,
		Payload: by.into(map[string]any{}),
	})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{CitizenID: c.ID, ActivationCode: code, RegisteredAt: c.Registration.AssuredAt}, nil
}

func (s *Service) activationCode(ctx context.Context, citizenID string) (ActivationCode, Activation, error) {
	code, pepper := NewActivationCode(), s.Vault.Epochs().Pepper
	mac, err := s.Vault.CheckActivation(ctx, pepper, citizenID, code.Reveal())
	if err != nil {
		return ActivationCode{}, Activation{}, fmt.Errorf("storing an activation code: %w", err)
	}
	return code, Activation{Pepper: pepper, MAC: mac}, nil
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
	c, err := s.claimant(ctx, claim)
	if errors.Is(err, policies.Refuse(policies.ActivationMismatch)) {
		return signer.Session{}, signer.Challenge{}, s.denied(ctx, audit.ActivationFailed, claim, policies.ActivationMismatch)
	}
	if err != nil {
		return signer.Session{}, signer.Challenge{}, err
	}

	ticket := signer.NewTicket()
	row, err := s.Vault.SealTicket(ctx, signer.TicketRow{
		Hash: ticket.Hash(), Purpose: signer.ForActivation, CitizenID: c.ID, Source: signer.Source(claim.RemoteAddr), IdentifiedAt: now,
		ExpiresAt: now.Add(s.Limits.TicketLife).Truncate(time.Microsecond),
	})
	if err != nil {
		return signer.Session{}, signer.Challenge{}, err
	}
	err = s.Store.OpenActivation(ctx, row, audit.Entry{
		Type: audit.AuthSucceeded, Operation: c.ID, At: now, Person: c.Identifier,
		Payload: map[string]any{"factor": "activation", "address": claim.RemoteAddr},
	})
	if err != nil {
		return signer.Session{}, signer.Challenge{}, err
	}
	// Told now, to who has the right code, and not after a password was chosen.
	err = policies.SetPassword(signer.Facts(c, nil, now), s.Rules)
	if errors.Is(err, policies.Refuse(policies.PhoneChangedRecently)) {
		return signer.Session{}, signer.Challenge{}, errors.Join(err, s.denied(ctx, audit.ActivationFailed, claim, policies.PhoneChangedRecently))
	}
	challenge, err := s.Codes.SendCode(ctx, signer.CodeOrder{Ticket: ticket, Purpose: signer.ForActivation})
	return signer.Session{Ticket: ticket, ExpiresAt: row.ExpiresAt}, challenge, err
}

// claimant is the citizen whose activation code and e-mail were typed. A
// stranger costs the same.
func (s *Service) claimant(ctx context.Context, claim Claim) (signer.Citizen, error) {
	c, _, err := s.People.ByIdentifier(ctx, claim.Identifier.String())
	if err != nil && !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		return c, err
	}
	want, err := s.Store.Activation(ctx, c.ID)
	if err != nil {
		return c, err
	}
	if want.MAC == nil {
		want.Pepper = s.Vault.Epochs().Pepper
	}
	got, err := s.Vault.CheckActivation(ctx, want.Pepper, c.ID, claim.Code.Reveal())
	if err != nil {
		return c, fmt.Errorf("checking an activation code: %w", err)
	}
	right := hmac.Equal(got, want.MAC)
	if !right || !strings.EqualFold(c.Email, claim.Email.String()) || c.Status.Gone() {
		return c, policies.Refuse(policies.ActivationMismatch)
	}
	return c, nil
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

// Confirm checks the SMS code of an activation or of a password's change; the
// password may be chosen then.
func (s *Service) Confirm(ctx context.Context, answer signer.Answer) error {
	now := s.Now()
	row, err := s.Store.Ticket(ctx, answer.Ticket.Hash(), now)
	if err != nil {
		return err
	}
	purpose, ok := map[signer.Purpose]signer.Purpose{
		signer.ForActivation: signer.ForActivation, signer.ForAffairs: signer.ForPassword,
	}[row.Purpose]
	if !ok {
		return policies.Refuse(policies.SessionExpired)
	}
	if err := s.Vault.Genuine(ctx, row, answer.Ticket); err != nil {
		return err
	}
	challenge, err := s.Codes.CheckCode(ctx, row, purpose, answer.Code)
	if err != nil {
		return err
	}
	row.Verified = true
	if row, err = s.Vault.SealTicket(ctx, row); err != nil {
		return err
	}
	return s.Store.VerifyTicket(ctx, row, challenge.ID, audit.Entry{
		Type: audit.AuthSucceeded, Operation: row.CitizenID, At: now, Person: challenge.Identifier,
		Payload: challenge.Passed(now),
	})
}

// confirmed is a ticket for that purpose whose code was right.
func (s *Service) confirmed(ctx context.Context, t signer.Ticket, purpose signer.Purpose, now time.Time) (signer.TicketRow, error) {
	row, err := s.Store.Ticket(ctx, t.Hash(), now)
	if err != nil {
		return signer.TicketRow{}, err
	}
	if row.Purpose != purpose || !row.Verified {
		return signer.TicketRow{}, policies.Refuse(policies.SessionExpired)
	}
	return row, s.Vault.CheckTicket(ctx, row)
}
