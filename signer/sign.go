package signer

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Sign implements Module: steps 6 to 8 of the ceremony.
func (s *Service) Sign(ctx context.Context, answer Answer) error {
	now := s.Now()
	row, err := s.Store.Ticket(ctx, answer.Ticket.Hash(), now)
	if err != nil {
		return err
	}
	challenge, err := s.CheckCode(ctx, row, ForSignature, answer.Code)
	if err != nil {
		return err
	}
	request, err := s.Store.Request(ctx, row.RequestID)
	if err != nil {
		return err
	}
	citizen, credential, err := s.Store.CitizenByID(ctx, row.CitizenID)
	if err != nil {
		return err
	}
	if err := s.maySign(ctx, request.ID, citizen, credential, now); err != nil {
		return err
	}
	bound, err := s.authorisable(ctx, request, row, citizen, credential, now)
	if err != nil {
		return err
	}
	if !sameDocuments(bound, challenge.Documents) || credential.ID != row.CredentialID || credential.Generation != row.Generation {
		return policies.Refuse(policies.SessionExpired)
	}
	key, err := newSigningKey(credential, s.Issuer.ChainDER())
	if err != nil {
		return err
	}
	attributes, dtbsr, err := key.attributes(bound)
	if err != nil {
		return err
	}
	ks, err := row.sealingKey(answer.Ticket)
	if err != nil {
		return err
	}
	defer zero(ks)

	intent := Intent{
		ID: rand.Text(), Request: request, ChallengeID: challenge.ID, TicketHash: row.Hash,
		CitizenID: citizen.ID, CredentialID: credential.ID, Generation: credential.Generation, Serial: credential.Certificate.Serial,
		Documents: bound, DTBSR: dtbsr, CreatedAt: now, LeaseUntil: now.Add(s.Limits.Lease),
	}
	if err := s.Store.BeginSignature(ctx, intent, s.intentEntry(intent, citizen, credential, challenge)); err != nil {
		return err
	}

	// The consent is spent: from here on the outcome is recorded whoever hangs up.
	ctx = context.WithoutCancel(ctx)
	signed, err := s.useKey(ctx, credential, ks, key, attributes, bound)
	if err != nil {
		return s.failed(ctx, intent, citizen, err)
	}
	return s.Store.FinishSignature(ctx, intent, signed,
		Notice{Kind: "document_signed", CitizenID: citizen.ID, RequestID: request.ID},
		audit.Entry{
			Type: audit.SignDone, Operation: request.ID, At: s.Now(), Person: citizen.Identifier,
			Payload: map[string]any{"authorisation": intent.ID, "serial": intent.Serial, "signatures": fingerprints(signed)},
		})
}

func (s *Service) intentEntry(i Intent, c Citizen, k *Credential, ch ChallengeRow) audit.Entry {
	documents := make([]map[string]any, len(i.Documents))
	for n, d := range i.Documents {
		documents[n] = map[string]any{
			"ordinal": d.Ordinal, "format": string(d.Format), "hash": d.Hash, "digest": hexOf(d.Digest), "dtbs_r": hexOf(i.DTBSR[n]),
		}
	}
	return audit.Entry{
		Type: audit.SignIntent, Operation: i.Request.ID, At: i.CreatedAt, Person: c.Identifier,
		Payload: map[string]any{
			"authorisation": i.ID, "application": i.Request.Application.ID, "challenge": ch.ID, "reference": ch.Reference,
			"credential": i.CredentialID, "generation": i.Generation, "serial": i.Serial, "algorithm": k.Algorithm, "kek": s.KEK,
			"factors":      []string{"knowledge", "possession"},
			"registration": map[string]any{"mode": c.Registration.Mode, "level": c.Registration.Level, "assured_at": c.Registration.AssuredAt.UTC().Format("2006-01-02")},
			"documents":    documents,
		},
	}
}

