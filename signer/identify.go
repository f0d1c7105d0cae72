package signer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Identify implements Module. Whether the citizen exists decides which box is
// tried, and nothing else: every step before and after costs the same.
func (s *Service) Identify(ctx context.Context, who Identification) (Session, error) {
	defer s.pool.busy()()
	defer zero(who.Password)
	now := s.Now()
	r, err := s.affair(ctx, who, now)
	if err != nil {
		return Session{}, err
	}
	// Whoever is told to come back has guessed nothing, and must not be counted.
	leave, err := s.Vault.admit()
	if err != nil {
		return Session{}, err
	}
	defer leave()
	tally, err := s.Store.CountPasswordAttempt(ctx, Guess{
		Identifier: who.Identifier, Source: Source(who.RemoteAddr), Limits: s.Limits.Password, Now: now,
	})
	if err != nil {
		return Session{}, err
	}
	if refusal, kind := s.Limits.Password.turnAway(tally, now); refusal != nil {
		return Session{}, s.denied(ctx, denial{kind, who, r.Application.ID, refusal})
	}
	s.Step("identify/counted")

	citizen, credential, err := s.people.ByIdentifier(ctx, who.Identifier)
	if err != nil && !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		return Session{}, err
	}
	box, known := s.decoy, err == nil && credential != nil
	box.Pepper = s.Vault.Epochs().Pepper // an older one may be gone
	if known {
		box = credential.Sealed
	}
	ks, err := s.Vault.derive(ctx, box, who.Password)
	if err != nil {
		return Session{}, err
	}
	leave()
	defer func() { zero(ks) }()
	payload, err := box.open(ks)
	defer zero(payload)
	if err != nil || !known {
		return Session{}, s.denied(ctx, denial{audit.AuthFailed, who, r.Application.ID, s.Limits.Password.wrong(tally)})
	}
	if refusal, kind := s.unwelcome(who, r, tally, citizen, credential, now); refusal != nil {
		return Session{}, s.turnBack(ctx, denial{kind, who, r.Application.ID, refusal}, citizen)
	}

	s.Step("identify/opened")
	if s.stale(citizen, credential) {
		if ks, err = s.renewBox(ctx, &citizen, credential, who.Password, payload); err != nil {
			return Session{}, err
		}
	}
	return s.openSession(ctx, who, r, citizen, credential, ks)
}

// affair is the request that somebody identifies for; without one it is their
// own.
func (s *Service) affair(ctx context.Context, who Identification, now time.Time) (Request, error) {
	if who.RequestID == "" {
		return Request{Identifier: who.Identifier}, nil
	}
	if who.Access {
		return Request{}, policies.Refuse(policies.RequestMalformed, "field", "access")
	}
	r, err := s.Store.Request(ctx, who.RequestID)
	if err != nil {
		return Request{}, err
	}
	return r, open(r, now)
}

// unwelcome is why somebody who knows the password may still not go on.
func (s *Service) unwelcome(who Identification, r Request, t Tally, c Citizen, k *Credential, now time.Time) (*policies.Refusal, audit.EventType) {
	switch {
	case t.Locked:
		return policies.Refuse(policies.PasswordLocked), audit.AuthLocked
	case c.Status == Blocked:
		return policies.Refuse(policies.CitizenBlocked), audit.AuthFailed
	case c.Status != Active:
		return policies.Refuse(policies.CitizenInactive), audit.AuthFailed
	case who.Identifier != r.Identifier:
		return policies.Refuse(policies.NotTheSigner), audit.AuthFailed
	case who.RequestID != "" && !now.Before(k.PasswordAt.Add(s.Limits.PasswordLife)):
		return policies.Refuse(policies.PasswordExpired, "years", strconv.Itoa(int(s.Limits.PasswordLife.Hours()/24/365))), audit.AuthExpired
	}
	return nil, ""
}

// openSession stores the ticket of an identified citizen.
func (s *Service) openSession(ctx context.Context, who Identification, r Request, c Citizen, k *Credential, ks []byte) (Session, error) {
	now, ticket := s.Now(), NewTicket()
	row := TicketRow{
		Purpose: ForAffairs, CitizenID: c.ID, CredentialID: k.ID, Generation: k.Generation,
		Source: Source(who.RemoteAddr), IdentifiedAt: now, ExpiresAt: now.Add(s.Limits.TicketLife),
	}
	operation := c.ID
	if r.ID != "" {
		row.Purpose, row.RequestID, row.Replaces = ForSignature, r.ID, s.replaces(c, k, now)
		operation = r.ID
	}
	if who.Access {
		row.Purpose, row.Via, row.ExpiresAt = ForAccess, ViaPassword, s.Limits.accessUntil(now)
	}
	row, err := ticketRow(ticket, ks, row)
	if err != nil {
		return Session{}, err
	}
	if who.Access {
		if row, err = s.Vault.SealTicket(ctx, row); err != nil {
			return Session{}, err
		}
	}
	err = s.Store.OpenSession(ctx, row, audit.Entry{
		Type: audit.AuthSucceeded, Operation: operation, At: now, Person: c.Identifier,
		Payload: asked(r.Application.ID, facts{"factor": "knowledge", "address": who.RemoteAddr}),
	})
	if err != nil {
		return Session{}, err
	}
	return Session{Ticket: ticket, ExpiresAt: row.ExpiresAt, Certified: k.Certified(now) && !row.Replaces}, nil
}

