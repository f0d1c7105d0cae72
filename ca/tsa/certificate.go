package tsa

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrRetired is in the cause of a failure outside the time in which the key may
// sign: the certificate's validity and its privateKeyUsagePeriod.
var ErrRetired = errors.New("the key of the time-stamping authority may not be used now")

func idExtKeyUsage() asn1.ObjectIdentifier           { return asn1.ObjectIdentifier{2, 5, 29, 37} }
func idPrivateKeyUsagePeriod() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 16} }

// checkCertificate demands what RFC 3161, 2.3 and EN 319 422, 6 demand of a
// time-stamping unit's certificate: a key for signatures, and a critical
// extended key usage of id-kp-timeStamping alone.
func checkCertificate(c *x509.Certificate, signer crypto.Signer) error {
	if c == nil || signer == nil {
		return errors.New("time-stamping authority without certificate or key")
	}
	public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(signer.Public()) {
		return errors.New("certificate and key of the time-stamping authority do not belong together")
	}
	return checkUsage(c)
}

func checkUsage(c *x509.Certificate) error {
	const signs = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if c.IsCA || c.KeyUsage&signs == 0 || c.KeyUsage&^signs != 0 {
		return errors.New("certificate of the time-stamping authority is not one for signatures")
	}
	critical := slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool {
		return e.Critical && e.Id.Equal(idExtKeyUsage())
	})
	if !critical || len(c.UnknownExtKeyUsage) > 0 || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}) {
		return errors.New("certificate of the time-stamping authority is not one for time-stamps alone")
	}
	return nil
}

// period is PrivateKeyUsagePeriod (RFC 3280, 4.2.1.4): EN 319 421 wants keys to
// rest long before their certificates expire. A zero time is no bound.
type period struct {
	NotBefore time.Time `asn1:"optional,tag:0,generalized"`
	NotAfter  time.Time `asn1:"optional,tag:1,generalized"`
}

func usagePeriod(c *x509.Certificate) (period, error) {
	var p period
	for _, e := range c.Extensions {
		if !e.Id.Equal(idPrivateKeyUsagePeriod()) {
			continue
		}
		if rest, err := asn1.Unmarshal(e.Value, &p); err != nil || len(rest) > 0 {
			return period{}, fmt.Errorf("reading privateKeyUsagePeriod: %w", errors.Join(err, errors.New("malformed")))
		}
	}
	return p, nil
}

// usable says whether the certificate's key may sign at this time.
func usable(c *x509.Certificate, p period, at time.Time) error {
	for _, bound := range []struct {
		name string
		out  bool
	}{
		{"before the certificate's validity", at.Before(c.NotBefore)},
		{"after the certificate's validity", at.After(c.NotAfter)},
		{"before the key's usage period", !p.NotBefore.IsZero() && at.Before(p.NotBefore)},
		{"after the key's usage period", !p.NotAfter.IsZero() && at.After(p.NotAfter)},
	} {
		if bound.out {
			return fmt.Errorf("%w: %s", ErrRetired, bound.name)
		}
	}
	return nil
}
