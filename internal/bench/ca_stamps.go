package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/hsm"
)

// stampers is how many ask for stamps at once, and how many sessions of the
// token sign bare.
const stampers = 2

// stamps holds time-stamps against bare C_Sign of the same key, both by so many
// at once: in the signer's process, and through its socket.
func (c *CA) stamps(ctx context.Context, s *server) ([]Figure, error) {
	t, err := s.found(ctx, "stamps", cheap())
	if err != nil {
		return nil, err
	}
	defer t.abandon()
	office, err := t.stampOffice(ctx)
	if err != nil {
		return nil, err
	}
	process, err := s.signer(ctx, t.name)
	if err != nil {
		return nil, err
	}
	defer process.stop(ctx)
	config := c.Config
	config.Sessions = stampers
	pool := &Pool{Config: c.Config, Rounds: (c.Rounds + 1) / 2}
	rsa, err := pool.contest(ctx, office.keys, config, 24, office.through(office.unit))
	if err != nil {
		return nil, fmt.Errorf("stamping with RSA: %w", err)
	}
	remote, err := pool.contest(ctx, office.keys, config, 24, office.through(process.client))
	if err != nil {
		return nil, fmt.Errorf("stamping through the socket: %w", err)
	}
	curve, err := pool.compare(ctx, hsm.P256, stampers, 240, office.withKey())
	if err != nil {
		return nil, fmt.Errorf("stamping with P-256: %w", err)
	}
	return []Figure{
		info("ca/stamps_per_second", rsa.rate[0], "1/s"),
		info("ca/stamps_raw_per_second", rsa.rate[1], "1/s"),
		above("ca/stamps_over_raw", rsa.ratio, 0.70),
		info("ca/stamps_p256_per_second", curve.rate[0], "1/s"),
		info("ca/stamps_p256_over_raw", curve.ratio, "ratio"),
		info("ca/stamps_rpc_per_second", remote.rate[0], "1/s"),
		info("ca/stamps_rpc_over_raw", remote.ratio, "ratio"),
	}, nil
}

// stamper is the authority, in this process or in another.
type stamper interface {
	TimeStamp(ctx context.Context, query []byte) ([]byte, error)
}

// stampOffice has the town's time-stamping unit, and certifies others.
type stampOffice struct {
	unit      stamper
	keys      *benchKeys // the unit's
	name      ca.Name
	authority *ca.Authority
	query     []byte
}

func (t *town) stampOffice(ctx context.Context) (*stampOffice, error) {
	h, err := t.db.Hierarchy(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the hierarchy: %w", err)
	}
	m, ok := h.Current(ca.RoleTSA)
	if !ok {
		return nil, errors.New("there is no time-stamping unit")
	}
	certificate, err := m.Certificate()
	if err != nil {
		return nil, err
	}
	o := &stampOffice{keys: &benchKeys{token: t.keys.Token, algorithm: hsm.RSA3072, service: m.KeyLabel}}
	if got := ceremony.AlgorithmOf(certificate.PublicKey); got != o.keys.algorithm {
		return nil, fmt.Errorf("the unit's key is %s", got)
	}
	if o.keys.signer, err = t.keys.Token.ServiceKey(ctx, m.KeyLabel); err != nil {
		return nil, fmt.Errorf("finding the unit's key: %w", err)
	}
	if o.name, err = ca.NameOfCertificate(certificate); err != nil {
		return nil, fmt.Errorf("reading the unit's name: %w", err)
	}
	if o.unit, err = t.authority(ctx); err != nil {
		return nil, err
	}
	if o.authority, err = t.issuing(ctx); err != nil {
		return nil, err
	}
	o.query, err = stampQuery()
	return o, err
}

// stampQuery is TimeStampReq as clients send it (RFC 3161, section 2.4.1).
func stampQuery() ([]byte, error) {
	nonce := make([]byte, 8)
	rand.Read(nonce)
	digest := sha256.Sum256(nonce)
	type imprint struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	query, err := asn1.Marshal(struct {
		Version int
		Imprint imprint
		Nonce   *big.Int
		CertReq bool
	}{
		1,
		imprint{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}}, digest[:]},
		new(big.Int).SetBytes(nonce), true,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a query: %w", err)
	}
	return query, nil
}

// through asks an authority for stamps.
func (o *stampOffice) through(s stamper) func(*pair, context.Context) (ours, theirs func() error) {
	return func(p *pair, ctx context.Context) (ours, theirs func() error) {
		_, theirs = p.pooled(ctx)
		return func() error { return stamped(s.TimeStamp(ctx, o.query)) }, theirs
	}
}

// withKey stamps with the pair's service key.
func (o *stampOffice) withKey() func(*pair, context.Context) (ours, theirs func() error) {
	return func(p *pair, ctx context.Context) (ours, theirs func() error) {
		unit, failed := o.certify(p)
		_, theirs = p.pooled(ctx)
		return func() error {
			if failed != nil {
				return failed
			}
			return stamped(unit.Answer(ctx, o.query))
		}, theirs
	}
}

func (o *stampOffice) certify(p *pair) (*tsa.Authority, error) {
	prepared, err := o.authority.PrepareTSA(ca.ServiceRequest{
		Name: o.name, PublicKey: p.signer.Public(), NotBefore: time.Now(), CRL: base + "/ca/issuing-1-1.crl",
	})
	if err != nil {
		return nil, fmt.Errorf("certifying a unit: %w", err)
	}
	der, err := prepared.Issue()
	if err != nil {
		return nil, fmt.Errorf("certifying a unit: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading a unit's certificate: %w", err)
	}
	return tsa.New(tsa.Config{
		Certificate: certificate, Signer: p.signer, Chain: []*x509.Certificate{o.authority.Certificate},
		Policy: stampPolicy(), Now: time.Now, Trusted: func(context.Context) error { return nil },
	})
}

// stamped demands a stamp: an answer without one is a few octets.
func stamped(answer []byte, err error) error {
	if err == nil && len(answer) < 1000 {
		err = fmt.Errorf("the answer has no stamp: %x", answer)
	}
	return err
}
