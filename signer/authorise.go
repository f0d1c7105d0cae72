package signer

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strconv"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Authorise implements Module: step 6 of the ceremony. Both factors have been
// passed when it returns: the password, since the ticket opens, and the code.
func (s *Service) Authorise(ctx context.Context, answer Answer) (Authorised, error) {
	return s.authorise(ctx, answer, func(row TicketRow) (ChallengeRow, error) {
		return s.CheckCode(ctx, row, ForSignature, answer.Code)
	})
}

// authorise is Authorise of a code that check counts and compares.
func (s *Service) authorise(ctx context.Context, answer Answer, check func(TicketRow) (ChallengeRow, error)) (Authorised, error) {
	if err := s.gated(ctx); err != nil {
		return Authorised{}, err
	}
	now := s.Now()
	row, err := s.Store.Ticket(ctx, answer.Ticket.Hash(), now)
	if err != nil {
		return Authorised{}, err
	}
	challenge, err := check(row)
	if err != nil {
		return Authorised{}, err
	}
	request, err := s.Store.Request(ctx, row.RequestID)
	if err != nil {
		return Authorised{}, err
	}
	if err := open(request, now); err != nil {
		return Authorised{}, err
	}
	citizen, credential, err := s.people.ByID(ctx, row.CitizenID)
	if err != nil {
		return Authorised{}, err
	}
	bound, err := s.authorisable(ctx, request, row, citizen, credential, now)
	if err != nil {
		return Authorised{}, err
	}
	// Somebody else's signature may have come into a document since the code was sent.
	if request.Envelope != "" && !sameDocuments(bound, challenge.Documents) {
		return Authorised{}, policies.Refuse(policies.DocumentChanged, "reason", "signed")
	}
	if !challenge.Explicit && !sameDocuments(bound, challenge.Documents) || credential.ID != row.CredentialID || credential.Generation != row.Generation {
		return Authorised{}, policies.Refuse(policies.SessionExpired)
	}
	ks, err := row.SealingKey(answer.Ticket)
	if err != nil {
		return Authorised{}, err
	}
	defer zero(ks)

	sad := NewSAD()
	certificate := sha256.Sum256(credential.Certificate.DER)
	a := Authorisation{
		ID: rand.Text(), RequestID: request.ID, ApplicationID: request.Application.ID, ChallengeID: challenge.ID,
		CitizenID: citizen.ID, CredentialID: credential.ID, Generation: credential.Generation,
		Serial: credential.Certificate.Serial, Certificate: certificate[:], Algorithm: credential.Algorithm,
		Documents: bound, CreatedAt: now.UTC().Truncate(time.Microsecond), ExpiresAt: now.UTC().Truncate(time.Microsecond).Add(s.Limits.AuthorisationLife),
		State: Waiting, SADHash: sad.Hash(),
	}
	if a.SealedKey, err = sad.wrap(ks, a.statement()); err != nil {
		return Authorised{}, err
	}
	s.Step("authorise/checked")
	err = s.Store.Authorise(ctx, Consent{Authorisation: a, TicketHash: row.Hash, Version: citizen.Version, Envelope: request.Envelope}, audit.Entry{
		Type: audit.SignAuthorised, Operation: request.ID, At: now, Person: citizen.Identifier,
		Payload: s.authorised(a, *credential, consentTo{row, challenge, request, citizen.Registration}),
	})
	if err != nil {
		return Authorised{}, err
	}
	s.Step("authorise/done")
	return Authorised{SAD: sad, ExpiresAt: a.ExpiresAt}, nil
}

// consentTo is what a consent followed from.
type consentTo struct {
	ticket       TicketRow
	challenge    ChallengeRow
	request      Request
	registration Registration
}

// authorised are the facts of a consent.
func (s *Service) authorised(a Authorisation, k Credential, to consentTo) facts {
	f := a.facts(k)
	f["challenge"], f["reference"], f["expires"] = to.challenge.ID, to.challenge.Reference, instant(a.ExpiresAt)
	f["factors"], f["proofs"] = []string{"knowledge", "possession"}, proofs(to.ticket, to.challenge, a.CreatedAt)
	f["registration"], f["documents"] = to.registration.facts(), to.request.tell(Document.fixed)
	if to.challenge.Explicit {
		f["scal"] = 1
	}
	f["seconds"], f["shown_seconds"] = whole(to.challenge.CreatedAt, a.CreatedAt), whole(to.request.opened(), a.CreatedAt)
	return f
}

