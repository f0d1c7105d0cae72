package augment

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
)

// proof is an answer or a list, and what it proves; or why there is none.
type proof struct {
	status

	list      []byte
	answer    []byte
	responder *x509.Certificate // of an answer
	noCheck   bool
	err       error
}

// proofs looks for the status of a certificate: first what is at hand, then
// answers, then lists. Each is fetched when it is looked at.
func (g *gathering) proofs(ctx context.Context, certificate, issuer *x509.Certificate) iter.Seq[proof] {
	return func(yield func(proof) bool) {
		for _, answer := range g.known.OCSPs {
			if p := readAnswer(answer, ocsp.Question{Certificate: certificate, Issuer: issuer}); p.err == nil && !yield(p) {
				return
			}
		}
		for _, list := range g.known.CRLs {
			if p := listed(list, certificate, issuer); p.err == nil && !yield(p) {
				return
			}
		}
		for _, address := range certificate.OCSPServer[:min(maxAddresses, len(certificate.OCSPServer))] {
			if !yield(named(address, g.ask(ctx, address, ocsp.Question{Certificate: certificate, Issuer: issuer, Nonce: newNonce()}))) {
				return
			}
		}
		for _, address := range certificate.CRLDistributionPoints[:min(maxAddresses, len(certificate.CRLDistributionPoints))] {
			content, err := g.fetch(func() ([]byte, error) { return shelf(g.Libraries).file(ctx, address, g.ListBytes) })
			p := proof{err: err}
			if err == nil {
				p = listed(content, certificate, issuer)
			}
			if !yield(named(address, p)) {
				return
			}
		}
	}
}

// named says in the error where it was met.
func named(address string, p proof) proof {
	if p.err != nil {
		p.err = fmt.Errorf("%s: %w", address, p.err)
	}
	return p
}

// ask asks a responder; one that does not understand nonces, again without.
func (g *gathering) ask(ctx context.Context, address string, q ocsp.Question) proof {
	request, err := q.Marshal()
	if err != nil {
		return proof{err: err}
	}
	answer, err := g.fetch(func() ([]byte, error) { return shelf(g.Libraries).ocsp(ctx, address, request) })
	if err != nil {
		return proof{err: err}
	}
	p := readAnswer(answer, q)
	if failed := (*ocsp.ProtocolError)(nil); errors.As(p.err, &failed) && len(q.Nonce) > 0 && ctx.Err() == nil {
		q.Nonce = nil
		return g.ask(ctx, address, q)
	}
	return p
}

func readAnswer(answer []byte, q ocsp.Question) proof {
	v, err := ocsp.Check(answer, q)
	return proof{
		answer: answer, responder: v.Responder, noCheck: v.NoCheck, err: err,
		Status: v.Status, thisUpdate: v.ThisUpdate, nextUpdate: v.NextUpdate,
		expired: !v.ArchiveCutoff.IsZero() && !v.ArchiveCutoff.After(q.Certificate.NotAfter),
	}
}

func listed(content []byte, certificate, issuer *x509.Certificate) proof {
	s, err := readList(content, certificate, issuer)
	return proof{list: content, status: s, err: err}
}
