package signer

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/policies"
)

// grant asks the rules for the certificate that a code is for; a no is logged
// before it is told. One that an application has asked for follows no other: to
// renew is the citizen's own affair.
func (s *Service) grant(ctx context.Context, ch ChallengeRow, c Citizen, k *Credential, now time.Time) (policies.Grant, error) {
	decide := policies.IssueCertificate
	switch {
	case ch.errand() || k == nil || !k.Certified(now):
	case s.outdated(k):
		decide = policies.Reissue
	default:
		decide = policies.Renew
	}
	grant, err := decide(Facts(c, k, now), s.Rules)
	return grant, s.recordDenial(ctx, audit.CertificateRefused, matter{operation: operation(ch), application: ch.Application}, c, err)
}

// maySign asks the rules for a signature; a no is logged before it is told.
func (s *Service) maySign(ctx context.Context, m matter, c Citizen, k *Credential, now time.Time) error {
	err := policies.Sign(Facts(c, k, now), s.Rules)
	if err == nil {
		err = s.vouched(k)
	}
	return s.recordDenial(ctx, audit.SignDenied, m, c, err)
}

// vouched is whether the authority that certified a key still counts.
func (s *Service) vouched(k *Credential) error {
	certificate, err := x509.ParseCertificate(k.Certificate.DER)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	if _, err = s.Issuer.Chain(certificate); errors.Is(err, ca.ErrAuthorityRevoked) {
		return policies.Refuse(policies.CertificateRevoked).From(policies.SourceValidity)
	}
	return err
}

func (s *Service) recordDenial(ctx context.Context, kind audit.EventType, m matter, c Citizen, err error) error {
	var r *policies.Refusal
	if !errors.As(err, &r) {
		return err
	}
	logErr := s.Store.Log(ctx, audit.Entry{
		Type: kind, Operation: m.operation, At: s.Now(), Person: c.Identifier,
		Payload: m.facts(facts{"reason": string(r.Code), "source": r.Source, "facts": r.Params, "registration": c.Registration.facts()}),
	})
	if logErr != nil {
		return logErr
	}
	return r
}

// IssueCredential implements Module. The code is consumed first, so that a
// repeated post makes no second key; the certificate's intent is recorded
// before the issuing key is used, so that a crash never leaves a certificate
// that nobody knows of.
func (s *Service) IssueCredential(ctx context.Context, answer Answer) (Session, error) {
	if err := s.gated(ctx); err != nil {
		return Session{}, err
	}
	defer s.pool.busy()()
	now := s.Now()
	row, err := s.Store.Ticket(ctx, answer.Ticket.Hash(), now)
	if err != nil {
		return Session{}, err
	}
	if row.Purpose != ForSignature && row.Purpose != ForAffairs {
		return Session{}, policies.Refuse(policies.SessionExpired)
	}
	if err := s.Issuer.Ready(ctx); err != nil {
		return Session{}, fmt.Errorf("%w: %w", policies.Refuse(policies.Unavailable).After(5*time.Second), err)
	}
	challenge, err := s.CheckCode(ctx, row, ForCertificate, answer.Code)
	if err != nil {
		return Session{}, err
	}
	citizen, credential, err := s.people.ByID(ctx, row.CitizenID)
	if err != nil {
		return Session{}, err
	}
	grant, err := s.grant(ctx, challenge, citizen, credential, now)
	if err != nil {
		return Session{}, err
	}
	if credential == nil || credential.ID != row.CredentialID || credential.Generation != row.Generation {
		return Session{}, policies.Refuse(policies.SessionExpired)
	}
	ks, err := row.SealingKey(answer.Ticket)
	if err != nil {
		return Session{}, err
	}
	defer zero(ks)

	issuance := s.issuance(row, challenge, *credential, now)
	err = s.Store.BeginIssuance(ctx, issuance, audit.Entry{
		Type: audit.AuthSucceeded, Operation: row.operation(), At: now, Person: citizen.Identifier,
		Payload: challenge.Passed(now),
	})
	if err != nil {
		return Session{}, err
	}
	s.Step("issue/begun")

	ctx = context.WithoutCancel(ctx)
	if err := s.generate(ctx, &issuance, ks); err != nil {
		return Session{}, fmt.Errorf("%w: generating a key: %w", policies.Refuse(policies.Unavailable).After(5*time.Second), err)
	}
	s.Step("issue/generated")
	if err := s.certify(ctx, &issuance, citizen, grant); err != nil {
		return Session{}, fmt.Errorf("%w: certifying a key: %w", policies.Refuse(policies.Unavailable).After(5*time.Second), err)
	}
	s.Step("issue/certified")
	return s.finishIssuance(ctx, issuance, citizen, ks)
}

