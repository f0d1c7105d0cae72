package signer

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Sign implements Module: steps 7 and 8 of the ceremony.
func (s *Service) Sign(ctx context.Context, sad SAD) error {
	return s.spend(ctx, HashOrder{SAD: sad, Scheme: s.RSAScheme}, Bound.itself)
}

// spend is Sign, of what is made of each document that was consented to.
func (s *Service) spend(ctx context.Context, order HashOrder, making func(Bound) (Bound, error)) error {
	if err := s.gated(ctx); err != nil {
		return err
	}
	defer s.pool.busy()()
	now := s.Now()
	c, err := s.redeem(ctx, order.SAD, now)
	if err != nil {
		return err
	}
	defer zero(c.ks)
	key, err := s.newSigningKey(c.credential, order.Scheme)
	if err != nil {
		return err
	}
	dtbs, err := key.dtbs(c.Documents, making)
	if err != nil {
		return err
	}

	intent := Intent{
		Authorisation: c.Authorisation, Request: c.request, Version: c.citizen.Version,
		DTBSR: representations(dtbs), LeaseUntil: now.Add(s.Limits.Lease),
	}
	s.Step("sign/redeemed")
	if err := s.Store.BeginSignature(ctx, intent, s.intentEntry(intent, c, dtbs, now)); err != nil {
		return err
	}
	s.Step("sign/intended")

	// The consent is spent: from here on the outcome is recorded whoever hangs up.
	ctx = context.WithoutCancel(ctx)
	signed, err := s.useKey(ctx, c, key, dtbs)
	if err != nil {
		return s.failed(ctx, intent, c.citizen, err)
	}
	s.Step("sign/signed")
	err = s.Store.FinishSignature(ctx, intent, signed,
		Notice{Kind: "document_signed", CitizenID: c.CitizenID, RequestID: c.request.ID, Wanted: c.citizen.Notices},
		audit.Entry{
			Type: audit.SignDone, Operation: c.request.ID, At: s.Now(), Person: c.citizen.Identifier,
			Payload: intent.done(*c.credential, dtbs, signed),
		})
	s.Step("sign/done")
	return err
}

func (s *Service) intentEntry(i Intent, c consented, all []dtbs, now time.Time) audit.Entry {
	// The request's documents are those of the consent: redeem has compared them.
	documents := c.request.tell(Document.fixed)
	for n := range documents {
		documents[n]["dtbs_r"] = hexOf(i.DTBSR[n])
		all[n].built(documents[n])
	}
	payload := i.facts(*c.credential)
	payload["documents"] = documents
	return audit.Entry{
		Type: audit.SignIntent, Operation: c.request.ID, At: now, Person: c.citizen.Identifier, Payload: payload,
	}
}

// done are the facts of an intent's signatures.
func (i Intent) done(k Credential, all []dtbs, signed [][]byte) facts {
	f, documents := i.facts(k), i.Request.tell(Document.signed)
	for n := range documents {
		all[n].built(documents[n])
	}
	f["signatures"], f["documents"] = fingerprints(signed), documents
	return f
}

// failed ends an intent whose key could not be used. The cause is for the
// operator; the citizen may try again.
func (s *Service) failed(ctx context.Context, i Intent, c Citizen, cause error) error {
	s.Logger.ErrorContext(ctx, "signature_failed", "authorisation", i.ID, "error", cause)
	refusal := policies.Refuse(policies.SignatureFailed)
	err := s.Store.FailSignature(ctx, i, audit.Entry{
		Type: audit.SignFailed, Operation: i.Request.ID, At: s.Now(), Person: c.Identifier,
		Payload: i.Request.matter().facts(facts{"authorisation": i.ID, "serial": i.Serial, "reason": string(refusal.Code)}),
	})
	return errors.Join(refusal, err)
}

// signingKey is what of a credential goes into every signature made with it.
type signingKey struct {
	certificate *x509.Certificate
	chain       []*x509.Certificate
	scheme      cms.Scheme // empty for what the key does by itself
}

func (s *Service) newSigningKey(k *Credential, scheme cms.Scheme) (signingKey, error) {
	certificate, err := x509.ParseCertificate(k.Certificate.DER)
	if err != nil {
		return signingKey{}, fmt.Errorf("reading the certificate: %w", err)
	}
	// A certificate swapped in the database for another's must not sign.
	if !hmac.Equal(certificate.RawSubjectPublicKeyInfo, k.PublicKey) {
		return signingKey{}, errors.New("certificate and key do not belong together")
	}
	chain, err := s.Issuer.Chain(certificate)
	if err != nil {
		return signingKey{}, fmt.Errorf("finding the chain: %w", err)
	}
	key := signingKey{certificate: certificate, chain: chain}
	if _, ok := certificate.PublicKey.(*rsa.PublicKey); ok {
		key.scheme = scheme
	}
	return key, nil
}

