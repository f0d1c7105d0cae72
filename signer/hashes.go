package signer

import (
	"context"
	"crypto/hmac"
	"strconv"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// HashOrder spends a consent over hashes (format Hash), all of them at once.
type HashOrder struct {
	SAD SAD
	// Scheme is how an RSA key signs, cms.PKCS1v15 if it is empty; other keys have
	// one way only.
	Scheme cms.Scheme
	// Around asks for a signature to be built around each hash, in their order.
	// Without it the key signs the hashes themselves.
	Around []Around
}

// Around is a signature that holds an authorised hash as the digest of its
// content (CSC API v2.0.0.2, 11.11, signatures/signDoc).
type Around struct {
	Format Format // anything but Hash
	// Digest is that of what the signature covers, by the hash's own algorithm,
	// where that is not the document as it was hashed: in a PDF the signature's
	// own dictionary is covered as well. Nil is the authorised hash.
	Digest     []byte
	Attributes Attributes
}

// SignHashes implements Module.
func (s *Service) SignHashes(ctx context.Context, order HashOrder) error {
	switch order.Scheme {
	case "", cms.PKCS1v15, cms.PSS:
	default:
		return policies.Refuse(policies.RequestMalformed, "field", "scheme")
	}
	return s.spend(ctx, order, order.making)
}

// itself is what is made of a document that was shown: nothing else.
func (d Bound) itself() (Bound, error) { return d, nil }

// making is what is made of a hash that was consented to. Time, algorithm and
// place in the list stay those of the consent. What the public side may exchange
// is the digest of a PDF: nobody who knows only the document's hash can tell that
// of the PDF with its signature's dictionary. The log names both.
func (o HashOrder) making(d Bound) (Bound, error) {
	malformed := policies.Refuse(policies.RequestMalformed, "field", "documents", "document", strconv.Itoa(d.Ordinal))
	if d.Format != Hash {
		return d, malformed
	}
	if len(o.Around) == 0 {
		return d, nil
	}
	if d.Ordinal < 1 || d.Ordinal > len(o.Around) {
		return d, malformed
	}
	around := o.Around[d.Ordinal-1]
	if !around.Format.Known() {
		return d, malformed
	}
	d.Format, d.Attributes = around.Format, around.Attributes
	if around.Digest == nil || hmac.Equal(around.Digest, d.Digest) {
		return d, nil
	}
	if around.Format != PAdES {
		return d, policies.Refuse(policies.AuthorisationInvalid)
	}
	d.Digest = around.Digest
	return d, nil
}

// built adds to what the log says of a document what was built around its hash.
func (d dtbs) built(f facts) {
	if d.document.Format == d.consented.Format {
		return
	}
	f["built"], f["built_digest"] = string(d.document.Format), hexOf(d.document.Digest)
}
