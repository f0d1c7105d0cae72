package augment

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

var (
	// ErrUntrusted means that the certificate's issuers do not lead to one that
	// is trusted. Waiting does not help.
	ErrUntrusted = errors.New("certificate of an authority that is not trusted")
	// ErrEarly means that all that can be had about the status was made before
	// the signature existed, and does not speak of it yet.
	ErrEarly = errors.New("revocation data are older than the signature")
)

// RevokedError means that a certificate was revoked before it was used, or for a
// reason that lets nobody tell. Waiting does not help.
type RevokedError struct {
	Certificate *x509.Certificate
	At          time.Time
	Reason      int // of RFC 5280, section 5.3.1
}

func (e *RevokedError) Error() string {
	return fmt.Sprintf("certificate of %s was revoked at %s, reason %d", e.Certificate.Subject, e.At.UTC().Format(time.RFC3339), e.Reason)
}

// CollectorConfig names the parts of a Collector.
type CollectorConfig struct {
	Trust Trust
	// Libraries are asked in this order; the own one first.
	Libraries []Library
	// ListBytes is the longest revocation list that is fetched; zero is 16 MB.
	ListBytes int64
	// AcceptOlder takes revocation data made before the signature, where there
	// are no others yet: what was revoked in between nobody learns of.
	AcceptOlder bool
	Now         func() time.Time
}

// Collector gathers certificates and revocation data.
type Collector struct{ CollectorConfig }

// NewCollector makes a Collector.
func NewCollector(c CollectorConfig) (*Collector, error) {
	if c.Trust == nil || c.Now == nil {
		return nil, errors.New("gathering evidence without trust or clock")
	}
	c.ListBytes = cmp.Or(c.ListBytes, 16<<20)
	return &Collector{c}, nil
}

// Wanted is a certificate whose validity is to be proved.
type Wanted struct {
	Certificate *x509.Certificate
	// Used is when the key had been used at the latest: the time of the first
	// time-stamp over what it signed; for a time-stamp, its own.
	Used time.Time
	// Signer tells a signer's certificate, whose status has to have been asked
	// for after Used (EN 319 102-1, 5.2.5), from that of a time-stamping unit,
	// whose stamp nothing but a later one dates.
	Signer bool
	// Known is what is at hand already: certificates to build the chain of, and
	// answers and lists, which are not fetched again if they will do.
	Known cades.Evidence
}

// What a certificate may make us do: its issuers write the addresses.
const (
	maxChain     = 8
	maxAddresses = 3  // of a kind, in one certificate
	maxFetches   = 32 // for one Collect
	maxFile      = 64 << 10
)

// skew is how far ahead of ours the clocks of those may be who make answers and
// lists.
const skew = time.Minute

// Collect gathers the chain of the certificate up to a trusted one, this
// included, and for each below it an answer or a list that proves its status;
// the same for those who signed the answers. If something is missing that may
// come to be, the error is policies.EvidenceUnavailable.
func (c *Collector) Collect(ctx context.Context, w Wanted) (cades.Evidence, error) {
	anchors, err := c.Trust(ctx)
	if err != nil {
		return cades.Evidence{}, fmt.Errorf("reading whom to trust: %w", err)
	}
	g := &gathering{Collector: c, anchors: anchors, known: w.Known, now: c.Now(), proved: map[string]bool{}}
	if err := g.prove(ctx, w); err != nil {
		return cades.Evidence{}, err
	}
	return g.found, nil
}

// gathering is one Collect.
type gathering struct {
	*Collector

	anchors []*x509.Certificate
	known   cades.Evidence
	found   cades.Evidence
	now     time.Time
	fetches int
	proved  map[string]bool // certificates, by their octets
}

func missing(what string, certificate *x509.Certificate, causes ...error) error {
	return fmt.Errorf("%w: %s of %s: %w", policies.Refuse(policies.EvidenceUnavailable), what, certificate.Subject, errors.Join(causes...))
}