// dtbs is one document's data to be signed: the signed attributes, and their
// hash (DTBS/R), which is what the key signs. Of format Hash there are no
// attributes, and the hash is the one that was consented to.
type dtbs struct {
	consented      Bound
	document       Bound
	hash           crypto.Hash
	attributes     []byte
	representation []byte
}

// dtbs builds each document's signed attributes here, from the digest that was
// shown and this credential's certificate, so that the public side cannot slip
// anything else into them.
func (k signingKey) dtbs(documents []Bound, making func(Bound) (Bound, error)) ([]dtbs, error) {
	out := make([]dtbs, len(documents))
	for i, consented := range documents {
		d, err := making(consented)
		if err != nil {
			return nil, err
		}
		hash, err := ParseDigest(d.Hash, d.Digest)
		if err != nil {
			return nil, err
		}
		if d.Format == Hash {
			out[i] = dtbs{consented: consented, document: d, hash: hash, representation: d.Digest}
			continue
		}
		params, err := d.params()
		if err != nil {
			return nil, err
		}
		params.Hash, params.Certificate = hash, k.certificate
		set, err := cades.SignedAttributes(params)
		if err != nil {
			return nil, fmt.Errorf("building signed attributes: %w", err)
		}
		out[i] = dtbs{consented: consented, document: d, hash: hash, attributes: set, representation: cades.DTBSR(set, hash)}
	}
	return out, nil
}

func representations(all []dtbs) [][]byte {
	out := make([][]byte, len(all))
	for i := range all {
		out[i] = all[i].representation
	}
	return out
}

// useKey unseals once, signs everything, and returns one detached CMS or value a
// document, each verified with the certificate.
func (s *Service) useKey(ctx context.Context, c consented, key signingKey, all []dtbs) ([][]byte, error) {
	payload, err := c.credential.Sealed.open(c.ks)
	if err != nil {
		return nil, fmt.Errorf("unsealing: %w", err)
	}
	defer zero(payload)
	keeper, err := s.keeper(*c.credential)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(all))
	var group errgroup.Group
	for i, size := 0, lane(len(all)); i < len(all); i += size {
		end := min(i+size, len(all))
		group.Go(func() error {
			return keeper.lend(ctx, *c.credential, key.certificate.PublicKey, payload, func(private crypto.Signer) error {
				s.Step("sign/unsealed")
				return key.signAll(private, all[i:end], out[i:end])
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	// A lane that ended without a word has signed nothing, and said nothing.
	if slices.ContainsFunc(out, func(der []byte) bool { return der == nil }) {
		return nil, errors.New("a document came back unsigned")
	}
	return out, nil
}

// lane is how many documents one session of the token signs: many are shared
// between two, so that one citizen's hundred neither wait for one core nor take
// the pool.
func lane(documents int) int {
	const few = 16
	if documents <= few {
		return few
	}
	return (documents + 1) / 2
}

// signAll puts a signature for each document into out. While the token makes
// the next signature, the last one is assembled and verified beside it.
func (k signingKey) signAll(private crypto.Signer, all []dtbs, out [][]byte) error {
	var checks errgroup.Group
	checks.SetLimit(2)
	for i, d := range all {
		value, err := private.Sign(rand.Reader, d.representation, cms.SignerOpts(d.hash, k.scheme, k.certificate.PublicKey))
		if err != nil {
			return errors.Join(fmt.Errorf("signing document %d: %w", i+1, err), checks.Wait())
		}
		checks.Go(func() error {
			var err error
			if out[i], err = k.assemble(d, value); err != nil {
				return fmt.Errorf("document %d: %w", i+1, err)
			}
			return nil
		})
	}
	return checks.Wait()
}

func (k signingKey) assemble(d dtbs, value []byte) ([]byte, error) {
	if d.document.Format == Hash {
		if err := cms.CheckValue(k.certificate.PublicKey, cms.SignerOpts(d.hash, k.scheme, k.certificate.PublicKey), d.representation, value); err != nil {
			return nil, fmt.Errorf("verifying: %w", err)
		}
		return value, nil
	}
	der, err := cms.Assemble(cms.Parts{
		SignedAttributes: d.attributes, Signature: value, Certificate: k.certificate, Chain: k.chain, Hash: d.hash,
		Scheme: k.scheme,
	})
	if err != nil {
		return nil, fmt.Errorf("assembling: %w", err)
	}
	if err := cms.Verify(der, d.document.Digest, k.certificate); err != nil {
		return nil, fmt.Errorf("verifying: %w", err)
	}
	return der, nil
}

func fingerprints(all [][]byte) []string {
	out := make([]string, len(all))
	for i, der := range all {
		out[i] = fingerprint(der)
	}
	return out
}