// replaces reports whether a key has to be replaced now: it is kept as it no
// longer should be, and the rules allow its citizen another certificate. Where
// they do not, the key goes on to its end.
func (s *Service) replaces(c Citizen, k *Credential, now time.Time) bool {
	if !s.outdated(k) || !k.Certified(now) {
		return false
	}
	_, err := policies.Reissue(Facts(c, k, now), s.Rules)
	return err == nil
}

// stale reports whether a box or a record is sealed as new ones no longer are.
func (s *Service) stale(c Citizen, k *Credential) bool {
	now := s.Vault.Epochs()
	return k.Sealed.Pepper != now.Pepper || k.Sealed.Cost != s.Vault.cost || c.Seal.Epoch != now.Seal
}

// renewBox seals a box anew while the password is at hand, and returns its new
// sealing key.
func (s *Service) renewBox(ctx context.Context, c *Citizen, k *Credential, password, payload []byte) ([]byte, error) {
	next := *k
	next.Generation++
	next.Sealed.Generation = next.Generation
	var ks []byte
	var err error
	if next.Sealed, ks, err = s.Vault.seal(ctx, next.Sealed, password, payload); err != nil {
		return nil, err
	}
	change, err := s.people.Change(ctx, *c, &next)
	if err != nil {
		return nil, err
	}
	err = s.Store.Reseal(ctx, next, change, audit.Entry{
		Type: audit.KeyResealed, Operation: c.ID, At: s.Now(), Person: c.Identifier,
		Payload: map[string]any{"credential": k.ID, "generation": next.Generation, "pepper": next.Sealed.Pepper},
	})
	if err != nil {
		return nil, err
	}
	*k = next
	c.Version, c.Seal = change.Was+1, change.Seal
	return ks, nil
}

// denial is a failed authentication.
type denial struct {
	kind        audit.EventType
	who         Identification
	application string // of the request, empty where there is none
	refusal     *policies.Refusal
}

// denied logs a failed authentication and returns its refusal.
func (s *Service) denied(ctx context.Context, d denial) error {
	if err := s.Store.Log(ctx, d.entry(s.Now())); err != nil {
		return err
	}
	return d.refusal
}

// turnBack is denied for somebody who has proved the password: it was no wrong
// guess, and must not come to count as one. Only a lock is not lifted by it.
func (s *Service) turnBack(ctx context.Context, d denial, c Citizen) error {
	if d.kind == audit.AuthLocked {
		return s.denied(ctx, d)
	}
	proved := TicketRow{CitizenID: c.ID, Source: Source(d.who.RemoteAddr)}
	if err := s.Store.PasswordProved(ctx, proved, d.entry(s.Now())); err != nil {
		return err
	}
	return d.refusal
}

func (d denial) entry(now time.Time) audit.Entry {
	return audit.Entry{
		Type: d.kind, Operation: cmp.Or(d.who.RequestID, "password"), At: now, Person: d.who.Identifier,
		Payload: asked(d.application, facts{"factor": "knowledge", "reason": string(d.refusal.Code), "address": d.who.RemoteAddr}),
	}
}

// ticketRow encrypts the sealing key under the ticket.
func ticketRow(t Ticket, ks []byte, row TicketRow) (TicketRow, error) {
	row.Hash = t.Hash()
	var err error
	row.SealedKey, err = t.wrap(ks, row.additional())
	return row, err
}

func (t TicketRow) additional() []byte {
	return bind("rubrica ticket v1", string(t.Purpose), t.RequestID, t.CitizenID, t.CredentialID, fmt.Sprint(t.Generation),
		t.Source, fmt.Sprint(t.Replaces), instant(t.IdentifiedAt), instant(t.ExpiresAt))
}

// SealingKey opens what the ticket guards (policies.SessionExpired).
func (t TicketRow) SealingKey(ticket Ticket) ([]byte, error) {
	ks, err := ticket.unwrap(t.SealedKey, t.additional())
	if err != nil {
		return nil, policies.Refuse(policies.SessionExpired)
	}
	return ks, nil
}
