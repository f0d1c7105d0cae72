package signer_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// issuer is the name of who certified Ana's key.
func (s *spine) issuer() string {
	s.Helper()
	_, k := s.record()
	chain := must[[]*x509.Certificate](s.T)(s.authority.Chain(must[*x509.Certificate](s.T)(x509.ParseCertificate(k.Certificate.DER))))
	return chain[0].Subject.CommonName
}

// Another authority takes over: whoever has a certificate goes on signing with
// the old chain, whoever gets one has the new.
func TestRollover(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		old := s.issuer()
		s.clock.advance(time.Hour)
		s.authority.RollOver(s.T, s.db, s.token, s.clock.Now())
		s.signs(ana, password)
		if got := s.issuer(); got != old {
			s.Errorf("after the rollover Ana's chain is of %q, want still of %q", got, old)
		}
		_, k := s.record()
		s.revokeIssuing("issuing-1")
		_, err := s.authority.Chain(must[*x509.Certificate](s.T)(x509.ParseCertificate(k.Certificate.DER)))
		if err == nil {
			s.Error("the chain of a revoked authority is still given")
		}
		s.clock.advance(time.Hour)
		s.signs(ana, password) // with another certificate first
		if got := s.issuer(); got == old {
			s.Errorf("after its revocation Ana signed under %q", got)
		}
		s.invariants()
	})
}

// Where the only authority was revoked nothing is signed nor issued.
func TestNoAuthorityLeft(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request, session := s.ready(ana, "uno")
		code := s.phone.last().Code
		s.revokeIssuing("issuing-1")
		s.refused("answering", s.answer(session, code), policies.CertificateRevoked)
		if got := s.state(request); got != signer.Pending {
			s.Errorf("state %s, want %s", got, signer.Pending)
		}
		s.clock.advance(time.Hour)
		next := s.again(request, password)
		if next.Certified {
			s.Error("certified by an authority that was revoked")
		}
		s.send(next, signer.ForCertificate)
		_, err := s.module.IssueCredential(s.Context(), signer.Answer{Ticket: next.Ticket, Code: s.phone.last().Code})
		s.wants(err, policies.Unavailable)
		s.invariants()
	})
}

// revokeIssuing revokes an authority as a ceremony does.
func (s *spine) revokeIssuing(name string) {
	s.Helper()
	err := s.db.RevokeMember(s.Context(), name, ca.KeyCompromise, nil, audit.Entry{
		Type: audit.AuthorityRevoked, Operation: "test", At: s.clock.Now(), Payload: map[string]any{"name": name},
	})
	if err != nil {
		s.Fatalf("revoking %s: %v", name, err)
	}
	if err := s.authority.Refresh(s.Context()); err != nil {
		s.Fatalf("learning of it: %v", err)
	}
}
