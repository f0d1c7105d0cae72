package presenting

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// How long somebody waits, and what is fetched, at most.
const (
	patience     = 3 * time.Second // for one exchange
	allPatience  = 9 * time.Second // for all of one certificate
	maxAddresses = 3               // of a kind, in one certificate
	maxList      = 16 << 20
)

// How old what is believed may be.
const (
	// maxAnswerAge is for answers without our nonce: they may have been made
	// before, and repeated by whoever sits on the line.
	maxAnswerAge = 24 * time.Hour
	// keepStatus and keepList are how long what was fetched is not fetched again,
	// if its own end does not come first.
	keepStatus = 5 * time.Minute
	keepList   = time.Hour
	// skew is how far ahead of ours the clocks of authorities may be.
	skew = time.Minute
)

// status is what an authority says of a certificate.
type status struct {
	revoked bool
	source  string // SourceOCSP, SourceCRL or SourceShortLived
	at      time.Time
	until   time.Time // when it has to be asked again
}

// How it is known that a certificate is not revoked.
const (
	SourceOCSP       = "ocsp"
	SourceCRL        = "crl"
	SourceShortLived = "short_lived" // EN 319 412-1, section 5.2: too short-lived to be revoked
)

// errUnknown means that the authority itself does not know the certificate: it
// was made behind its back, and no list would name it.
var errUnknown = errors.New("the authority does not know the certificate")

// register asks authorities about certificates, and remembers what they said.
type register struct {
	now    func() time.Time
	logger *slog.Logger
	kept   *kept
}

// check wants that nothing on the path was revoked, and gives what is known of
// its first certificate (policies.CertificateUntrusted, policies.RevocationUnknown).
func (r *register) check(ctx context.Context, f found) (status, error) {
	ctx, cancel := context.WithTimeout(ctx, allPatience)
	defer cancel()
	var first status
	for i, c := range f.path[:len(f.path)-1] {
		s, err := r.ask(ctx, question{authority: f.authority, certificate: c, issuer: f.path[i+1]})
		switch {
		case err != nil:
			r.logger.WarnContext(ctx, "revocation_unknown", "authority", f.authority.name, "issuer", f.path[i+1].Subject.CommonName, "error", err)
			return status{}, fmt.Errorf("%w: %w", policies.Refuse(policies.RevocationUnknown), err)
		case s.revoked:
			return status{}, untrusted(reasonRevoked)
		case i == 0:
			first = s
		}
	}
	return first, nil
}

// question is whose status is wanted.
type question struct {
	authority           *authority
	certificate, issuer *x509.Certificate
	listsOnly           bool // of a responder: it cannot vouch for itself
}

// ask is the status of one certificate, of now or of a moment ago.
func (r *register) ask(ctx context.Context, q question) (status, error) {
	if cades.ShortLived(q.certificate) {
		return status{source: SourceShortLived, at: r.now()}, nil
	}
	return r.kept.status(sha256.Sum256(q.certificate.Raw), r.now, func() (status, error) {
		// Others may wait for the same answer: it is fetched though the first goes.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), allPatience)
		defer cancel()
		return r.fetch(ctx, q)
	})
}

// fetch asks the responders, and then looks into the lists. What is said of the
// certificate is believed, whichever it is; what fails leads to the next.
func (r *register) fetch(ctx context.Context, q question) (status, error) {
	var causes []error
	if !q.listsOnly {
		for _, address := range q.addresses(q.authority.ocsp, q.certificate.OCSPServer) {
			s, err := r.answered(ctx, q, address)
			if err == nil || errors.Is(err, errUnknown) {
				return s, err
			}
			causes = append(causes, fmt.Errorf("%s: %w", address, err))
		}
	}
	for _, address := range q.addresses(q.authority.crl, q.certificate.CRLDistributionPoints) {
		s, err := r.listed(ctx, q, address)
		if err == nil {
			return s, nil
		}
		causes = append(causes, fmt.Errorf("%s: %w", address, err))
	}
	if len(causes) == 0 {
		return status{}, errors.New("the certificate names nobody to ask")
	}
	return status{}, errors.Join(causes...)
}

// addresses are those of the list in place of the certificate's, for people's
// certificates.
func (q question) addresses(listed, own []string) []string {
	if len(listed) > 0 && !q.certificate.IsCA {
		return listed
	}
	return own[:min(len(own), maxAddresses)]
}

