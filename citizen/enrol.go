package citizen

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// EnrolmentKind is what somebody has proved who they are with.
type EnrolmentKind string

// The kinds.
const (
	ByCertificate EnrolmentKind = "certificate"
	ByLetter      EnrolmentKind = "letter"
)

// Enrolment is somebody on the way: who has proved who they are and has yet to
// say or to prove something more. Seal covers all but the counters; MAC is of
// the code that was sent last, and of what it was sent for.
type Enrolment struct {
	Attestation

	Hash       []byte // of the ticket that the browser holds
	Kind       EnrolmentKind
	Identifier string
	Phone      string // that is to be proved; E.164
	Pepper     int    // epoch of the key of MAC
	MAC        []byte
	Attempts   int
	Codes      int       // that were sent
	SentAt     time.Time // zero if none was
	Seal       RowSeal
	CreatedAt  time.Time
	ExpiresAt  time.Time
	SpentAt    time.Time // when the procedure was over; zero but for pages
}

// CodeUntil is when the code ends that was sent last.
func (e Enrolment) CodeUntil() time.Time {
	return e.SentAt.Add(time.Duration(e.CodeSeconds) * time.Second)
}

// CodeID names the code that was sent last, in messages and log.
func (e Enrolment) CodeID() string { return fmt.Sprintf("enrolment-%x-%d", e.Hash[:8], e.Codes) }

// EnrolmentStore keeps enrolments. Each method is one transaction with its log
// entries, and a failed compare is a refusal.
type EnrolmentStore interface {
	OpenEnrolment(ctx context.Context, e Enrolment, entry audit.Entry) error
	// Enrolment reads one that goes on (SessionExpired).
	Enrolment(ctx context.Context, hash []byte, now time.Time) (Enrolment, error)
	// PrepareEnrolmentCode stores what was typed and the code for it, if e.Codes
	// is one more than it was, after checking the pace of all enrolments of the
	// person (CodeTooSoon, CodeTooMany).
	PrepareEnrolmentCode(ctx context.Context, e Enrolment, pace signer.Pace) error
	// EnrolmentCodeSent records whether the operator took the code; one that was
	// not sent is right no more.
	EnrolmentCodeSent(ctx context.Context, e Enrolment, sent bool, entry audit.Entry) error
	// TryEnrolment counts an attempt on the code, durably, and returns the
	// enrolment as counted (CodeExpired, CodeExhausted, SessionExpired).
	TryEnrolment(ctx context.Context, try EnrolmentTry) (Enrolment, error)
	signer.Logger
}

// EnrolmentTry is an attempt on a code.
type EnrolmentTry struct {
	Hash  []byte
	Since time.Time // codes that were sent before are too old
	Limit int
	Now   time.Time
}

// Access lets an identified citizen in to the own pages. *signer.Service
// fulfils it.
type Access interface {
	Access(ctx context.Context, e signer.Entrance) (signer.Session, error)
}

// EnrolmentVault is what of the token enrolments need. *signer.Vault fulfils it.
type EnrolmentVault interface {
	Seals
	Epochs() signer.Epochs
	CheckEnrolment(ctx context.Context, pepper int, code signer.Code, fields ...string) ([]byte, error)
}

// EnrolmentLimits are the numbers of enrolments.
type EnrolmentLimits struct {
	Life      time.Duration
	CodeLife  time.Duration
	CodeTries int
	Pace      signer.Pace
}

// DefaultEnrolmentLimits are thirty minutes, and codes as in a ceremony.
func DefaultEnrolmentLimits() EnrolmentLimits {
	l := signer.DefaultLimits()
	return EnrolmentLimits{Life: 30 * time.Minute, CodeLife: l.CodeLife, CodeTries: l.CodeTries, Pace: l.CodePace}
}

// EnrolmentConfig names the parts of Enrolments.
type EnrolmentConfig struct {
	Register      *Service // which does what was begun
	Presentations *Presentations
	Store         EnrolmentStore
	Vault         EnrolmentVault
	Access        Access
	Post          Post
	Limits        EnrolmentLimits
}

// Enrolments is the registration authority on line: it registers people who
// have shown a certificate or answered a letter, renews registrations with the
// DNIe, and changes the mobile of who shows a certificate.
type Enrolments struct{ EnrolmentConfig }

// NewEnrolments makes it.
func NewEnrolments(c EnrolmentConfig) *Enrolments { return &Enrolments{c} }

// Redemption is a browser's that comes from the certificate door.
type Redemption struct {
	Code       string
	Verifier   string
	Procedure  Procedure
	RemoteAddr string
}

// Redeemed is how it goes on: a session of the own pages for ProcedureAccess, a
// ticket for the rest of the procedure otherwise.
type Redeemed struct {
	Ticket    signer.Ticket
	ExpiresAt time.Time
}

