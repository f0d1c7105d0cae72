package bench

import (
	"context"
	"crypto/sha1" //nolint:gosec // RFC 5019, section 2.1.1 has clients name issuers so
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/ca/online"
)

// CA measures the certification authority, on the same ground as the keys. Its
// Scales are numbers of certificates: ten and a hundred thousand, and those of
// Keys that are larger.
type CA struct{ *Keys }

// Measure implements House. One database server is enough for all of it.
func (c *CA) Measure(ctx context.Context) ([]Figure, error) {
	return c.served(func(ctx context.Context, s *server) ([]Figure, error) {
		at := func(measure func(context.Context, *server) ([]Figure, error)) func(context.Context) ([]Figure, error) {
			return func(ctx context.Context) ([]Figure, error) { return measure(ctx, s) }
		}
		return c.measure(ctx, []part{
			{[]string{"ca/ocsp_memory", "ca/ocsp_bare", "ca/ocsp_get"}, at(c.desk)},
			{[]string{"ca/ocsp_scale", "ca/ocsp_sequential", "ca/crl_set", "ca/crl_shard_bytes"}, at(c.registered)},
			{[]string{"ca/crl_linear", "ca/crl_shard_bytes"}, at(c.linear)},
			{[]string{"ca/stamps"}, at(c.stamps)},
			{[]string{"ca/issuance"}, at(c.issuance)},
		})
	})(ctx)
}

func (c *CA) scales() []int {
	scales := []int{10_000, 100_000}
	for _, n := range c.Scales {
		if n > slices.Max(scales) {
			scales = append(scales, n)
		}
	}
	return scales
}

// issuing is the town's issuing authority, with its key.
func (t *town) issuing(ctx context.Context) (*ca.Authority, error) {
	h, err := t.db.Hierarchy(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the hierarchy: %w", err)
	}
	m, ok := h.Current(ca.RoleIssuing)
	if !ok {
		return nil, online.ErrNoAuthority
	}
	certificate, err := m.Certificate()
	if err != nil {
		return nil, err
	}
	key, err := t.keys.Token.ServiceKey(ctx, m.KeyLabel)
	if err != nil {
		return nil, fmt.Errorf("finding key %s: %w", m.KeyLabel, err)
	}
	return ca.New(ca.Config{
		Certificate: certificate, Signer: key, Lint: lint.Certificate,
		Addresses: ca.Addresses{Issuer: base + "/ca/" + m.Name + ".cer", OCSP: base + "/ocsp"},
	})
}

// asker makes OCSP requests about one authority's certificates, in the form
// that clients do (RFC 5019, section 2.1.1).
type asker struct{ name, key [sha1.Size]byte }

func newAsker(issuer *x509.Certificate) (asker, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(issuer.RawSubjectPublicKeyInfo, &info); err != nil {
		return asker{}, fmt.Errorf("reading a public key: %w", err)
	}
	return asker{name: sha1.Sum(issuer.RawSubject), key: sha1.Sum(info.PublicKey.RightAlign())}, nil //nolint:gosec // as above
}

// request is OCSPRequest (RFC 6960, section 4.1.1), with a nonce if there is
// one.
func (a asker) request(serial string, nonce []byte) ([]byte, error) {
	type certID struct {
		Hash      pkix.AlgorithmIdentifier
		Name, Key []byte
		Serial    *big.Int
	}
	type single struct{ ID certID }
	type body struct {
		List       []single
		Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
	}
	number, ok := new(big.Int).SetString(serial, 16)
	if !ok {
		return nil, fmt.Errorf("serial %q is not hexadecimal", serial)
	}
	id := certID{
		Hash: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, Parameters: asn1.NullRawValue},
		Name: a.name[:], Key: a.key[:], Serial: number,
	}
	b := body{List: []single{{id}}}
	if nonce != nil {
		value, err := asn1.Marshal(nonce)
		if err != nil {
			return nil, fmt.Errorf("encoding a nonce: %w", err)
		}
		b.Extensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}, Value: value}}
	}
	der, err := asn1.Marshal(struct{ TBS body }{b})
	if err != nil {
		return nil, fmt.Errorf("encoding an OCSP request: %w", err)
	}
	return der, nil
}

// answered demands that an answer tells the status of a certificate.
func answered(answer ocsp.Answer, err error) error {
	if err == nil && answer.Serial == "" {
		err = fmt.Errorf("the answer is an error of the protocol: %x", answer.DER)
	}
	if err != nil {
		return fmt.Errorf("asking for the status of a certificate: %w", err)
	}
	return nil
}
