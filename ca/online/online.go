// Package online is the certification authority at work: the hierarchy as it
// stands, with the keys that are on line. It issues by the newest authority,
// answers for all of them, keeps their lists and answers fresh, and learns by
// itself of another authority that has taken over.
//
// Several processes may run it over one database: what must be done once is
// decided by compare-and-swap, the rest does no harm when it is done twice.
package online

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/ca/tsa"
)

// Keys lends the private keys that are on line. hsm.Token fulfils it.
type Keys interface {
	ServiceKey(ctx context.Context, label string) (crypto.Signer, error)
}

// Store is what the authority keeps.
type Store interface {
	Hierarchy(ctx context.Context) (ca.Hierarchy, error)
	// Shard is the revocation list that a certificate issued now will name.
	Shard(ctx context.Context, issuer string, now time.Time) (string, error)
	// ReplaceMember puts another certificate of the same key in the place of one
	// that is going to end, if that is still the one that was read.
	ReplaceMember(ctx context.Context, name string, was, der []byte, entries ...audit.Entry) error
	Log(ctx context.Context, entries ...audit.Entry) error

	// CertificateChanges reads the feed after a number, LastCertificateChange
	// says where it stands.
	CertificateChanges(ctx context.Context, after int64) ([]ca.Change, error)
	LastCertificateChange(ctx context.Context) (int64, error)

	ca.Lists
	// Shards lists the revocation lists that there are.
	Shards(ctx context.Context, now time.Time) ([]ca.Shard, error)
	// ForgetPublished deletes what nobody can rely on any more: of the feed, of
	// answers, of lists.
	ForgetPublished(ctx context.Context, now time.Time) error
}

// Config names the parts of a CA.
type Config struct {
	Store    Store
	Statuses ocsp.Statuses
	Keys     Keys
	// Base is the public address of the service, http.
	Base    string
	Profile ca.Profile // what the deployment chooses about citizens' certificates
	Lint    ca.Lint
	// StampPolicy is the policy of time-stamps (ETSI EN 319 421, section 5).
	StampPolicy asn1.ObjectIdentifier
	// Trusted reports why the clock is not to be believed, nil if it is.
	Trusted func(ctx context.Context) error
	Now     func() time.Time
	Logger  *slog.Logger
}

// CA is the authority at work.
type CA struct {
	Config
	standing  atomic.Pointer[standing]
	responder *ocsp.Responder
}

var (
	// ErrNoAuthority means that no ceremony of keys has been held.
	ErrNoAuthority = errors.New("there is no certification authority yet: run `rubrica ca init` first")
	// ErrNoneInUse means that the last issuing authority was revoked.
	ErrNoneInUse = errors.New("no issuing authority is in use: let another take over with `rubrica ca rollover`")
)

// New reads the hierarchy and finds its keys.
func New(ctx context.Context, c Config) (*CA, error) {
	authority := &CA{Config: c}
	if err := authority.Refresh(ctx); err != nil {
		return nil, err
	}
	var err error
	authority.responder, err = ocsp.New(ocsp.Config{
		Issuers:  func() []ocsp.Issuer { return authority.standing.Load().responders },
		Statuses: c.Statuses, Life: answerLife, Now: c.Now, Trusted: c.Trusted,
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the responder: %w", err)
	}
	return authority, nil
}

// standing is the hierarchy with the keys of all who may still be needed.
type standing struct {
	hierarchy  ca.Hierarchy
	issuers    map[string]*issuer // by name
	newest     *issuer            // who issues; nil if none is in use
	responders []ocsp.Issuer
	stamps     *tsa.Authority // nil if there is no unit
	// lacks is what of it cannot be used, since its key cannot be found: that
	// takes nobody's certificate or signature away.
	lacks error
}

// issuer is an issuing authority.
type issuer struct {
	*ca.Authority
	name string
}

// revoked reports whether nothing of an authority is to be believed any more.
func (s *standing) revoked(issuer string) bool {
	m, ok := s.hierarchy.Named(issuer)
	return !ok || !m.RevokedAt.IsZero()
}

// Refresh learns of a hierarchy that has changed.
func (c *CA) Refresh(ctx context.Context) error {
	h, err := c.Store.Hierarchy(ctx)
	if err != nil {
		return fmt.Errorf("reading the hierarchy: %w", err)
	}
	was := c.standing.Load()
	if was != nil && was.lacks == nil && same(was.hierarchy, h) {
		return nil
	}
	next, err := c.stand(ctx, h)
	if err != nil {
		return err
	}
	if next.lacks != nil && (was == nil || was.lacks == nil || was.lacks.Error() != next.lacks.Error()) {
		c.Logger.ErrorContext(ctx, "authority_incomplete", "error", next.lacks)
	}
	c.standing.Store(next)
	return nil
}

// same compares what a hierarchy is known by; rows are changed in these only.
func same(a, b ca.Hierarchy) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || !a[i].RetiredAt.Equal(b[i].RetiredAt) || !a[i].RevokedAt.Equal(b[i].RevokedAt) ||
			string(a[i].DER) != string(b[i].DER) {
			return false
		}
	}
	return true
}