// issuance is the credential as it will be but for key and certificate, and
// what gives way to it.
func (s *Service) issuance(row TicketRow, challenge ChallengeRow, k Credential, now time.Time) Issuance {
	i := Issuance{
		ID: rand.Text(), ChallengeID: challenge.ID, Ticket: row.Purpose, TicketHash: row.Hash,
		RequestID: row.RequestID, Application: challenge.Application, IdentifiedAt: row.IdentifiedAt,
		Was: k.Generation, Replaces: k.State == Usable, Retired: k.KeyLabel, Now: now, LeaseUntil: now.Add(s.Limits.Lease),
		Notice: Notice{Kind: "certificate_issued", CitizenID: k.CitizenID, RequestID: row.RequestID},
	}
	if i.Replaces {
		i.Notice.Kind = "certificate_renewed"
	}
	epochs := s.Vault.Epochs()
	k.State, k.Algorithm, k.Generation = Usable, s.KeyAlgorithm, k.Generation+1
	k.Keeper, k.KEK, k.KeyLabel = epochs.Keeper, epochs.KEK, ""
	if k.Keeper == TokenKeeper {
		k.KeyLabel = "citizen-" + i.ID
	}
	k.Sealed.Generation = k.Generation
	i.Credential = k
	return i
}

// generate makes the key pair and seals what the keeper lets out of the token.
func (s *Service) generate(ctx context.Context, i *Issuance, ks []byte) error {
	k := &i.Credential
	keeper, err := s.keeper(*k)
	if err != nil {
		return err
	}
	public, payload, err := keeper.generate(ctx, *k)
	if err != nil {
		return err
	}
	defer zero(payload)
	if k.PublicKey, err = x509.MarshalPKIXPublicKey(public); err != nil {
		return fmt.Errorf("encoding the public key: %w", err)
	}
	k.Sealed, err = k.Sealed.reseal(ks, payload)
	return err
}

// certify is prepare → lint → record the intent → issue once.
func (s *Service) certify(ctx context.Context, i *Issuance, c Citizen, grant policies.Grant) error {
	public, err := x509.ParsePKIXPublicKey(i.Credential.PublicKey)
	if err != nil {
		return fmt.Errorf("reading the public key: %w", err)
	}
	prepared, place, err := s.Issuer.Prepare(ctx, ca.Request{
		Identifier: c.Identifier, GivenName: c.GivenName, Surnames: c.Surnames,
		PublicKey: public, NotBefore: i.Now, NotAfter: grant.NotAfter,
	})
	if err != nil {
		return err
	}
	i.Place = place
	i.Credential.Certificate = &Certificate{Serial: fmt.Sprintf("%x", prepared.Serial()), NotBefore: prepared.NotBefore(), NotAfter: prepared.NotAfter()}
	err = s.Store.IntendCertificate(ctx, *i, audit.Entry{
		Type: audit.CertificateIntent, Operation: i.operation(), At: s.Now(), Person: c.Identifier,
		Payload: i.certificate(c, facts{
			"tbs_sha256": hexOf(prepared.Fingerprint()), "key_sha256": fingerprint(i.Credential.PublicKey),
		}),
	})
	if err != nil {
		return err
	}
	s.Step("issue/intended")
	i.Credential.Certificate.DER, err = s.Issuer.Issue(prepared)
	return err
}

// finishIssuance records the outcome and hands on the session under a new
// ticket: one argon2id serves the whole ceremony, each ticket one use.
func (s *Service) finishIssuance(ctx context.Context, i Issuance, c Citizen, ks []byte) (Session, error) {
	now := s.Now()
	ticket := NewTicket()
	next, err := ticketRow(ticket, ks, TicketRow{
		Purpose: i.Ticket, RequestID: i.RequestID, CitizenID: c.ID, CredentialID: i.Credential.ID,
		Generation: i.Credential.Generation, IdentifiedAt: i.IdentifiedAt, ExpiresAt: now.Add(s.Limits.TicketLife),
	})
	if err != nil {
		return Session{}, err
	}
	if i.Change, err = s.people.Change(ctx, c, &i.Credential); err != nil {
		return Session{}, err
	}
	crt := i.Credential.Certificate
	err = s.Store.FinishIssuance(ctx, i, next,
		audit.Entry{
			Type: audit.KeyGenerated, Operation: i.operation(), At: now, Person: c.Identifier,
			Payload: i.key(),
		},
		audit.Entry{
			Type: audit.CertificateIssued, Operation: i.operation(), At: now, Person: c.Identifier,
			Payload: i.certificate(c, facts{"sha256": fingerprint(crt.DER)}),
		})
	if err != nil {
		return Session{}, err
	}
	s.Step("issue/finished")
	return Session{Ticket: ticket, ExpiresAt: next.ExpiresAt, Certified: i.Credential.Certified(now)}, nil
}
