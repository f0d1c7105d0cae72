package presenting

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

// Revocations tells whether certificates were revoked that are believed for
// another reason than a trust list, as those of the personnel are. It asks as the
// certificate door does, and is safe for concurrent use.
type Revocations struct {
	register  *register
	authority *authority
}

// RevocationConfig says who is asked.
type RevocationConfig struct {
	// Hosts may be asked, as they stand in certificates; Networks are those that
	// are not public and where a host may be found all the same.
	Hosts    []string
	Networks []netip.Prefix
	// OCSP and CRL are asked in the place of what people's certificates name.
	OCSP, CRL []string
	Logger    *slog.Logger
	Now       func() time.Time
}

// NewRevocations makes one. With nobody to ask, every certificate would be
// refused: that is an error.
func NewRevocations(c RevocationConfig) (*Revocations, error) {
	if len(c.Hosts)+len(c.OCSP)+len(c.CRL) == 0 {
		return nil, errors.New("revocation is to be checked, and nobody named who may be asked about it")
	}
	k, err := newKept()
	if err != nil {
		return nil, err
	}
	w := wireAuthority{Hosts: c.Hosts, OCSP: c.OCSP, CRL: c.CRL}
	for _, network := range c.Networks {
		w.Networks = append(w.Networks, network.String())
	}
	a := &authority{name: "personnel", ocsp: c.OCSP, crl: c.CRL}
	return &Revocations{register: &register{now: c.Now, logger: c.Logger, kept: k}, authority: a}, a.connect(w)
}

// Check wants that nothing on a path below its anchor was revoked
// (policies.CertificateUntrusted, policies.RevocationUnknown). The path was
// verified, from the certificate to the anchor.
func (r *Revocations) Check(ctx context.Context, path []*x509.Certificate) error {
	_, err := r.register.check(ctx, found{authority: r.authority, path: path})
	return err
}