// stand finds the keys. Without that of who issues there is no authority.
func (c *CA) stand(ctx context.Context, h ca.Hierarchy) (*standing, error) {
	if _, ok := h.Named(string(ca.RoleRoot)); !ok {
		return nil, ErrNoAuthority
	}
	s := &standing{hierarchy: h, issuers: map[string]*issuer{}}
	current, issues := h.Current(ca.RoleIssuing)
	for _, m := range h.Of(ca.RoleIssuing) {
		found, err := c.issuer(ctx, m)
		switch {
		case err == nil:
			s.issuers[m.Name] = found
		case issues && m.Name == current.Name:
			return nil, err
		default:
			s.lacks = errors.Join(s.lacks, err)
		}
	}
	if issues {
		s.newest = s.issuers[current.Name]
	}
	for _, m := range h.Of(ca.RoleOCSP) {
		if !m.InUse() || s.issuers[m.Issuer] == nil {
			continue
		}
		certificate, key, err := c.service(ctx, m)
		if err != nil {
			s.lacks = errors.Join(s.lacks, err)
			continue
		}
		s.responders = append(s.responders, ocsp.Issuer{
			Name: m.Issuer, Certificate: s.issuers[m.Issuer].Certificate, Responder: certificate, Signer: key,
		})
	}
	if m, ok := h.Current(ca.RoleTSA); ok && !s.revoked(m.Issuer) {
		var err error
		s.stamps, err = c.unit(ctx, m, s.issuers[m.Issuer])
		s.lacks = errors.Join(s.lacks, err)
	}
	return s, nil
}

// unit is the time-stamping unit.
func (c *CA) unit(ctx context.Context, m ca.Member, by *issuer) (*tsa.Authority, error) {
	certificate, key, err := c.service(ctx, m)
	if err != nil {
		return nil, err
	}
	config := tsa.Config{Certificate: certificate, Signer: key, Policy: c.StampPolicy, Now: c.Now, Trusted: c.Trusted}
	if by != nil {
		config.Chain = []*x509.Certificate{by.Certificate}
	}
	unit, err := tsa.New(config)
	if err != nil {
		return nil, fmt.Errorf("time-stamping unit %s: %w", m.Name, err)
	}
	return unit, nil
}

// service is a member's certificate and key.
func (c *CA) service(ctx context.Context, m ca.Member) (*x509.Certificate, crypto.Signer, error) {
	certificate, err := m.Certificate()
	if err != nil {
		return nil, nil, err
	}
	key, err := c.Keys.ServiceKey(ctx, m.KeyLabel)
	if err != nil {
		return nil, nil, fmt.Errorf("key %s of %s: %w", m.KeyLabel, m.Name, err)
	}
	return certificate, key, nil
}

func (c *CA) issuer(ctx context.Context, m ca.Member) (*issuer, error) {
	certificate, key, err := c.service(ctx, m)
	if err != nil {
		return nil, err
	}
	authority, err := ca.New(ca.Config{
		Certificate: certificate, Signer: key, Profile: c.Profile, Lint: c.Lint,
		Addresses: ca.Addresses{Issuer: c.address("ca/" + m.Name + ".cer"), OCSP: c.address("ocsp")},
	})
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", m.Name, err)
	}
	return &issuer{Authority: authority, name: m.Name}, nil
}

func (c *CA) address(path string) string { return strings.TrimRight(c.Base, "/") + "/" + path }

// Ready implements signer.Issuer.
func (c *CA) Ready(ctx context.Context) error {
	if c.standing.Load().newest == nil {
		return ErrNoneInUse
	}
	return c.Trusted(ctx)
}

// Prepare implements signer.Issuer: a certificate of the newest authority.
func (c *CA) Prepare(ctx context.Context, r ca.Request) (*ca.Prepared, ca.Place, error) {
	if err := c.Ready(ctx); err != nil {
		return nil, ca.Place{}, err
	}
	by := c.standing.Load().newest
	shard, err := c.Store.Shard(ctx, by.name, c.Now())
	if err != nil {
		return nil, ca.Place{}, fmt.Errorf("finding the revocation list: %w", err)
	}
	r.CRL = c.address("ca/" + shard + ".crl")
	if end := by.Certificate.NotAfter; r.NotAfter.After(end) {
		r.NotAfter = end // a rollover in time keeps this from happening
	}
	prepared, err := by.Prepare(r)
	return prepared, ca.Place{Issuer: by.name, Shard: shard}, err
}

// Issue implements signer.Issuer.
func (c *CA) Issue(p *ca.Prepared) ([]byte, error) { return p.Issue() }

// Chain implements signer.Issuer.
func (c *CA) Chain(certificate *x509.Certificate) ([]*x509.Certificate, error) {
	now := c.standing.Load()
	for _, i := range now.issuers {
		if bytes.Equal(certificate.RawIssuer, i.Certificate.RawSubject) && bytes.Equal(certificate.AuthorityKeyId, i.Certificate.SubjectKeyId) {
			if now.revoked(i.name) {
				return nil, fmt.Errorf("%w: %s", ca.ErrAuthorityRevoked, i.name)
			}
			return []*x509.Certificate{i.Certificate}, nil
		}
	}
	return nil, fmt.Errorf("certificate %x is of none of our authorities", certificate.SerialNumber)
}
