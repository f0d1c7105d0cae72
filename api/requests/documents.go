package requests

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
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
	if r.State != signer.Pending || fixedFor(r, hash) {
		return r, nil
	}
	at := s.Now().UTC().Truncate(time.Second)
	fixed := make([]signer.Fixed, len(r.Documents))
	for i, d := range r.Documents {
		content, err := s.content(ctx, r.ID, d)
		if err != nil {
			return r, err
		}
		digest, err := settle(d, content, at)
		if err != nil {
			return r, fmt.Errorf("fixing document %d: %w", d.Ordinal, err)
		}
		fixed[i] = signer.Fixed{Ordinal: d.Ordinal, SigningTime: at, Hash: signer.SHA256, Digest: digest}
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

// settle is the digest that a signature at this time covers. The claimed time
// is part of a PDF, so it is written into the content first.
func settle(d signer.Document, content []byte, at time.Time) ([]byte, error) {
	if d.Format != signer.PAdES {
		sum := sha256.Sum256(content)
		return sum[:], nil
	}
	layout, err := layoutOf(d)
	if err != nil {
		return nil, err
	}
	if err := layout.FixTime(content, at); err != nil {
		return nil, err
	}
	return layout.Digest(content, crypto.SHA256)
}

func layoutOf(d signer.Document) (pades.Layout, error) {
	var l pades.Layout
	if err := json.Unmarshal(d.Layout, &l); err != nil {
		return l, fmt.Errorf("reading a stored layout: %w", err)
	}
	return l, nil
}

// errDamaged means that the database holds another document than was taken in.
// That is nobody's refusal: it must wake an operator.
var errDamaged = errors.New("a stored document is not the one that came")

// content reads a document as it came, with the prepared update behind it for
// PAdES. What the citizen is shown and what is signed begin here, so that it is
// held against the hash that the log has.
func (s *Service) content(ctx context.Context, requestID string, d signer.Document) ([]byte, error) {
	content, err := s.Store.Content(ctx, requestID, d.Ordinal)
	if err != nil {
		return nil, err
	}
	if content == nil {
		return nil, policies.Refuse(policies.NotFound)
	}
	if int64(len(content)) < d.Size {
		return nil, fmt.Errorf("reading document %d of %s: %w", d.Ordinal, requestID, errDamaged)
	}
	if sum := sha256.Sum256(content[:d.Size]); !bytes.Equal(sum[:], d.SHA256) {
		return nil, fmt.Errorf("reading document %d of %s: %w", d.Ordinal, requestID, errDamaged)
	}
	return content, nil
}

// Original is the document as it came, to the byte.
func (s *Service) Original(ctx context.Context, requestID string, d signer.Document) ([]byte, error) {
	content, err := s.content(ctx, requestID, d)
	if err != nil {
		return nil, err
	}
	return content[:d.Size], nil
}

// Result is a signed document.
type Result struct {
	Name      string // of a file
	MediaType string
	Content   []byte
}

// Result puts the signature where its format wants it. It is computed from
// what was stored when the key was used, the same each time, and checked
// before it leaves: digest, attributes, value, and the whole by a second
// implementation.
func (s *Service) Result(ctx context.Context, r signer.Request, ordinal int) (Result, error) {
	if r.State != signer.Signed {
		return Result{}, policies.Refuse(policies.RequestState, "state", string(r.State))
	}
	if ordinal < 1 || ordinal > len(r.Documents) {
		return Result{}, policies.Refuse(policies.NotFound)
	}
	d := r.Documents[ordinal-1]
	content, err := s.content(ctx, r.ID, d)
	if err != nil {
		return Result{}, err
	}
	if err := s.verify(ctx, d, content); err != nil {
		return Result{}, fmt.Errorf("verifying document %d of %s: %w", ordinal, r.ID, err)
	}
	out, err := assemble(d, content)
	if err != nil {
		return Result{}, fmt.Errorf("assembling document %d of %s: %w", ordinal, r.ID, err)
	}
	return out, nil
}

// verify checks a stored signature against what is about to leave, by our own
// rules with the certificate on record, and once more by a second
// implementation. It settles the content on the way.
func (s *Service) verify(ctx context.Context, d signer.Document, content []byte) error {
	digest, err := settle(d, content, d.SigningTime)
	if err != nil {
		return err
	}
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
	covered, err := covered(d, content)
	if err != nil {
		return err
	}
	return cms.CrossCheck(d.CMS, covered)
}

// covered is what the signature covers, in one piece.
func covered(d signer.Document, content []byte) ([]byte, error) {
	if d.Format != signer.PAdES {
		return content, nil
	}
	layout, err := layoutOf(d)
	if err != nil {
		return nil, err
	}
	return slices.Concat(content[:layout.HoleStart], content[layout.HoleEnd:]), nil
}

func assemble(d signer.Document, content []byte) (Result, error) {
	switch d.Format {
	case signer.PAdES:
		layout, err := layoutOf(d)
		if err != nil {
			return Result{}, err
		}
		err = layout.Embed(content, d.CMS)
		return Result{Name: FileName(d), MediaType: pdf, Content: content}, err
	case signer.CAdESDetached:
		return Result{Name: FileName(d), MediaType: "application/pkcs7-signature", Content: d.CMS}, nil
	case signer.CAdESAttached:
		var out bytes.Buffer
		err := cms.Attach(&out, d.CMS, bytes.NewReader(content), int64(len(content)))
		return Result{Name: FileName(d), MediaType: "application/pkcs7-mime", Content: out.Bytes()}, err
	}
	return Result{}, fmt.Errorf("unknown format %q", d.Format)
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
	}
	return d.Name
}

func withSuffix(name, old, suffix string) string {
	if n := len(name) - len(old); n > 0 && strings.EqualFold(name[n:], old) {
		name = name[:n]
	}
	return name + suffix
}
