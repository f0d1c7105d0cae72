package signer_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/citizen"
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

// Whoever has the database makes a revoked certificate look as if it were not:
// the log is believed.
func TestUnrevoked(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		_, k := s.record()
		serial := k.Certificate.Serial
		status := func() ocsp.Status {
			s.Helper()
			return must[map[string]ocsp.Status](s.T)(s.db.Statuses().Status(s.Context(), "issuing-1", []string{serial}))[serial]
		}
		if got := status(); got.State != ocsp.Good {
			s.Errorf("at first: %+v", got)
		}
		s.clock.advance(time.Hour)
		if err := s.register.Suspend(s.Context(), s.identifier(ana), order()); err != nil {
			s.Fatalf("suspending: %v", err)
		}
		s.clock.advance(time.Hour)
		if err := s.register.Release(s.Context(), s.identifier(ana), order()); err != nil {
			s.Fatalf("releasing: %v", err)
		}
		if got := status(); got.State != ocsp.Good || len(s.revocations()) != 0 {
			s.Errorf("released: %+v, %d listed", got, len(s.revocations()))
		}
		s.clock.advance(time.Hour)
		if err := s.register.Revoke(s.Context(), s.identifier(ana), order(), citizen.KeyCompromise); err != nil {
			s.Fatalf("revoking: %v", err)
		}
		in := s.insider()
		in.alter(`UPDATE certificates SET revoked_at = NULL, reason = NULL, status_version = 1`)
		if got := status(); got.State != ocsp.Revoked || got.Reason != citizen.KeyCompromise {
			s.Errorf("altered: OCSP would say %+v", got)
		}
		if got := s.revocations(); len(got) != 1 || got[0].Serial != serial || got[0].Reason != ca.KeyCompromise {
			s.Errorf("altered: the list would have %+v", got)
		}
		in.alter(`UPDATE log_entries SET payload = convert_to(replace(convert_from(payload, 'UTF8'), '` + serial + `', 'ff'), 'UTF8')
			WHERE type = 'certificate.revoked'`)
		if _, err := s.db.Statuses().Status(s.Context(), "issuing-1", []string{serial}); err == nil {
			s.Error("with the entry altered as well there is an answer")
		}
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
		Type: audit.AuthorityRevoked, Operation: "test", At: s.clock.Now(), Payload: map[string]any{"member": name, "serial": "1", "reason": 1},
	})
	if err != nil {
		s.Fatalf("revoking %s: %v", name, err)
	}
	if err := s.authority.Refresh(s.Context()); err != nil {
		s.Fatalf("learning of it: %v", err)
	}
}
