package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/policies"
)

// Issuer certifies citizens' keys. ca.Authority fulfils it.
type Issuer interface {
	// Prepare fixes and lints everything of a certificate but its signature.
	Prepare(r ca.Request) (*ca.Prepared, error)
	// Issue uses the issuing key, once for each Prepared.
	Issue(p *ca.Prepared) ([]byte, error)
	// Chain is the issuing certificate and those above it but the root, DER.
	ChainDER() [][]byte
}

// Courier sends one-time codes. It composes the text, so that the words are in
// the catalogue; it returns when the operator's gateway has accepted the SMS.
type Courier interface {
	SendCode(ctx context.Context, m CodeMessage) error
}

// CodeMessage is the content of an SMS with a code.
type CodeMessage struct {
	ID           string
	Phone        string
	Locale       string
	Purpose      Purpose
	Organisation string
	Application  string
	Title        string
	Documents    int
	Reference    string
	Code         Code
}

// Limits are the numbers of the ceremony, each with its default in
// DefaultLimits (reference: the rules of Cl@ve Firma).
type Limits struct {
	PasswordTries int           // failures before the password is locked
	TicketLife    time.Duration // from the password to the code
	CodeLife      time.Duration
	CodeTries     int
	CodePace      Pace
	Lease         time.Duration // an intent without outcome is interrupted after it
}

// DefaultLimits are five passwords, ten minutes, codes of five minutes with
// three tries, five an hour, thirty seconds apart.
func DefaultLimits() Limits {
	return Limits{
		PasswordTries: 5,
		TicketLife:    10 * time.Minute,
		CodeLife:      5 * time.Minute,
		CodeTries:     3,
		CodePace:      Pace{Interval: 30 * time.Second, PerHour: 5},
		Lease:         time.Minute,
	}
}

// Config names the parts of a Service.
type Config struct {
	Store   Store
	Keys    Keys
	Vault   *Vault
	Issuer  Issuer
	Courier Courier
	Rules   policies.Rules
	Limits  Limits
	// KEK is the label of the key-encryption key, KeyAlgorithm the kind of
	// citizens' keys ("rsa-3072", "ec-p256", "ec-p384").
	KEK          string
	KeyAlgorithm string
	Now          func() time.Time
	Logger       *slog.Logger
}

// Service is the signature activation module.
type Service struct {
	Config
	decoy Sealed
}

// New makes the module.
func New(c Config) *Service {
	return &Service{Config: c, decoy: c.Vault.decoy()}
}

var _ Module = (*Service)(nil)

// Open implements Module.
func (s *Service) Open(ctx context.Context, requestID string) error {
	r, err := s.Store.Request(ctx, requestID)
	if err != nil {
		return err
	}
	documents := make([]map[string]any, len(r.Documents))
	for i, d := range r.Documents {
		documents[i] = map[string]any{"ordinal": d.Ordinal, "name": d.Name, "format": string(d.Format), "bytes": d.Size, "sha256": hexOf(d.SHA256)}
	}
	_, err = s.Store.OpenRequest(ctx, r.ID, audit.Entry{
		Type: audit.SignRequested, Operation: r.ID, At: s.Now(), Person: r.Identifier,
		Payload: map[string]any{"application": r.Application.ID, "title": r.Title, "documents": documents},
	})
	return err
}

// Identify implements Module. Whether the citizen exists decides which box is
// tried, and nothing else: every step before and after costs the same.
func (s *Service) Identify(ctx context.Context, who Identification) (Session, error) {
	defer zero(who.Password)
	now := s.Now()
	r, err := s.Store.Request(ctx, who.RequestID)
	if err != nil {
		return Session{}, err
	}
	if err := open(r, now); err != nil {
		return Session{}, err
	}
	failures, err := s.Store.CountPasswordAttempt(ctx, who.Identifier, now)
	if err != nil {
		return Session{}, err
	}
	if failures > s.Limits.PasswordTries {
		return Session{}, s.denied(ctx, audit.AuthLocked, who, policies.Refuse(policies.PasswordLocked))
	}

	citizen, credential, err := s.Store.CitizenByIdentifier(ctx, who.Identifier)
	if err != nil && !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		return Session{}, err
	}
	box, known := s.decoy, err == nil && credential != nil && citizen.Status == Active
	if known {
		box = credential.Sealed
	}
	ks, err := s.Vault.sealingKey(ctx, box, who.Password)
	if err != nil {
		return Session{}, err
	}
	defer zero(ks)
	payload, err := box.open(ks)
	zero(payload)
	if err != nil || !known {
		return Session{}, s.denied(ctx, audit.AuthFailed, who, wrongPassword(s.Limits.PasswordTries-failures))
	}
	if who.Identifier != r.Identifier {
		return Session{}, s.denied(ctx, audit.AuthFailed, who, policies.Refuse(policies.NotTheSigner))
	}

	ticket := NewTicket()
	row, err := s.ticketRow(ticket, ks, TicketRow{
		RequestID: r.ID, CitizenID: citizen.ID, CredentialID: credential.ID,
		Generation: credential.Generation, ExpiresAt: now.Add(s.Limits.TicketLife),
	})
	if err != nil {
		return Session{}, err
	}
	err = s.Store.OpenSession(ctx, row, audit.Entry{
		Type: audit.AuthSucceeded, Operation: r.ID, At: now, Person: citizen.Identifier,
		Payload: map[string]any{"factor": "knowledge", "address": who.RemoteAddr},
	})
	if err != nil {
		return Session{}, err
	}
	return Session{Ticket: ticket, ExpiresAt: row.ExpiresAt, Certified: credential.Certified(now)}, nil
}

