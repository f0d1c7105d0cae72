package requests

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// Signatures of several people in one document. In a PDF each is an incremental
// update of what the last one signed (ISO 32000-2, 12.8.1), and covers all of it:
// so the next one begins with the bytes that are there, and those never change
// again, whatever the earlier signature gains afterwards. CMS signatures are
// parallel (RFC 5652, 5.1): all cover the same content, and are put together when
// they are fetched.

// before is what of an envelope stands in a request's PDFs already.
type before struct {
	revision int            // how many signatures
	last     signer.Request // that of the newest; nothing where there is none
}

// before looks who has signed before. What has no PDF has no before.
func (s *Service) before(ctx context.Context, r signer.Request) (before, error) {
	if r.Envelope == "" || !hasPDF(r) {
		return before{}, nil
	}
	e, err := s.Envelopes.Envelope(ctx, r.Envelope)
	if err != nil {
		return before{}, err
	}
	signed := e.Signed()
	if len(signed) == 0 {
		return before{}, nil
	}
	b := before{revision: len(signed)}
	b.last, err = s.Store.Request(ctx, signed[len(signed)-1].RequestID)
	return b, err
}

func hasPDF(r signer.Request) bool {
	for _, d := range r.Documents {
		if d.Format == signer.PAdES {
			return true
		}
	}
	return false
}

// shown reports whether what was fixed last has all of them.
func (b before) shown(r signer.Request) bool {
	for _, d := range r.Documents {
		if d.Format == signer.PAdES && d.Revision != b.revision {
			return false
		}
	}
	return true
}

// Overtaken reports whether somebody else has signed since the documents of a
// request were fixed, so that they are to be looked at again.
func (s *Service) Overtaken(ctx context.Context, r signer.Request) (bool, error) {
	if r.Envelope == "" || r.State != signer.Pending {
		return false, nil
	}
	b, err := s.before(ctx, r)
	return err == nil && !b.shown(r), err
}

// begin is the PDF that the next signature is added to. What of it was not there
// when the document was fixed last is noted in fixed.
func (s *Service) begin(ctx context.Context, requestID string, d signer.Document, b before, fixed *signer.Fixed) (*documents.File, error) {
	fixed.Revision = b.revision
	if b.revision == d.Revision {
		return s.original(ctx, requestID, d)
	}
	f, err := s.newest(ctx, b, d.Ordinal)
	if err != nil {
		return nil, err
	}
	fixed.Prefix = make([]byte, f.Size()-d.Size)
	if _, err := io.ReadFull(io.NewSectionReader(f, d.Size, int64(len(fixed.Prefix))), fixed.Prefix); err != nil {
		f.Close()
		return nil, fmt.Errorf("reading what others have signed: %w", err)
	}
	return f, nil
}

// newest is a PDF with all signatures so far. What the last of them is still to
// gain has to be in it now: when the next one covers it, it is too late.
func (s *Service) newest(ctx context.Context, b before, ordinal int) (*documents.File, error) {
	last := b.last.Documents[ordinal-1]
	if !last.Reached.AtLeast(last.Level) {
		s.AugmentSoon(ctx, b.last.ID)
	}
	gained, err := s.gained(ctx, b.last.ID, last)
	if err != nil {
		return nil, err
	}
	return s.assemble(ctx, b.last.ID, last, gained)
}

// EnvelopeResult is a document of an envelope with all the signatures that it has
// so far (policies.RequestState: none).
func (s *Service) EnvelopeResult(ctx context.Context, e signer.Envelope, ordinal int) (Result, error) {
	signed := e.Signed()
	if len(signed) == 0 {
		return Result{}, policies.Refuse(policies.RequestState, "state", string(e.State))
	}
	all := make([]signer.Request, len(signed))
	for i, signs := range signed {
		var err error
		if all[i], err = s.Store.Request(ctx, signs.RequestID); err != nil {
			return Result{}, err
		}
	}
	newest := all[len(all)-1]
	if ordinal < 1 || ordinal > len(newest.Documents) {
		return Result{}, policies.Refuse(policies.NotFound)
	}
	if newest.Documents[ordinal-1].Format == signer.PAdES {
		return s.Result(ctx, newest, ordinal)
	}
	return s.together(ctx, all, ordinal)
}

// together makes one SignedData of the signatures of several requests over the
// same content.
func (s *Service) together(ctx context.Context, all []signer.Request, ordinal int) (Result, error) {
	var (
		whole *cms.Message
		level cades.Level
	)
	for _, r := range all {
		d := r.Documents[ordinal-1]
		gained, err := s.gained(ctx, r.ID, d)
		if err != nil {
			return Result{}, err
		}
		if err := s.verify(ctx, d, d.SHA256, gained.CMS); err != nil {
			return Result{}, fmt.Errorf("checking the signature of %s: %w", r.ID, err)
		}
		m, err := cms.Open(bytes.NewReader(gained.CMS), int64(len(gained.CMS)))
		if err != nil {
			return Result{}, err
		}
		if whole == nil {
			whole, level = m, gained.Reached
			continue
		}
		if err := whole.Merge(m); err != nil {
			return Result{}, fmt.Errorf("adding the signature of %s: %w", r.ID, err)
		}
		if level.AtLeast(gained.Reached) {
			level = gained.Reached
		}
	}
	d := all[0].Documents[ordinal-1]
	f, err := s.write(ctx, all[0].ID, d, whole)
	if err != nil {
		return Result{}, err
	}
	return Result{Name: FileName(d), MediaType: resultType(d.Format), Level: level, File: f}, nil
}

// write puts the message into a file, with its content inside if that is its form.
func (s *Service) write(ctx context.Context, requestID string, d signer.Document, m *cms.Message) (*documents.File, error) {
	if d.Format == signer.CAdESDetached {
		return documents.Assemble(func(f *documents.File) error { return m.Write(f) })
	}
	original, err := s.original(ctx, requestID, d)
	if err != nil {
		return nil, err
	}
	defer original.Close()
	return documents.Assemble(func(f *documents.File) error { return m.WriteAttached(f, original.Reader(), original.Size()) })
}
