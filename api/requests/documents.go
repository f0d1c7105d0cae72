package requests

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

// Fix settles signing time and digest of each document for this ticket, before
// the citizen sees them: from here to the signature nothing may change. A
// second call for the same ticket finds them settled.
func (s *Service) Fix(ctx context.Context, requestID string, ticket signer.Ticket) (signer.Request, error) {
	r, err := s.Store.Request(ctx, requestID)
	if err != nil {
		return r, err
	}
	hash := ticket.Hash()
	if r.State != signer.Pending {
		return r, nil
	}
	before, err := s.before(ctx, r)
	if err != nil || fixedFor(r, hash) && before.shown(r) {
		return r, err
	}
	at := s.Now().UTC().Truncate(time.Second)
	by, err := s.signatory(ctx, r.Identifier)
	if err != nil {
		return r, err
	}
	by.Organisation = r.Application.Organisation
	fixed := make([]signer.Fixed, len(r.Documents))
	for i, d := range r.Documents {
		if fixed[i], err = s.settle(ctx, r.ID, d, signing{at, by, before}); err != nil {
			return r, fmt.Errorf("fixing document %d: %w", d.Ordinal, err)
		}
	}
	if err := s.Store.FixDocuments(ctx, r.ID, hash, fixed); err != nil {
		return r, err
	}
	return s.Store.Request(ctx, requestID)
}

func fixedFor(r signer.Request, ticketHash []byte) bool {
	for _, d := range r.Documents {
		if d.Digest == nil || !hmac.Equal(d.FixedFor, ticketHash) {
			return false
		}
	}
	return true
}

// signing is what goes into a signature besides its document: when, by whom, and
// who has signed before.
type signing struct {
	at     time.Time
	by     signatory
	before before
}

// settle gives a document its signing time, and the digest that a signature at
// this time covers.
func (s *Service) settle(ctx context.Context, requestID string, d signer.Document, sig signing) (signer.Fixed, error) {
	if d.Given != nil {
		return signer.Fixed{Ordinal: d.Ordinal, SigningTime: sig.at, Hash: d.Hash, Digest: d.Given}, nil
	}
	fixed := signer.Fixed{Ordinal: d.Ordinal, SigningTime: sig.at, Hash: signer.SHA256, Digest: d.SHA256}
	if d.Format != signer.PAdES {
		f, err := s.original(ctx, requestID, d)
		if err == nil {
			f.Close()
		}
		return fixed, err
	}
	f, err := s.begin(ctx, requestID, d, sig.before, &fixed)
	if err != nil {
		return fixed, err
	}
	defer f.Close()
	options, err := optionsOf(d)
	if err != nil {
		return fixed, err
	}
	layout, update, err := s.prepared(ctx, requestID, d)
	if err != nil {
		return fixed, err
	}
	// A stamp shows the signer's name, which may not have been known when the
	// request came. Somebody else may have signed since, and what an envelope asks
	// of its later signers has not been prepared at all.
	if options.Stamp != nil || update == nil || fixed.Revision != d.Revision {
		again, err := s.Worker.Prepare(ctx, f, options.forPDF(sig.by, sig.at, d.Level))
		if err != nil {
			return fixed, err
		}
		layout, update = again.Layout, again.Update
		fixed.Update = update
		if fixed.Layout, err = json.Marshal(layout); err != nil {
			return fixed, fmt.Errorf("keeping the layout: %w", err)
		}
	}
	if err := layout.FixTime(update, sig.at); err != nil {
		return fixed, err
	}
	fixed.Digest, err = digest(layout, f, update, crypto.SHA256)
	return fixed, err
}

// prepared is what a prepared signature appends to a PDF, and how it is laid out.
func (s *Service) prepared(ctx context.Context, requestID string, d signer.Document) (pades.Layout, []byte, error) {
	var layout pades.Layout
	if err := json.Unmarshal(d.Layout, &layout); err != nil {
		return layout, nil, fmt.Errorf("reading a stored layout: %w", err)
	}
	update, err := s.Store.Update(ctx, requestID, d.Ordinal)
	return layout, update, err
}

func optionsOf(d signer.Document) (Options, error) {
	var o Options
	if err := json.Unmarshal(d.Options, &o); err != nil {
		return o, fmt.Errorf("reading stored options: %w", err)
	}
	return o, nil
}

// errDamaged means that the database holds another document than was taken in.
// That is nobody's refusal: it must wake an operator.
var errDamaged = errors.New("a stored document is not the one that came")

// original reads a document as it came, with the signatures that others have put
// into it since. What the citizen is shown and what is signed begin here, so that
// it is held against the hash that the log has.
func (s *Service) original(ctx context.Context, requestID string, d signer.Document, parts ...[]byte) (*documents.File, error) {
	if d.Revision > 0 {
		prefix, err := s.Envelopes.Prefix(ctx, requestID, d.Ordinal)
		if err != nil {
			return nil, err
		}
		parts = slices.Insert(parts, 0, prefix)
	}
	f, err := documents.Spool(func(f *documents.File) error {
		if err := s.Store.WriteContent(ctx, f, requestID, d.Ordinal); err != nil {
			return err
		}
		if same, err := is(f, d); err != nil || !same {
			return errors.Join(errDamaged, err)
		}
		for _, part := range parts {
			if _, err := f.Write(part); err != nil {
				return fmt.Errorf("writing a document: %w", err)
			}
		}
		return nil
	})
	if errors.Is(err, errDamaged) {
		return nil, fmt.Errorf("reading document %d of %s: %w", d.Ordinal, requestID, err)
	}
	return f, err
}

