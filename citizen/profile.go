package citizen

import (
	"context"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// ProfileStore is what citizens change of themselves. As in Store each method is
// one transaction with its log entries, and a failed compare is a refusal.
type ProfileStore interface {
	// Await stores a change that waits for its link, in the place of an older one
	// of its kind, and consumes the code that the citizen confirmed it with.
	Await(ctx context.Context, p Pending, challengeID string, e audit.Entry) error
	// AwaitPassword does the same, and spends the ticket that was verified.
	AwaitPassword(ctx context.Context, p Pending, t signer.TicketRow, e audit.Entry) error
	// Pending reads a change that still waits (LinkInvalid).
	Pending(ctx context.Context, hash []byte, now time.Time) (Pending, error)
	// CompleteEmail gives the citizen the address that waited (LinkInvalid).
	CompleteEmail(ctx context.Context, p Pending, r Revision, e audit.Entry) error
	// CompletePassword stores the box that waited, and ends the citizen's
	// sessions and consents (LinkInvalid).
	CompletePassword(ctx context.Context, p Pending, k signer.Credential, r Revision, e audit.Entry) error
	// Associate and Dissociate change the certificate that the citizen logs in
	// with (AssociationExists, AssociationMissing).
	Associate(ctx context.Context, a Association, r Revision, e audit.Entry) error
	Dissociate(ctx context.Context, r Revision, e audit.Entry) error
	// PersonEntries reads what the log holds of a person, oldest first, after an
	// entry; what was erased is not there.
	PersonEntries(ctx context.Context, identifier string, after int64, limit int) ([]LogEntry, error)
	// EndVisit ends one session of a citizen's, EndVisits all, with what waits for
	// them (SessionExpired).
	EndVisit(ctx context.Context, hash []byte, e audit.Entry) error
	EndVisits(ctx context.Context, citizenID string, e audit.Entry) error
	// Request reads a request with its documents (RequestUnknown).
	Request(ctx context.Context, id string) (signer.Request, error)
	// SetNotices changes how the citizen is told of signatures.
	SetNotices(ctx context.Context, n signer.Notices, r Revision, e audit.Entry) error
}

// Revision is the next state of a record, whom it is told to, and the code that
// it was confirmed with, if one was asked for.
type Revision struct {
	Change      signer.Change
	Notice      signer.Notice
	ChallengeID string
}

// ProfileConfig names the parts of a Profile.
type ProfileConfig struct {
	Register *Service // whose people, codes and vault are used
	Store    ProfileStore
	Seals    Seals
	Post     Post
	Proofs   Proofs
	// PasswordLink has a change of password wait for a mailed link.
	PasswordLink bool
	LinkLife     time.Duration
}

// DefaultLinkLife is how long a mailed link can be followed.
const DefaultLinkLife = 30 * time.Minute

// Profile is what citizens do on their own pages. Whoever has come in by
// another way than the password sees them, and changes nothing.
type Profile struct{ ProfileConfig }

// NewProfile makes a Profile.
func NewProfile(c ProfileConfig) *Profile { return &Profile{c} }

// visit is a citizen on the own pages.
type visit struct {
	signer.TicketRow

	citizen    signer.Citizen
	credential *signer.Credential
	challenge  signer.ChallengeRow
	now        time.Time
}

// visit reads who holds an access ticket.
func (s *Service) visit(ctx context.Context, t signer.Ticket) (visit, error) {
	v := visit{now: s.Now()}
	var err error
	if v.TicketRow, err = s.Store.Ticket(ctx, t.Hash(), v.now); err != nil {
		return v, err
	}
	if v.Purpose != signer.ForAccess {
		return v, policies.Refuse(policies.SessionExpired)
	}
	if err := s.Vault.Genuine(ctx, v.TicketRow, t); err != nil {
		return v, err
	}
	v.citizen, v.credential, err = s.People.ByID(ctx, v.CitizenID)
	return v, err
}

// changing is a visit of somebody who knows the password.
func (p *Profile) changing(ctx context.Context, t signer.Ticket) (visit, error) {
	v, err := p.Register.visit(ctx, t)
	if err == nil && (v.Via != signer.ViaPassword || v.citizen.Status != signer.Active) {
		err = policies.Refuse(policies.SessionExpired)
	}
	return v, err
}

// confirmed is the same with the code for that very purpose.
func (p *Profile) confirmed(ctx context.Context, a signer.Answer, purpose signer.Purpose) (visit, error) {
	v, err := p.changing(ctx, a.Ticket)
	if err != nil {
		return v, err
	}
	v.challenge, err = p.Register.Codes.CheckCode(ctx, v.TicketRow, purpose, a.Code)
	return v, err
}

// entry is what the log says of something that the citizen confirmed.
func (v visit) entry(kind audit.EventType, payload map[string]any) audit.Entry {
	if v.challenge.ID != "" {
		payload["challenge"], payload["factors"] = v.challenge.ID, []string{"knowledge", "possession"}
	}
	return audit.Entry{Type: kind, Operation: v.citizen.ID, At: v.now, Person: v.citizen.Identifier, Payload: payload}
}

// revision seals the citizen's record as it is going to stand.
func (p *Profile) revision(ctx context.Context, v visit, notice string) (Revision, error) {
	change, err := p.Register.People.Change(ctx, v.citizen, v.credential)
	r := Revision{Change: change, ChallengeID: v.challenge.ID}
	if notice != "" {
		r.Notice = signer.Notice{Kind: notice, CitizenID: v.citizen.ID}
	}
	return r, err
}

// Deregister ends the registration at the citizen's wish: certificates are
// revoked and keys destroyed; what was signed stays valid.
func (p *Profile) Deregister(ctx context.Context, a signer.Answer) error {
	v, err := p.confirmed(ctx, a, signer.ForDeregistration)
	if err != nil {
		return err
	}
	return p.Register.carry(ctx, v.citizen, v.credential, Order{Reason: string(signer.ForDeregistration)}, transition{
		from: []signer.CitizenStatus{signer.Active}, to: signer.Deregistered,
		event: audit.CitizenDeregistered, fate: Destroyed, reason: CessationOfOperation, notice: "citizen_deregistered",
		challengeID: v.challenge.ID, ticketHash: v.Hash,
	})
}

// ChangeEmail has a link mailed to the new address; the address is changed when
// it is followed, which shows that it is the citizen's.
func (p *Profile) ChangeEmail(ctx context.Context, a signer.Answer, email Email) error {
	v, err := p.confirmed(ctx, a, signer.ForEmail)
	if err != nil {
		return err
	}
	link := NewLink()
	pending, err := p.pending(ctx, Pending{Hash: link.Hash(), CitizenID: v.citizen.ID, Kind: PendingEmail, Email: email.String(), CreatedAt: v.now})
	if err != nil {
		return err
	}
	if err := p.Store.Await(ctx, pending, v.challenge.ID, v.entry(audit.LinkSent, pending.facts(email))); err != nil {
		return err
	}
	return p.mail(ctx, v.citizen, MailEmailLink, email.String(), link, pending)
}

// pending completes a change that is going to wait, and seals it.
func (p *Profile) pending(ctx context.Context, n Pending) (Pending, error) {
	n.ExpiresAt = n.CreatedAt.Add(p.LinkLife).Truncate(time.Second)
	var err error
	n.SealEpoch, n.Seal, err = p.Seals.Seal(ctx, pendingKind, n.fields()...)
	return n, err
}

func (p Pending) facts(to Email) map[string]any {
	return map[string]any{"kind": string(p.Kind), "to": to.Masked(), "expires": p.ExpiresAt.UTC().Format(time.RFC3339)}
}

// mail sends the link. Where nobody takes the mail, the citizen asks again.
func (p *Profile) mail(ctx context.Context, c signer.Citizen, kind MessageKind, to string, l Link, n Pending) error {
	err := p.Post.Mail(ctx, SecretMail{Kind: kind, To: to, Name: c.GivenName, Locale: c.Locale, Secret: l.address(), Until: n.ExpiresAt})
	if err != nil {
		return fmt.Errorf("%w: mailing a link: %w", policies.Refuse(policies.Unavailable).After(time.Minute), err)
	}
	return nil
}

// Follow makes the change that a link stands for, once. Whoever has the link has
// read the mail: no session is needed.
func (p *Profile) Follow(ctx context.Context, l Link) (PendingKind, error) {
	now := p.Register.Now()
	pending, err := p.Store.Pending(ctx, l.Hash(), now)
	if err != nil {
		return "", err
	}
	if err := p.Seals.CheckSeal(ctx, pending.SealEpoch, pending.Seal, pendingKind, pending.fields()...); err != nil {
		return "", err
	}
	c, k, err := p.Register.People.ByID(ctx, pending.CitizenID)
	if err != nil {
		return "", err
	}
	if c.Status != signer.Active {
		return "", policies.Refuse(policies.LinkInvalid)
	}
	v := visit{citizen: c, credential: k, now: now}
	if pending.Kind == PendingPassword {
		return pending.Kind, p.completePassword(ctx, v, pending)
	}
	return pending.Kind, p.completeEmail(ctx, v, pending)
}

func (p *Profile) completeEmail(ctx context.Context, v visit, pending Pending) error {
	before, err := ParseEmail(v.citizen.Email)
	if err != nil {
		return fmt.Errorf("reading a stored address: %w", err)
	}
	after, err := ParseEmail(pending.Email)
	if err != nil {
		return fmt.Errorf("reading a stored address: %w", err)
	}
	v.citizen.Email = after.String()
	r, err := p.revision(ctx, v, "email_changed")
	if err != nil {
		return err
	}
	r.Notice.Former = before.String()
	return p.Store.CompleteEmail(ctx, pending, r, v.entry(audit.MailChanged, map[string]any{
		"by": By{}.String(), "from": before.Masked(), "to": after.Masked(),
	}))
}

// SetNotices changes how the citizen is told of each signature.
func (p *Profile) SetNotices(ctx context.Context, t signer.Ticket, n signer.Notices) error {
	switch n {
	case signer.NoticesMail, signer.NoticesSMS, signer.NoticesBoth, signer.NoticesNone:
	default:
		return policies.Refuse(policies.RequestMalformed, "field", "notices")
	}
	v, err := p.changing(ctx, t)
	if err != nil || v.citizen.Notices == n {
		return err
	}
	from := v.citizen.Notices
	v.citizen.Notices = n
	r, err := p.revision(ctx, v, "")
	if err != nil {
		return err
	}
	return p.Store.SetNotices(ctx, n, r, v.entry(audit.NoticesChanged, map[string]any{"from": string(from), "to": string(n)}))
}
