package citizen

import (
	"context"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// CertificateChange is what a citizen confirms of the own certificate, with
// both factors.
type CertificateChange struct {
	Answer  signer.Answer
	Purpose signer.Purpose // ForRevocation, ForSuspension or ForRelease
	Reason  int            // of a revocation: Unspecified or KeyCompromise
}

// ChangeCertificate revokes, suspends or releases the certificate of whoever is
// behind the ticket. Revocation takes key and password with it, as Revoke does.
func (s *Service) ChangeCertificate(ctx context.Context, ch CertificateChange) error {
	t, ok := map[signer.Purpose]transition{
		signer.ForRevocation: {event: audit.KeyRevoked, fate: Destroyed, notice: "certificate_revoked"},
		signer.ForSuspension: {event: audit.KeySuspended, fate: Suspended, notice: "certificate_suspended"},
		signer.ForRelease:    {event: audit.KeyReleased, fate: Released, notice: "certificate_released"},
	}[ch.Purpose]
	if !ok || ch.Reason != Unspecified && ch.Reason != KeyCompromise {
		return policies.Refuse(policies.RequestMalformed)
	}
	row, err := s.Store.Ticket(ctx, ch.Answer.Ticket.Hash(), s.Now())
	if err != nil {
		return err
	}
	if row.Purpose != signer.ForAffairs {
		return policies.Refuse(policies.SessionExpired)
	}
	if err := s.Vault.Genuine(ctx, row, ch.Answer.Ticket); err != nil {
		return err
	}
	challenge, err := s.Codes.CheckCode(ctx, row, ch.Purpose, ch.Answer.Code)
	if err != nil {
		return err
	}
	c, k, err := s.People.ByID(ctx, row.CitizenID)
	if err != nil {
		return err
	}
	if k == nil || k.ID != row.CredentialID || k.Generation != row.Generation {
		return policies.Refuse(policies.SessionExpired)
	}
	t.from, t.reason = []signer.CitizenStatus{signer.Active}, ch.Reason
	t.challengeID, t.ticketHash, t.application = challenge.ID, row.Hash, challenge.Application
	return s.carry(ctx, c, k, Order{Reason: string(ch.Purpose)}, t)
}