// is reports whether a file is the document as it came.
func is(f *documents.File, d signer.Document) (bool, error) {
	hash, want, err := identity(d)
	if err != nil {
		return false, err
	}
	sum, err := f.Sum(hash)
	return bytes.Equal(sum, want), err
}

// Original is the document as it came, to the byte, with the signatures that others
// have put into it since. It is to be closed.
func (s *Service) Original(ctx context.Context, requestID string, d signer.Document) (*documents.File, error) {
	return s.original(ctx, requestID, d)
}

// Preview is the document as it will look when it is signed: with the stamp, if
// there is one. It is to be closed.
func (s *Service) Preview(ctx context.Context, requestID string, d signer.Document) (*documents.File, error) {
	options, err := optionsOf(d)
	if err != nil {
		return nil, err
	}
	if options.Stamp == nil {
		return s.original(ctx, requestID, d)
	}
	layout, update, err := s.prepared(ctx, requestID, d)
	if err != nil {
		return nil, err
	}
	if !d.SigningTime.IsZero() {
		if err := layout.FixTime(update, d.SigningTime); err != nil {
			return nil, err
		}
	}
	return s.original(ctx, requestID, d, update)
}

// Result is a signed document. Its file is to be closed.
type Result struct {
	Name      string // of a file
	MediaType string
	Level     cades.Level // that it has
	File      *documents.File
}

// Result puts the signature where its format wants it. It is computed from
// what was stored when the key was used and what has been added since, and
// checked before it leaves: digest, attributes, value, and the whole by a
// second implementation.
func (s *Service) Result(ctx context.Context, r signer.Request, ordinal int) (Result, error) {
	if r.State != signer.Signed {
		return Result{}, policies.Refuse(policies.RequestState, "state", string(r.State))
	}
	if ordinal < 1 || ordinal > len(r.Documents) {
		return Result{}, policies.Refuse(policies.NotFound)
	}
	d := r.Documents[ordinal-1]
	if d.Given != nil { // the document never came: its application has it
		return Result{}, policies.Refuse(policies.NotFound)
	}
	added, err := s.gained(ctx, r.ID, d)
	if err != nil {
		return Result{}, err
	}
	f, err := s.assemble(ctx, r.ID, d, added)
	if err != nil {
		return Result{}, fmt.Errorf("assembling document %d of %s: %w", ordinal, r.ID, err)
	}
	return Result{Name: FileName(d), MediaType: resultType(d.Format), Level: added.Reached, File: f}, nil
}

// assemble makes the file that leaves.
func (s *Service) assemble(ctx context.Context, requestID string, d signer.Document, a *signer.Augmented) (*documents.File, error) {
	p, err := s.stored(ctx, requestID, d)
	if err != nil {
		return nil, err
	}
	f, err := s.leaving(ctx, p, a)
	if f != p.file {
		p.Close()
	}
	return f, err
}

// digest is what a signature in a PDF covers. The document was hashed when it was
// read, and a large one takes long enough once.
func digest(layout pades.Layout, original *documents.File, update []byte, hash crypto.Hash) ([]byte, error) {
	if hash != crypto.SHA256 {
		return layout.Digest(original.Reader(), update, hash)
	}
	hashed, err := original.Hashed()
	if err != nil {
		return nil, err
	}
	return layout.DigestBehind(hashed, update)
}

// verify checks a stored signature against what is about to leave, by our own
// rules with the certificate on record, and once more by a second
// implementation. What a signature has gained since must not have changed it.
func (s *Service) verify(ctx context.Context, d signer.Document, digest, augmented []byte) error {
	signed, err := cms.Parse(d.CMS)
	if err != nil {
		return err
	}
	der, err := s.Store.Certificate(ctx, fmt.Sprintf("%x", signed.Serial.Bytes()))
	if errors.Is(err, policies.Refuse(policies.NotFound)) {
		return fmt.Errorf("%w: its certificate was never issued", cms.ErrInvalid)
	}
	if err != nil {
		return fmt.Errorf("reading the signer's certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("reading the signer's certificate: %w", err)
	}
	if err := cms.Verify(d.CMS, digest, certificate); err != nil {
		return err
	}
	if err := cms.CrossCheckDigest(d.CMS, digest); err != nil {
		return err
	}
	if bytes.Equal(augmented, d.CMS) {
		return nil
	}
	gained, err := cms.Open(bytes.NewReader(augmented), int64(len(augmented)))
	if err != nil {
		return err
	}
	if len(gained.Signers) != 1 || !bytes.Equal(gained.Signers[0].Signature, signed.Signature) ||
		!bytes.Equal(gained.Signers[0].SignedAttributes, signed.SignedAttributes) {
		return fmt.Errorf("%w: what it has gained changed it", cms.ErrInvalid)
	}
	return gained.Signers[0].Verify(certificate, digest)
}

func resultType(f signer.Format) string {
	switch f {
	case signer.PAdES:
		return pdf
	case signer.CAdESDetached:
		return "application/pkcs7-signature"
	case signer.CAdESAttached:
		return "application/pkcs7-mime"
	case signer.Hash: // never comes to it
	}
	return "application/octet-stream"
}

// FileName is the name under which a browser saves the result.
func FileName(d signer.Document) string {
	switch d.Format {
	case signer.PAdES:
		return withSuffix(d.Name, ".pdf", "-firmado.pdf")
	case signer.CAdESDetached:
		return d.Name + ".p7s"
	case signer.CAdESAttached:
		return d.Name + ".p7m"
	case signer.Hash: // has none
	}
	return d.Name
}

func withSuffix(name, old, suffix string) string {
	if n := len(name) - len(old); n > 0 && strings.EqualFold(name[n:], old) {
		name = name[:n]
	}
	return name + suffix
}