// prove gathers all for one certificate.
func (g *gathering) prove(ctx context.Context, w Wanted) error {
	chain, err := g.climb(ctx, w)
	if err != nil {
		return err
	}
	g.found = g.found.Merge(cades.Evidence{Certificates: chain})
	for i, certificate := range chain[:len(chain)-1] {
		if g.proved[string(certificate.Raw)] {
			continue
		}
		g.proved[string(certificate.Raw)] = true
		step := Wanted{Certificate: certificate, Used: w.Used, Signer: w.Signer && i == 0}
		if err := g.status(ctx, step, chain[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// climb builds the chain to an anchor, and has it judged (RFC 5280, section 6)
// by the time of use.
func (g *gathering) climb(ctx context.Context, w Wanted) ([]*x509.Certificate, error) {
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: w.Used, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, anchor := range g.anchors {
		o.Roots.AddCert(anchor)
	}
	for at := w.Certificate; !g.anchored(at); {
		if o.Intermediates.AddCert(at); len(o.Intermediates.Subjects()) > maxChain { //nolint:staticcheck // only pools of the system lack subjects
			return nil, fmt.Errorf("%w: %s: the chain is too long", ErrUntrusted, w.Certificate.Subject)
		}
		issuer, err := g.issuer(ctx, at)
		if err != nil {
			return nil, err
		}
		at = issuer
	}
	chains, err := w.Certificate.Verify(o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return chains[0], nil
}

func (g *gathering) anchored(c *x509.Certificate) bool {
	return slices.ContainsFunc(g.anchors, c.Equal)
}

// issuer finds who signed a certificate: among the trusted, among what is known,
// or where the certificate says.
func (g *gathering) issuer(ctx context.Context, c *x509.Certificate) (*x509.Certificate, error) {
	signed := func(issuer *x509.Certificate) bool {
		return bytes.Equal(issuer.RawSubject, c.RawIssuer) && !issuer.Equal(c) && c.CheckSignatureFrom(issuer) == nil
	}
	for _, known := range slices.Concat(g.anchors, g.found.Certificates, g.known.Certificates) {
		if signed(known) {
			return known, nil
		}
	}
	if bytes.Equal(c.RawSubject, c.RawIssuer) || len(c.IssuingCertificateURL) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrUntrusted, c.Subject)
	}
	var causes []error
	for _, address := range c.IssuingCertificateURL[:min(maxAddresses, len(c.IssuingCertificateURL))] {
		content, err := g.fetch(func() ([]byte, error) { return shelf(g.Libraries).file(ctx, address, maxFile) })
		if err == nil {
			var issuer *x509.Certificate
			if issuer, err = x509.ParseCertificate(content); err == nil && signed(issuer) {
				return issuer, nil
			}
		}
		causes = append(causes, fmt.Errorf("%s: %w", address, cmp.Or(err, errNotIssuer)))
	}
	return nil, missing("issuer", c, causes...)
}

var (
	errNotIssuer = errors.New("not the issuer")
	errFetches   = errors.New("too much would have to be fetched")
)

func (g *gathering) fetch(do func() ([]byte, error)) ([]byte, error) {
	if g.fetches++; g.fetches > maxFetches {
		return nil, errFetches
	}
	return do()
}

// status gathers the proof of one certificate's status: what is known, an
// answer, a list; in this order the first that will do.
func (g *gathering) status(ctx context.Context, w Wanted, issuer *x509.Certificate) error {
	var causes []error
	for proof := range g.proofs(ctx, w.Certificate, issuer) {
		err := proof.err
		if err == nil {
			err = g.judge(w, proof.status)
		}
		if revoked := (*RevokedError)(nil); errors.As(err, &revoked) {
			return err
		}
		if err == nil {
			err = g.accept(ctx, w, proof)
		}
		if err == nil {
			return nil
		}
		causes = append(causes, err)
	}
	if len(causes) == 0 {
		causes = append(causes, errors.New("the certificate names nobody to ask"))
	}
	return missing("status", w.Certificate, causes...)
}

// accept keeps a proof, with what its own signer needs.
func (g *gathering) accept(ctx context.Context, w Wanted, p proof) error {
	if p.list != nil {
		g.found = g.found.Merge(cades.Evidence{CRLs: [][]byte{p.list}})
		return nil
	}
	if p.responder.Equal(w.Certificate) {
		return errors.New("the responder answers about itself")
	}
	if !p.noCheck {
		if err := g.prove(ctx, Wanted{Certificate: p.responder, Used: p.thisUpdate}); err != nil {
			return err
		}
	}
	g.found = g.found.Merge(cades.Evidence{Certificates: []*x509.Certificate{p.responder}, OCSPs: [][]byte{p.answer}})
	return nil
}

// judge says whether a status proves that the certificate could be used.
func (g *gathering) judge(w Wanted, s status) error {
	// Times of status are whole seconds; one of the second of use was asked for
	// after it, since nobody asks before there is a time-stamp.
	used := w.Used.Truncate(time.Second)
	switch {
	case s.State == ocsp.Unknown:
		return errors.New("the authority does not know it")
	case s.State == ocsp.Revoked && (!s.RevokedAt.After(w.Used) || w.Certificate.IsCA || !w.Signer && compromised(s.Reason)):
		return &RevokedError{Certificate: w.Certificate, At: s.RevokedAt, Reason: s.Reason}
	case s.thisUpdate.After(g.now.Add(skew)):
		return errors.New("it is of a time to come")
	case !s.nextUpdate.IsZero() && s.nextUpdate.Before(g.now):
		return errors.New("it is out of date")
	case s.thisUpdate.After(w.Certificate.NotAfter) && !s.expired:
		return errors.New("it does not speak of certificates that have expired")
	case w.Signer && s.thisUpdate.Before(used) && !g.AcceptOlder:
		return fmt.Errorf("%w: the next are due at %s", ErrEarly, s.nextUpdate.UTC().Format(time.RFC3339))
	}
	return nil
}

// compromised is whether signatures of before the revocation are in doubt, too,
// unless a time-stamp dates them.
func compromised(reason int) bool { return reason == 1 || reason == 2 || reason == 10 || reason == 0 }

// Revocation asks whom a certificate names for its status, whatever that is: what
// it is worth, who validates says. Nothing is believed here but that the answer is
// about this certificate; issuer is who is said to have signed it.
func (c *Collector) Revocation(ctx context.Context, certificate, issuer *x509.Certificate) (cades.Evidence, error) {
	g := &gathering{Collector: c, now: c.Now()}
	var causes []error
	for p := range g.proofs(ctx, certificate, issuer) {
		switch {
		case p.err != nil:
			causes = append(causes, p.err)
		case p.list != nil:
			return cades.Evidence{CRLs: [][]byte{p.list}}, nil
		default:
			return cades.Evidence{Certificates: []*x509.Certificate{p.responder}, OCSPs: [][]byte{p.answer}}, nil
		}
	}
	return cades.Evidence{}, missing("status", certificate, causes...)
}

func newNonce() []byte {
	nonce := make([]byte, 32) // RFC 9654, section 2.1
	rand.Read(nonce)
	return nonce
}