func wrongPassword(left int) *policies.Refusal {
	if left <= 0 {
		return policies.Refuse(policies.PasswordLocked)
	}
	return policies.Refuse(policies.CredentialsWrong, "tries", fmt.Sprint(left))
}

// denied logs a failed authentication and returns its refusal.
func (s *Service) denied(ctx context.Context, kind audit.EventType, who Identification, r *policies.Refusal) error {
	err := s.Store.Log(ctx, audit.Entry{
		Type: kind, Operation: who.RequestID, At: s.Now(), Person: who.Identifier,
		Payload: map[string]any{"factor": "knowledge", "reason": string(r.Code), "address": who.RemoteAddr},
	})
	if err != nil {
		return err
	}
	return r
}

// ticketRow encrypts the sealing key under the ticket.
func (s *Service) ticketRow(t Ticket, ks []byte, row TicketRow) (TicketRow, error) {
	row.Hash = t.Hash()
	row.Purpose = ForSignature
	key, err := t.key()
	if err != nil {
		return TicketRow{}, fmt.Errorf("keying the ticket: %w", err)
	}
	defer zero(key)
	row.SealedKey, err = encrypt(key, ks, row.additional())
	return row, err
}

func (t TicketRow) additional() []byte {
	return bind("rubrica ticket v1", t.RequestID, t.CitizenID, t.CredentialID, fmt.Sprint(t.Generation))
}

func (t TicketRow) sealingKey(ticket Ticket) ([]byte, error) {
	key, err := ticket.key()
	if err != nil {
		return nil, fmt.Errorf("keying the ticket: %w", err)
	}
	defer zero(key)
	ks, err := decrypt(key, t.SealedKey, t.additional())
	if err != nil {
		return nil, policies.Refuse(policies.SessionExpired)
	}
	return ks, nil
}

// open reports why a request cannot go on, nil if it can.
func open(r Request, now time.Time) error {
	switch {
	case r.State == Received:
		return policies.Refuse(policies.RequestUnknown)
	case r.State == Expired, r.State == Pending && !now.Before(r.ExpiresAt):
		return policies.Refuse(policies.RequestExpired)
	case r.State != Pending:
		return policies.Refuse(policies.RequestState, "state", string(r.State))
	}
	return nil
}

// Refuse implements Module.
func (s *Service) Refuse(ctx context.Context, ticket Ticket) error {
	now := s.Now()
	row, err := s.Store.Ticket(ctx, ticket.Hash(), now)
	if err != nil {
		return err
	}
	citizen, _, err := s.Store.CitizenByID(ctx, row.CitizenID)
	if err != nil {
		return err
	}
	return s.Store.RefuseRequest(ctx, row.Hash, audit.Entry{
		Type: audit.SignRefused, Operation: row.RequestID, At: now, Person: citizen.Identifier,
		Payload: map[string]any{"by": "citizen"},
	})
}

// Facts gathers what the rules ask about a citizen.
func Facts(c Citizen, k *Credential, now time.Time) policies.Facts {
	f := policies.Facts{
		Now:    now,
		Status: policies.Status(c.Status),
		Registration: policies.Registration{
			Mode:      policies.Mode(c.Registration.Mode),
			Level:     policies.Level(c.Registration.Level),
			AssuredAt: c.Registration.AssuredAt,
		},
		DocumentUntil: c.DocumentUntil,
	}
	if k != nil && k.Certificate != nil {
		f.Certificate = &policies.Certificate{NotBefore: k.Certificate.NotBefore, NotAfter: k.Certificate.NotAfter, RevokedAt: k.Certificate.RevokedAt}
	}
	return f
}

func hexOf(b []byte) string { return fmt.Sprintf("%x", b) }
