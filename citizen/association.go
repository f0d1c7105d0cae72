package citizen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Proofs are certificates that were shown at the certificate door. *Enrolments
// fulfils it.
type Proofs interface {
	// Peek reads an enrolment for that procedure that goes on (SessionExpired).
	Peek(ctx context.Context, t signer.Ticket, procedure Procedure) (Enrolment, error)
}

// Association is a certificate that a citizen may log in with.
type Association struct {
	CitizenID string
	Enrolment []byte // hash of the ticket that proves that it was shown; spent by it
	DER       []byte
	SHA256    []byte
	Subject   string
	Issuer    string
	Serial    string // hexadecimal
	NotAfter  time.Time
}

func readAssociation(citizenID string, enrolment, der []byte) (Association, error) {
	crt, err := x509.ParseCertificate(der)
	if err != nil {
		return Association{}, fmt.Errorf("reading a certificate that was shown: %w", err)
	}
	sum := sha256.Sum256(der)
	return Association{
		CitizenID: citizenID, Enrolment: enrolment, DER: der, SHA256: sum[:],
		Subject: crt.Subject.String(), Issuer: crt.Issuer.String(), Serial: fmt.Sprintf("%x", crt.SerialNumber), NotAfter: crt.NotAfter.UTC(),
	}, nil
}

func (a Association) facts() map[string]any {
	return map[string]any{
		"sha256": fmt.Sprintf("%x", a.SHA256), "issuer": a.Issuer, "serial": a.Serial, "not_after": a.NotAfter.Format(time.RFC3339),
	}
}

// Associate lets the citizen log in with a certificate that was shown for it.
// A profile has one: another takes its place only after it was removed.
func (p *Profile) Associate(ctx context.Context, a signer.Answer, shown signer.Ticket) error {
	v, err := p.changing(ctx, a.Ticket)
	if err != nil {
		return err
	}
	proof, err := p.Proofs.Peek(ctx, shown, ProcedureAssociate)
	if err != nil {
		return err
	}
	switch {
	case proof.Identifier != v.citizen.Identifier:
		return policies.Refuse(policies.IdentityMismatch)
	case v.citizen.Associated != nil:
		return policies.Refuse(policies.AssociationExists)
	}
	association, err := readAssociation(v.citizen.ID, proof.Hash, proof.Certificate)
	if err != nil {
		return err
	}
	if v, err = p.confirmed(ctx, a, signer.ForAssociation); err != nil {
		return err
	}
	v.citizen.Associated = bytes.Clone(association.SHA256)
	r, err := p.revision(ctx, v, "associated")
	if err != nil {
		return err
	}
	return p.Store.Associate(ctx, association, r, v.entry(audit.AssociationAdded, association.facts()))
}

// Dissociate ends that.
func (p *Profile) Dissociate(ctx context.Context, a signer.Answer) error {
	v, err := p.changing(ctx, a.Ticket)
	if err != nil {
		return err
	}
	if v.citizen.Associated == nil {
		return policies.Refuse(policies.AssociationMissing)
	}
	if v, err = p.confirmed(ctx, a, signer.ForAssociation); err != nil {
		return err
	}
	was := v.citizen.Associated
	v.citizen.Associated = nil
	r, err := p.revision(ctx, v, "dissociated")
	if err != nil {
		return err
	}
	return p.Store.Dissociate(ctx, r, v.entry(audit.AssociationRemoved, map[string]any{"sha256": fmt.Sprintf("%x", was)}))
}
