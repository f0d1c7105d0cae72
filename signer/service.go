package signer

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Issuer certifies citizens' keys. online.CA fulfils it.
type Issuer interface {
	// Ready reports why nothing can be certified now, nil if it can: above all, a
	// clock that is not to be trusted.
	Ready(ctx context.Context) error
	// Prepare fixes and lints everything of a certificate but its signature. The
	// request's addresses are the issuer's to fill in.
	Prepare(ctx context.Context, r ca.Request) (*ca.Prepared, ca.Place, error)
	// Issue uses the issuing key, once for each Prepared.
	Issue(p *ca.Prepared) ([]byte, error)
	// Chain is the certificate of whoever issued this one, and those above it
	// but the root: after another authority has taken over, still the old one's.
	// Where that was revoked, it is ca.ErrAuthorityRevoked.
	Chain(certificate *x509.Certificate) ([]*x509.Certificate, error)
}

// Courier sends one-time codes and reminders. It composes the text, so that the
// words are in the catalogue; it returns when the operator's gateway has
// accepted the SMS.
type Courier interface {
	SendCode(ctx context.Context, m CodeMessage) error
	Remind(ctx context.Context, m ReminderMessage) error
	Tell(ctx context.Context, m NoticeMessage) error
}

// CodeMessage is the content of an SMS with a code.
type CodeMessage struct {
	ID           string
	RequestID    string // empty where no request asked for it
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
	Password     PasswordLimits
	PasswordLife time.Duration // after it the password opens nothing but its change
	TicketLife   time.Duration // from the password to the code
	AccessLife   time.Duration // of a look at the citizen's own pages
	CodeLife     time.Duration
	CodeTries    int
	CodePace     Pace
	// AuthorisationLife is how long a consent waits to be spent.
	AuthorisationLife time.Duration
	Lease             time.Duration // an intent without outcome is interrupted after it
}

// DefaultLimits are five passwords, valid for two years; ten minutes for a
// ceremony, thirty for the own pages; codes of five minutes with three tries, five an hour, thirty
// seconds apart.
func DefaultLimits() Limits {
	const day = 24 * time.Hour
	return Limits{
		Password: PasswordLimits{
			Tries: 5, Pause: time.Minute, MaxPause: time.Hour, Hard: 100, Familiar: 90 * day,
		},
		PasswordLife:      2 * 365 * day,
		TicketLife:        10 * time.Minute,
		AccessLife:        30 * time.Minute,
		CodeLife:          5 * time.Minute,
		CodeTries:         3,
		CodePace:          Pace{Interval: 30 * time.Second, PerHour: 5},
		AuthorisationLife: 5 * time.Minute,
		Lease:             time.Minute,
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
	// KeyAlgorithm is the kind of citizens' keys ("rsa-3072", "ec-p256", "ec-p384").
	KeyAlgorithm string
	// RSAScheme is how RSA keys sign, cms.PKCS1v15 if it is empty.
	RSAScheme cms.Scheme
	// Explicit admits factors that pass through applications which have that switched
	// on (SCAL1).
	Explicit bool
	// ReadyKeys are made in idle time, see KeepReady.
	ReadyKeys int
	Now       func() time.Time
	Logger    *slog.Logger
	// Gate reports why nothing may be signed, nil if something may; without one
	// nothing stands in the way.
	Gate func(ctx context.Context) error
	// Step, if there is one, hears the name of each step of a ceremony before
	// it is taken: where the tests of crashes end the process.
	Step func(name string)
}

// Service is the signature activation module.
type Service struct {
	Config
	people People
	pool   *pool
	decoy  Sealed
}

// New makes the module.
func New(c Config) *Service {
	if c.Step == nil {
		c.Step = func(string) {}
	}
	return &Service{
		Config: c,
		people: People{Rows: c.Store, Vault: c.Vault, Now: c.Now, Logger: c.Logger},
		pool:   &pool{keys: c.Keys, algorithm: c.KeyAlgorithm, size: c.ReadyKeys},
		decoy:  c.Vault.decoy(),
	}
}

var _ Module = (*Service)(nil)

// Open implements Module.
func (s *Service) Open(ctx context.Context, requestID string) error {
	r, err := s.Store.Request(ctx, requestID)
	if err != nil {
		return err
	}
	_, err = s.Store.OpenRequest(ctx, r.ID, audit.Entry{
		Type: audit.SignRequested, Operation: r.ID, At: s.Now(), Person: r.Identifier,
		Payload: facts{"application": r.Application.ID, "title": r.Title, "documents": r.tell(Document.arrived)},
	})
	return err
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
	citizen, _, err := s.people.ByID(ctx, row.CitizenID)
	if err != nil {
		return err
	}
	request, err := s.Store.Request(ctx, row.RequestID)
	if err != nil {
		return err
	}
	return s.Store.RefuseRequest(ctx, row.Hash, audit.Entry{
		Type: audit.SignRefused, Operation: row.RequestID, At: now, Person: citizen.Identifier,
		Payload: request.matter().facts(facts{"by": "citizen"}),
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
		DocumentUntil:  c.DocumentUntil,
		PhoneChangedAt: c.PhoneChangedAt,
	}
	if k != nil && k.Certificate != nil {
		crt := *k.Certificate
		f.Certificate = &policies.Certificate{NotBefore: crt.NotBefore, NotAfter: crt.NotAfter, Suspended: crt.Suspended()}
		if !crt.Suspended() {
			f.Certificate.RevokedAt = crt.RevokedAt
		}
	}
	return f
}

func hexOf(b []byte) string { return fmt.Sprintf("%x", b) }
