package online

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/policies"
)

// renewResponders gives each responder whose certificate has a third of its
// life left another one, of the same key. It lives shortly because nobody can
// revoke it (RFC 6960, section 4.2.2.2.1), so that this must not wait for a
// ceremony.
func (k *keeping) renewResponders(ctx context.Context, now time.Time) error {
	var failures []error
	for _, m := range k.standing.Load().hierarchy.Of(ca.RoleOCSP) {
		if err := k.renewResponder(ctx, m, now); err != nil {
			failures = append(failures, fmt.Errorf("renewing the certificate of %s: %w", m.Name, err))
		}
	}
	return errors.Join(failures...)
}

func (k *keeping) renewResponder(ctx context.Context, m ca.Member, now time.Time) error {
	by := k.standing.Load().issuers[m.Issuer]
	old, err := m.Certificate()
	if err != nil || by == nil || !m.InUse() {
		return err
	}
	if now.Before(old.NotAfter.Add(-old.NotAfter.Sub(old.NotBefore)/3)) || !now.Before(by.Certificate.NotAfter) {
		return nil
	}
	if err := k.Trusted(ctx); err != nil {
		return err
	}
	name, err := ca.NameOfCertificate(old)
	if err != nil {
		return err
	}
	prepared, err := by.PrepareOCSP(ca.ServiceRequest{Name: name, PublicKey: old.PublicKey, NotBefore: now})
	if err != nil {
		return err
	}
	if err := k.Store.Log(ctx, told(audit.AuthorityIntent, m, prepared, now)); err != nil {
		return fmt.Errorf("recording the intent: %w", err)
	}
	der, err := prepared.Issue()
	if err != nil {
		return err
	}
	issued := told(audit.AuthorityIssued, m, prepared, now)
	issued.Payload["sha256"] = fmt.Sprintf("%x", sha256.Sum256(der))
	err = k.Store.ReplaceMember(ctx, m.Name, m.DER, der, issued)
	if errors.Is(err, policies.Refuse(policies.RequestState)) {
		return nil // another process was faster
	}
	if err != nil {
		return err
	}
	return k.Refresh(ctx)
}

func told(kind audit.EventType, m ca.Member, p *ca.Prepared, now time.Time) audit.Entry {
	return audit.Entry{Type: kind, Operation: m.Name, At: now, Payload: map[string]any{
		"member": m.Name, "issuer": m.Issuer, "serial": fmt.Sprintf("%x", p.Serial()), "tbs_sha256": fmt.Sprintf("%x", p.Fingerprint()),
		"not_after": p.NotAfter().UTC().Format(time.RFC3339),
	}}
}
