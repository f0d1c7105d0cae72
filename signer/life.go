package signer

import (
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// Changeable reports why what a code is for cannot be done to the citizen's
// certificate, nil if it can. What changes no certificate that is there can.
func Changeable(purpose Purpose, k *Credential, now time.Time) error {
	if purpose != ForRevocation && purpose != ForSuspension && purpose != ForRelease {
		return nil
	}
	if k == nil || k.Certificate == nil {
		return policies.Refuse(policies.CredentialMissing)
	}
	c := k.Certificate
	switch {
	case !c.RevokedAt.IsZero() && !c.Suspended():
		return policies.Refuse(policies.CertificateRevoked, "since", c.RevokedAt.UTC().Format(time.RFC3339))
	case now.After(c.NotAfter):
		return policies.Refuse(policies.CertificateExpired, "since", c.NotAfter.UTC().Format(time.RFC3339))
	case purpose == ForSuspension && c.Suspended():
		return policies.Refuse(policies.CertificateSuspended)
	case purpose == ForRelease && !c.Suspended():
		return policies.Refuse(policies.CertificateInForce)
	}
	return nil
}