// answered asks a responder, with a nonce and, if it knows none, without.
func (r *register) answered(ctx context.Context, q question, address string) (status, error) {
	nonce := make([]byte, 32) // RFC 9654, section 2.1
	rand.Read(nonce)
	s, err := r.exchange(ctx, q, address, nonce)
	if failed := (*ocsp.ProtocolError)(nil); errors.As(err, &failed) && ctx.Err() == nil {
		return r.exchange(ctx, q, address, nil)
	}
	return s, err
}

func (r *register) exchange(ctx context.Context, q question, address string, nonce []byte) (status, error) {
	asked := ocsp.Question{Certificate: q.certificate, Issuer: q.issuer, Nonce: nonce, Trusted: q.authority.responders}
	request, err := asked.Marshal()
	if err != nil {
		return status{}, fmt.Errorf("asking: %w", err)
	}
	answer, err := q.authority.web.OCSP(ctx, address, request)
	if err != nil {
		return status{}, err
	}
	v, err := ocsp.Check(answer, asked)
	if err != nil {
		return status{}, err
	}
	now := r.now()
	switch {
	case v.State == ocsp.Unknown:
		return status{}, errUnknown
	case v.ThisUpdate.After(now.Add(skew)):
		return status{}, errors.New("the answer is of a time to come")
	case !v.NextUpdate.IsZero() && v.NextUpdate.Before(now):
		return status{}, errors.New("the answer is out of date")
	case !v.Echoed && v.ProducedAt.Before(now.Add(-maxAnswerAge)):
		return status{}, errors.New("the answer is old")
	}
	if err := r.vouched(ctx, q, v); err != nil {
		return status{}, err
	}
	s := status{revoked: v.State == ocsp.Revoked, source: SourceOCSP, at: v.ProducedAt, until: now.Add(keepStatus)}
	if !v.NextUpdate.IsZero() && v.NextUpdate.Before(s.until) {
		s.until = v.NextUpdate
	}
	return s, nil
}

// vouched wants that the responder was not revoked. Lists alone tell: it would
// answer about itself.
func (r *register) vouched(ctx context.Context, q question, v ocsp.Verdict) error {
	if v.NoCheck {
		return nil
	}
	s, err := r.ask(ctx, question{authority: q.authority, certificate: v.Responder, issuer: q.issuer, listsOnly: true})
	if err == nil && s.revoked {
		err = errors.New("it was revoked")
	}
	if err != nil {
		return fmt.Errorf("status of the responder: %w", err)
	}
	return nil
}

// listed looks into the list of an address.
func (r *register) listed(ctx context.Context, q question, address string) (status, error) {
	list, until, err := r.kept.list(address, q.issuer, r.now, func() (*cades.List, time.Time, error) {
		return r.fetchList(ctx, q, address)
	})
	if err != nil {
		return status{}, err
	}
	if !list.Covers(q.certificate) {
		return status{}, errors.New("the list does not speak of this certificate")
	}
	_, revoked, err := list.Entry(q.certificate)
	if err != nil {
		return status{}, err
	}
	now := r.now()
	if latest := now.Add(keepStatus); latest.Before(until) {
		until = latest
	}
	return status{revoked: revoked, source: SourceCRL, at: list.ThisUpdate, until: until}, nil
}

// fetchList fetches a complete list that the issuer signed, and that speaks of
// now (RFC 5280, section 6.3.3).
func (r *register) fetchList(ctx context.Context, q question, address string) (*cades.List, time.Time, error) {
	content, err := q.authority.web.Get(ctx, address, maxList)
	if err != nil {
		return nil, time.Time{}, err
	}
	list, err := cades.ReadList(augment.Unarmoured(content))
	if err != nil {
		return nil, time.Time{}, err
	}
	if err := list.CheckSignatureFrom(q.issuer); err != nil {
		return nil, time.Time{}, fmt.Errorf("the list is another's: %w", err)
	}
	now := r.now()
	switch {
	case list.ThisUpdate.After(now.Add(skew)):
		return nil, time.Time{}, errors.New("the list is of a time to come")
	case !list.NextUpdate.After(now):
		return nil, time.Time{}, errors.New("the list is out of date")
	}
	until := now.Add(keepList)
	if list.NextUpdate.Before(until) {
		until = list.NextUpdate
	}
	return list, until, nil
}

// name is how a page names who issued something.
func name(c *x509.Certificate) string { return cmp.Or(c.Subject.CommonName, c.Subject.String()) }
