package citizen

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Reasons of revocation that an office may give (RFC 5280, section 5.3.1).
const (
	Unspecified          = 0
	KeyCompromise        = 1
	AffiliationChanged   = 3
	CessationOfOperation = 5
	CertificateHold      = 6 // suspension
)

// Order is who asks for a change of a citizen's status, and why.
type Order struct {
	By       By
	Reason   string            // for the log
	Evidence map[string]string // of a death
}

// Block ends the citizen's sessions and consents; nothing can be signed until
// the block is lifted. Keys and certificates stay.
func (s *Service) Block(ctx context.Context, id Identifier, o Order) error {
	return s.move(ctx, id, o, transition{
		from: []signer.CitizenStatus{signer.Active}, to: signer.Blocked, event: audit.CitizenBlocked, notice: "citizen_blocked",
	})
}

// Unblock lifts a block.
func (s *Service) Unblock(ctx context.Context, id Identifier, o Order) error {
	return s.move(ctx, id, o, transition{
		from: []signer.CitizenStatus{signer.Blocked}, to: signer.Active, event: audit.CitizenUnblocked,
	})
}

// Revoke revokes the citizen's certificates and destroys the key. The password
// goes with the key that it opened: coming back takes an activation code.
func (s *Service) Revoke(ctx context.Context, id Identifier, o Order, reason int) error {
	return s.move(ctx, id, o, transition{
		from: []signer.CitizenStatus{signer.Active, signer.Blocked}, event: audit.KeyRevoked,
		fate: Destroyed, reason: reason, notice: "certificate_revoked",
	})
}

// Suspend puts the citizen's certificate on hold: it is revoked until it is
// released. Key and password stay.
func (s *Service) Suspend(ctx context.Context, id Identifier, o Order) error {
	return s.move(ctx, id, o, transition{
		from: []signer.CitizenStatus{signer.Active, signer.Blocked}, event: audit.KeySuspended,
		fate: Suspended, notice: "certificate_suspended",
	})
}

// Release lifts a suspension.
func (s *Service) Release(ctx context.Context, id Identifier, o Order) error {
	return s.move(ctx, id, o, transition{
		from: []signer.CitizenStatus{signer.Active, signer.Blocked}, event: audit.KeyReleased,
		fate: Released, notice: "certificate_released",
	})
}

// Deregister ends the citizen's registration for good: certificates revoked,
// keys destroyed.
func (s *Service) Deregister(ctx context.Context, id Identifier, o Order) error {
	return s.move(ctx, id, o, transition{
		from: everybody(), to: signer.Deregistered,
		event: audit.CitizenDeregistered, fate: Destroyed, reason: CessationOfOperation, notice: "citizen_deregistered",
	})
}

// ReportDeath does the same for somebody who has died, registered or not. Nobody
// is written to, and nobody is registered in that name again.
func (s *Service) ReportDeath(ctx context.Context, id Identifier, o Order) error {
	c, k, err := s.People.ByIdentifier(ctx, id.String())
	death := transition{
		from: append(everybody(), signer.Deregistered), to: signer.Deceased,
		event: audit.CitizenDeceased, fate: Destroyed, reason: CessationOfOperation,
	}
	switch {
	case errors.Is(err, policies.Refuse(policies.CitizenUnknown)):
		return s.enterDeceased(ctx, id, o, death)
	case err != nil:
		return err
	}
	return s.carry(ctx, c, k, o, death)
}

// enterDeceased makes a record of somebody who was never registered: a number and
// a status, sealed as any other, which is what every door asks.
func (s *Service) enterDeceased(ctx context.Context, id Identifier, o Order, death transition) error {
	c := signer.Citizen{ID: rand.Text(), Identifier: id.String(), Locale: "es", Status: death.to, Notices: signer.NoticesMail}
	change, err := s.People.Change(ctx, c, nil)
	if err != nil {
		return err
	}
	return s.Store.EnterDeceased(ctx, c, change, death.entry(c, o, Move{To: death.to}, s.Now()))
}