// statement is what consent was given to. The sealing key opens beside exactly
// this: whatever of it is altered, the key does not open.
func (a Authorisation) statement() []byte {
	fields := []string{
		"rubrica SAD v1", a.ID, a.RequestID, a.ApplicationID, a.ChallengeID, a.CitizenID, a.CredentialID,
		strconv.FormatInt(a.Generation, 10), a.Serial, hexOf(a.Certificate), a.Algorithm, instant(a.CreatedAt), instant(a.ExpiresAt),
	}
	return bind(append(fields, boundFields(a.Documents)...)...)
}

// consented is an authorisation together with all that it names, checked again
// at the moment of use.
type consented struct {
	Authorisation
	request    Request
	citizen    Citizen
	credential *Credential
	ks         []byte
}

// redeem checks an authorisation against the world as it is now. What does not
// agree is refused and logged; nothing has been used by then.
func (s *Service) redeem(ctx context.Context, sad SAD, now time.Time) (consented, error) {
	a, err := s.Store.Authorisation(ctx, sad.Hash())
	if err != nil {
		return consented{}, err
	}
	if a.State != Waiting {
		return consented{}, policies.Refuse(policies.AuthorisationInvalid)
	}
	if !now.Before(a.ExpiresAt) {
		return consented{}, policies.Refuse(policies.AuthorisationExpired)
	}
	c := consented{Authorisation: a}
	if c.request, err = s.Store.Request(ctx, a.RequestID); err != nil {
		return consented{}, err
	}
	if c.citizen, c.credential, err = s.people.ByID(ctx, a.CitizenID); err != nil {
		return consented{}, err
	}
	if err := s.maySign(ctx, c.request.matter(), c.citizen, c.credential, now); err != nil {
		return consented{}, err
	}
	if reason := c.mismatch(); reason != "" {
		return consented{}, s.unredeemed(ctx, c, reason)
	}
	if c.ks, err = sad.unwrap(a.SealedKey, a.statement()); err != nil {
		return consented{}, s.unredeemed(ctx, c, "altered")
	}
	return c, nil
}

// mismatch names what has changed since the consent, empty if nothing has.
func (c consented) mismatch() string {
	certificate := sha256.Sum256(c.credential.Certificate.DER)
	bound := make([]Bound, len(c.request.Documents))
	for i, d := range c.request.Documents {
		bound[i] = Bind(d)
	}
	switch {
	case c.credential.ID != c.CredentialID || c.credential.Generation != c.Generation || c.credential.Algorithm != c.Algorithm:
		return "credential"
	case c.credential.Certificate.Serial != c.Serial || !hmac.Equal(certificate[:], c.Certificate):
		return "certificate"
	case c.request.Application.ID != c.ApplicationID || c.request.Identifier != c.citizen.Identifier:
		return "request"
	case !sameDocuments(bound, c.Documents):
		return "documents"
	}
	return ""
}

func (s *Service) unredeemed(ctx context.Context, c consented, reason string) error {
	refusal := policies.Refuse(policies.AuthorisationInvalid)
	s.Logger.WarnContext(ctx, "authorisation_invalid", "authorisation", c.ID, "reason", reason)
	return errors.Join(refusal, s.Store.Log(ctx, audit.Entry{
		Type: audit.SignDenied, Operation: c.request.ID, At: s.Now(), Person: c.citizen.Identifier,
		Payload: c.request.matter().facts(facts{"reason": string(refusal.Code), "differs": reason, "authorisation": c.ID}),
	}))
}

func sameDocuments(a, b []Bound) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Ordinal != b[i].Ordinal || a[i].Format != b[i].Format || a[i].Hash != b[i].Hash ||
			!hmac.Equal(a[i].Digest, b[i].Digest) || !a[i].SigningTime.Equal(b[i].SigningTime) ||
			a[i].Attributes != b[i].Attributes {
			return false
		}
	}
	return true
}