// failed ends an intent whose key could not be used. The cause is for the
// operator; the citizen may try again.
func (s *Service) failed(ctx context.Context, i Intent, c Citizen, cause error) error {
	s.Logger.ErrorContext(ctx, "signature_failed", "authorisation", i.ID, "error", cause)
	err := s.Store.FailSignature(ctx, i, audit.Entry{
		Type: audit.SignFailed, Operation: i.Request.ID, At: s.Now(), Person: c.Identifier,
		Payload: map[string]any{"authorisation": i.ID},
	})
	return errors.Join(policies.Refuse(policies.SignatureFailed), err)
}

// signingKey is what of a credential goes into every signature made with it.
type signingKey struct {
	certificate *x509.Certificate
	chain       []*x509.Certificate
}

func newSigningKey(k *Credential, chain [][]byte) (signingKey, error) {
	certificate, err := x509.ParseCertificate(k.Certificate.DER)
	if err != nil {
		return signingKey{}, fmt.Errorf("reading the certificate: %w", err)
	}
	// A certificate swapped in the database for another's must not sign.
	if !hmac.Equal(certificate.RawSubjectPublicKeyInfo, k.PublicKey) {
		return signingKey{}, errors.New("certificate and key do not belong together")
	}
	out := signingKey{certificate: certificate}
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return signingKey{}, fmt.Errorf("reading the chain: %w", err)
		}
		out.chain = append(out.chain, c)
	}
	return out, nil
}

// attributes builds each document's signed attributes here, from the digest
// that was shown and this credential's certificate, so that the public side
// cannot slip anything else into them. The second result is the DTBS/R.
func (k signingKey) attributes(documents []Bound) (attributes, dtbsr [][]byte, err error) {
	for _, d := range documents {
		set, err := cades.SignedAttributes(cades.Params{
			ContentDigest: d.Digest, Hash: crypto.SHA256, Certificate: k.certificate,
			SigningTime: d.SigningTime, PAdES: d.Format == PAdES,
		})
		if err != nil {
			return nil, nil, fmt.Errorf("building signed attributes: %w", err)
		}
		sum := sha256.Sum256(set)
		attributes, dtbsr = append(attributes, set), append(dtbsr, sum[:])
	}
	return attributes, dtbsr, nil
}

// useKey unseals once, signs everything, and returns one detached CMS a
// document, each verified with the certificate.
func (s *Service) useKey(ctx context.Context, k *Credential, ks []byte, key signingKey, attributes [][]byte, documents []Bound) ([][]byte, error) {
	wrapped, err := k.Sealed.open(ks)
	if err != nil {
		return nil, fmt.Errorf("unsealing: %w", err)
	}
	defer zero(wrapped)
	out := make([][]byte, len(attributes))
	err = s.Keys.WithWrapped(ctx, s.KEK, k.Algorithm, key.certificate.PublicKey, wrapped, func(private crypto.Signer) error {
		for i, set := range attributes {
			dtbsr := sha256.Sum256(set)
			value, err := private.Sign(rand.Reader, dtbsr[:], crypto.SHA256)
			if err != nil {
				return fmt.Errorf("signing document %d: %w", i+1, err)
			}
			if out[i], err = cms.Assemble(cms.Parts{
				SignedAttributes: set, Signature: value, Certificate: key.certificate, Chain: key.chain, Hash: crypto.SHA256,
			}); err != nil {
				return fmt.Errorf("assembling document %d: %w", i+1, err)
			}
			if err := cms.Verify(out[i], documents[i].Digest, key.certificate); err != nil {
				return fmt.Errorf("verifying document %d: %w", i+1, err)
			}
		}
		return nil
	})
	return out, err
}

func sameDocuments(a, b []Bound) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Ordinal != b[i].Ordinal || a[i].Format != b[i].Format || a[i].Hash != b[i].Hash ||
			!hmac.Equal(a[i].Digest, b[i].Digest) || !a[i].SigningTime.Equal(b[i].SigningTime) {
			return false
		}
	}
	return true
}

func fingerprint(der []byte) string { return fmt.Sprintf("%x", sha256.Sum256(der)) }

func fingerprints(all [][]byte) []string {
	out := make([]string, len(all))
	for i, der := range all {
		out[i] = fingerprint(der)
	}
	return out
}