// CorrectDeath is for somebody who lives. What was destroyed stays destroyed:
// they are somebody who left, and may be registered again.
func (s *Service) CorrectDeath(ctx context.Context, id Identifier, o Order) error {
	return s.move(ctx, id, o, transition{
		from: []signer.CitizenStatus{signer.Deceased}, to: signer.Deregistered, event: audit.CitizenDeathCorrected,
	})
}

func everybody() []signer.CitizenStatus {
	return []signer.CitizenStatus{signer.Registered, signer.Active, signer.Blocked}
}

// transition is one arrow between a citizen's states; without to, it stays.
type transition struct {
	from   []signer.CitizenStatus
	to     signer.CitizenStatus
	event  audit.EventType
	fate   Fate
	reason int
	notice string
	// What the citizen confirmed with.
	challengeID string
	ticketHash  []byte
	// application has asked the citizen for it; empty: nobody has.
	application string
}

// entry tells of it: by whom, why, and with what it was confirmed.
func (t transition) entry(c signer.Citizen, o Order, m Move, now time.Time) audit.Entry {
	payload := o.By.into(map[string]any{"by": o.By.String(), "reason": o.Reason, "to": string(m.To)})
	if m.From != "" {
		payload["from"] = string(m.From)
	}
	if t.challengeID != "" {
		payload["challenge"], payload["factors"] = t.challengeID, []string{"knowledge", "possession"}
	}
	if t.application != "" {
		payload["application"] = t.application
	}
	if m.Serial != "" {
		payload["serial"] = m.Serial
	}
	if len(o.Evidence) > 0 {
		payload["evidence"] = o.Evidence
	}
	if t.event == audit.KeyRevoked {
		payload["crl_reason"] = m.Reason
	}
	return audit.Entry{Type: t.event, Operation: c.ID, At: now, Person: c.Identifier, Payload: payload}
}

func (s *Service) move(ctx context.Context, id Identifier, o Order, t transition) error {
	c, k, err := s.People.ByIdentifier(ctx, id.String())
	if err != nil {
		return err
	}
	return s.carry(ctx, c, k, o, t)
}

func (s *Service) carry(ctx context.Context, c signer.Citizen, k *signer.Credential, o Order, t transition) error {
	if !slices.Contains(t.from, c.Status) {
		return outOfPlace(c.Status)
	}
	m := Move{
		From: c.Status, To: cmp.Or(t.to, c.Status), Fate: t.fate, Reason: t.reason,
		ChallengeID: t.challengeID, TicketHash: t.ticketHash,
	}
	now := s.Now()
	k, err := m.settle(k, now)
	if err != nil {
		return err
	}
	if c.Status = m.To; m.To.Gone() {
		c.Associated = nil
	}
	if m.Change, err = s.People.Change(ctx, c, k); err != nil {
		return err
	}
	if t.notice != "" {
		m.Notice = signer.Notice{Kind: t.notice, CitizenID: c.ID}
	}
	return s.Store.SetStatus(ctx, m, t.entry(c, o, m, now))
}

// outOfPlace is why a status does not move as was asked.
func outOfPlace(s signer.CitizenStatus) error {
	if err := policies.Belong(policies.Status(s)); err != nil && s.Gone() {
		return err
	}
	return policies.Refuse(policies.CitizenInactive)
}

// settle is the credential as the move leaves it.
func (m *Move) settle(k *signer.Credential, now time.Time) (*signer.Credential, error) {
	switch m.Fate {
	case Kept:
	case Destroyed:
		if k == nil && m.To == m.From {
			return nil, policies.Refuse(policies.CredentialMissing)
		}
		return nil, nil //nolint:nilnil // there is none any more
	case Suspended, Released:
		purpose := signer.ForSuspension
		if m.Fate == Released {
			purpose = signer.ForRelease
		}
		if err := signer.Changeable(purpose, k, now); err != nil {
			return nil, err
		}
		next, certificate := *k, *k.Certificate
		certificate.RevokedAt, certificate.Reason = now, CertificateHold
		if m.Fate == Released {
			certificate.RevokedAt, certificate.Reason = time.Time{}, 0
		}
		m.Serial, next.Certificate = certificate.Serial, &certificate
		return &next, nil
	}
	return k, nil
}