// Redeem begins the procedure for which a certificate was shown. Whoever shows
// a certificate has proved who they are, so they are told how they stand.
func (e *Enrolments) Redeem(ctx context.Context, r Redemption) (Redeemed, error) {
	shown, err := e.Presentations.take(ctx, r)
	if err != nil {
		return Redeemed{}, err
	}
	c, err := e.admit(ctx, shown)
	if refusal, refused := asRefusal(err); refused {
		entry := audit.Entry{
			Type: audit.EnrolmentRefused, Operation: shown.Facts.Statement, At: e.Register.Now(), Person: shown.Identifier,
			Payload: map[string]any{"procedure": string(r.Procedure), "reason": string(refusal.Code), "address": r.RemoteAddr},
		}
		if err := e.Store.Log(ctx, entry); err != nil {
			return Redeemed{}, err
		}
	}
	if err != nil {
		return Redeemed{}, outwardly(err, r.Procedure)
	}
	if r.Procedure == ProcedureAccess {
		session, err := e.Access.Access(ctx, signer.Entrance{CitizenID: c.ID, Via: signer.ViaCertificate, RemoteAddr: r.RemoteAddr})
		return Redeemed{Ticket: session.Ticket, ExpiresAt: session.ExpiresAt}, err
	}
	return e.Open(ctx, Opening{
		Kind: ByCertificate, Identifier: shown.Identifier, Attestation: shown.Facts, RemoteAddr: r.RemoteAddr,
	})
}

// outwardly is what is told of a refusal to somebody who is not at an office.
// Who asks to be registered would not be turned away as a stranger.
func outwardly(err error, p Procedure) error {
	refusal, refused := asRefusal(err)
	switch {
	case !refused:
		return err
	case refusal.Code == policies.CitizenDeceased && p == ProcedureRegister:
		return policies.Refuse(policies.RegistrationInPerson).From(policies.SourceRegister)
	default:
		return refusal.Outwardly()
	}
}

// admit decides whether the person may do with that certificate what they are
// about.
func (e *Enrolments) admit(ctx context.Context, s Presented) (signer.Citizen, error) {
	id, err := ParseIdentifier(s.Identifier)
	if err != nil {
		return signer.Citizen{}, err
	}
	if s.Facts.Procedure == ProcedureRegister {
		return e.Register.newcomer(ctx, id)
	}
	c, _, err := e.Register.present(ctx, id)
	if err != nil {
		return c, err
	}
	dnie := s.Facts.Mode == policies.ModeDNIe
	switch s.Facts.Procedure {
	case ProcedureRenew:
		if !dnie {
			return c, policies.Refuse(policies.DNIeRequired).From(policies.SourceRenewal)
		}
	case ProcedureAccess:
		// A certificate that somebody else could have got in the citizen's name is
		// one that the citizen has not named.
		if !dnie && (c.Associated == nil || fmt.Sprintf("%x", c.Associated) != s.Facts.Evidence["sha256"]) {
			return c, policies.Refuse(policies.AssociationMissing)
		}
	case ProcedureRegister, ProcedurePhone, ProcedureActivation, ProcedureAssociate:
	}
	return c, nil
}

// Opening begins an enrolment.
type Opening struct {
	Attestation

	Kind       EnrolmentKind
	Identifier string
	RemoteAddr string
}

// Open gives somebody who has proved who they are a ticket for what follows.
func (e *Enrolments) Open(ctx context.Context, o Opening) (Redeemed, error) {
	now, ticket := e.Register.Now(), signer.NewTicket()
	row := Enrolment{
		Attestation: o.Attestation, Hash: ticket.Hash(), Kind: o.Kind, Identifier: o.Identifier,
		CreatedAt: now.UTC().Truncate(time.Microsecond), ExpiresAt: now.Add(e.Limits.Life).UTC().Truncate(time.Microsecond),
	}
	if err := e.seal(ctx, &row); err != nil {
		return Redeemed{}, err
	}
	err := e.Store.OpenEnrolment(ctx, row, audit.Entry{
		Type: audit.EnrolmentOpened, Operation: row.operation(), At: now, Person: o.Identifier,
		Payload: o.by().into(map[string]any{"kind": string(o.Kind), "procedure": string(o.Procedure), "address": o.RemoteAddr}),
	})
	return Redeemed{Ticket: ticket, ExpiresAt: row.ExpiresAt}, err
}

// operation is what the log files an enrolment under.
func (e Enrolment) operation() string { return fmt.Sprintf("enrolment-%x", e.Hash[:8]) }

const sealedEnrolment = "enrolment"

func (e Enrolment) fields() ([]string, error) {
	text, err := e.text()
	return []string{
		fmt.Sprintf("%x", e.Hash), string(e.Kind), e.Identifier, text, e.Phone, exactly(e.CreatedAt), exactly(e.ExpiresAt),
	}, err
}

func (e *Enrolments) seal(ctx context.Context, row *Enrolment) error {
	fields, err := row.fields()
	if err != nil {
		return err
	}
	row.Seal.Epoch, row.Seal.MAC, err = e.Vault.Seal(ctx, sealedEnrolment, fields...)
	return err
}

// genuine refuses a row that this service did not write as it stands
// (RecordTampered), and one for something else (SessionExpired).
func (e *Enrolments) genuine(ctx context.Context, row Enrolment, procedures ...Procedure) error {
	fields, err := row.fields()
	if err != nil {
		return err
	}
	if err := e.Vault.CheckSeal(ctx, row.Seal.Epoch, row.Seal.MAC, sealedEnrolment, fields...); err != nil {
		return err
	}
	if !slices.Contains(procedures, row.Procedure) {
		return policies.Refuse(policies.SessionExpired)
	}
	return nil
}

// Peek reads an enrolment for a procedure, without using it up.
func (e *Enrolments) Peek(ctx context.Context, t signer.Ticket, procedure Procedure) (Enrolment, error) {
	row, err := e.Store.Enrolment(ctx, t.Hash(), e.Register.Now())
	if err != nil {
		return row, err
	}
	return row, e.genuine(ctx, row, procedure)
}
