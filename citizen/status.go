package citizen

import (
	"context"
	"slices"

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
)

// Order is who asks for a change of a citizen's status, and why.
type Order struct {
	By     string // the office, and who of it
	Reason string // for the log
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

// Revoke revokes the citizen's certificate and destroys the key. The password
// goes with the key that it opened: coming back takes an activation code.
func (s *Service) Revoke(ctx context.Context, id Identifier, o Order, reason int) error {
	return s.move(ctx, id, o, transition{
		from: []signer.CitizenStatus{signer.Active, signer.Blocked}, event: audit.KeyRevoked,
		destroy: true, reason: reason, notice: "certificate_revoked",
	})
}

// Deregister ends the citizen's registration for good: certificates revoked,
// keys destroyed.
func (s *Service) Deregister(ctx context.Context, id Identifier, o Order) error {
	return s.move(ctx, id, o, transition{
		from: []signer.CitizenStatus{signer.Registered, signer.Active, signer.Blocked}, to: signer.Deregistered,
		event: audit.CitizenDeregistered, destroy: true, reason: CessationOfOperation, notice: "citizen_deregistered",
	})
}

// transition is one arrow between a citizen's states; without to, it stays.
type transition struct {
	from    []signer.CitizenStatus
	to      signer.CitizenStatus
	event   audit.EventType
	destroy bool
	reason  int
	notice  string
}

func (s *Service) move(ctx context.Context, id Identifier, o Order, t transition) error {
	c, k, err := s.People.ByIdentifier(ctx, id.String())
	if err != nil {
		return err
	}
	if c.Status == signer.Deregistered {
		return policies.Refuse(policies.CitizenDeregistered)
	}
	if !slices.Contains(t.from, c.Status) {
		return policies.Refuse(policies.CitizenInactive)
	}
	if t.destroy && k == nil && t.to == "" {
		return policies.Refuse(policies.CredentialMissing)
	}
	was := c.Status
	if t.to != "" {
		c.Status = t.to
	}
	if t.destroy {
		k = nil
	}
	change, err := s.People.Change(ctx, c, k)
	if err != nil {
		return err
	}
	m := Move{From: was, To: c.Status, Destroy: t.destroy, Reason: t.reason, Change: change}
	if t.notice != "" {
		m.Notice = signer.Notice{Kind: t.notice, CitizenID: c.ID}
	}
	return s.Store.SetStatus(ctx, m, audit.Entry{
		Type: t.event, Operation: c.ID, At: s.Now(), Person: c.Identifier,
		Payload: map[string]any{"by": o.By, "reason": o.Reason, "from": string(was), "to": string(c.Status)},
	})
}
