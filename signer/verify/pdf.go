package verify

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
	"github.com/rubrica-firma/rubrica/signer/inspect"
	"github.com/rubrica-firma/rubrica/signer/pades"
	"github.com/rubrica-firma/rubrica/signer/pdf"
)

const (
	// maxSignatures bounds how often the revisions of one document are compared.
	maxSignatures = 100
	// maxGap bounds Contents as they stand, in octets.
	maxGap = 64 << 20
	// maxHashed bounds what is hashed of one document, in octets.
	maxHashed = 16 << 30
)

const docTimeStamp = "document-time-stamp"

// pdfSignature is a signature or document time-stamp of a PDF.
type pdfSignature struct {
	*pades.Signature

	contents []byte       // without padding
	message  *cms.Message // nil if there is none
	format   *Conclusion
	place    *Placement
}

// pdfDocument is a PDF under validation.
type pdfDocument struct {
	*validation

	file       *pdf.File
	in         Input
	signatures []*pdfSignature
	hashed     int64
	stamps     []proved
}

// proved is a document time-stamp that was validated.
type proved struct {
	revision int
	at       time.Time
}

// pdf validates the signatures of a PDF: document time-stamps first and the
// newest of them before the others, because what they prove helps the older ones
// and the signatures (EN 319 102-1, 5.6.3.4).
func (v *validation) pdf(ctx context.Context, in Input, report *Report) error {
	file, err := pdf.Open(in.Document, in.Size)
	if err != nil {
		return fmt.Errorf("opening the PDF: %w", err)
	}
	d := &pdfDocument{validation: v, file: file, in: in}
	if err := d.collect(report); err != nil {
		return err
	}
	stamps := slices.DeleteFunc(slices.Clone(d.signatures), func(s *pdfSignature) bool { return s.Type != "DocTimeStamp" })
	slices.SortStableFunc(stamps, func(a, b *pdfSignature) int { return b.Revision - a.Revision })
	for _, s := range stamps {
		out, err := d.documentTimeStamp(ctx, s)
		if err != nil {
			return err
		}
		report.TimeStamps = append(report.TimeStamps, out)
	}
	slices.Reverse(report.TimeStamps)
	for _, s := range d.signatures {
		if s.Type == "DocTimeStamp" {
			continue
		}
		out, err := d.signature(ctx, s, len(report.Signatures)+1)
		if err != nil {
			return err
		}
		report.Signatures = append(report.Signatures, out)
	}
	v.reject(report)
	return nil
}

// collect finds the signatures and all evidence.
func (d *pdfDocument) collect(report *Report) error {
	found, err := pades.Signatures(d.file)
	if err != nil {
		return fmt.Errorf("reading the signatures: %w", err)
	}
	if len(found) > maxSignatures {
		return policies.Refuse(policies.DocumentTooComplex, "reason", fmt.Sprintf("%d signatures", len(found)))
	}
	store, err := pades.DSS(d.file)
	if err != nil {
		return fmt.Errorf("reading the validation data: %w", err)
	}
	d.pool.addStore(store, func(e cades.Evidence) { d.pool.add(e, inDocument) })
	for _, s := range found {
		if s.UsageRights && s.Field == "" {
			report.Warnings = append(report.Warnings, "the document has usage rights, which are no signature of a person")
			continue
		}
		one := &pdfSignature{Signature: s, place: d.placement(s)}
		one.read()
		one.format = first(one.format, d.gap(s))
		if one.message != nil {
			d.pool.take(one.message)
		}
		d.signatures = append(d.signatures, one)
	}
	for i, a := range d.signatures {
		for _, b := range d.signatures[:i] {
			if a.same(b) {
				trouble := failed(FormatFailure, "the fields %q and %q hold the same signature", b.Field, a.Field)
				a.format, b.format = first(a.format, trouble), first(b.format, trouble)
			}
		}
	}
	if tail := d.tail(); tail != nil {
		for _, s := range d.signatures {
			s.format = first(s.format, tail)
		}
	}
	return nil
}

// addStore hands out all evidence of a security store.
func (*pool) addStore(store pades.Store, add func(cades.Evidence)) {
	add(store.Evidence)
	for _, e := range store.VRI {
		add(e)
	}
}

// read takes the CMS out of Contents, and checks what ISO 32000-2, 12.8 and EN
// 319 142-1, 4.1 and 5.3 say of it.
func (s *pdfSignature) read() {
	der, err := s.CMS()
	if err != nil {
		s.format = failed(FormatFailure, "Contents: %v", err)
		return
	}
	s.contents = der
	m, err := cms.Open(bytes.NewReader(der), int64(len(der)))
	if err != nil {
		s.format = failed(FormatFailure, "%v", err)
		return
	}
	s.message = m
	if s.format = coherent(m); s.format != nil {
		return
	}
	stamp := s.Type == "DocTimeStamp"
	switch {
	case len(m.Signers) != 1:
		s.format = failed(FormatFailure, "a PDF signature has one signer, this one %d", len(m.Signers))
	case s.Field == "":
		s.format = failed(FormatFailure, "the signature stands in no field")
	case stamp != (s.SubFilter == "ETSI.RFC3161") || !stamp && s.SubFilter != "ETSI.CAdES.detached" && s.SubFilter != "adbe.pkcs7.detached":
		s.format = failed(FormatFailure, "SubFilter %q of a %s is not supported", s.SubFilter, s.Type)
	case !stamp && m.Attached():
		s.format = failed(FormatFailure, "the signature has a content of its own")
	case !s.Whole:
		s.format = failed(FormatFailure, "the ByteRange is not the whole revision but for the signature")
	}
}

// gap demands that the octets that nobody signed are the digits of a hexadecimal
// string (ISO 32000-2, 12.8.1) and no more: white space between them would be a
// place to write something.
func (d *pdfDocument) gap(s *pades.Signature) *Conclusion {
	from, to := s.ByteRange[1], s.ByteRange[2]
	if !s.Whole || to-from < 2 {
		return nil // refused already, or none
	}
	if to-from > maxGap {
		return failed(FormatFailure, "Contents of %d octets", to-from)
	}
	octets := make([]byte, to-from)
	if _, err := d.in.Document.ReadAt(octets, from); err != nil {
		return failed(FormatFailure, "reading Contents: %v", err)
	}
	if octets[0] != '<' || octets[len(octets)-1] != '>' || len(bytes.Trim(octets[1:len(octets)-1], "0123456789abcdefABCDEF")) > 0 {
		return failed(FormatFailure, "Contents are not just hexadecimal digits")
	}
	return nil
}

// same is whether two hold the same signature value, however it is wrapped.
func (s *pdfSignature) same(other *pdfSignature) bool {
	return s.message != nil && other.message != nil && slices.ContainsFunc(s.message.Signers, func(a *cms.SignerInfo) bool {
		return slices.ContainsFunc(other.message.Signers, func(b *cms.SignerInfo) bool { return bytes.Equal(a.Signature, b.Signature) })
	})
}

// tail is what is wrong with octets behind the end of the document: another
// reader may find another document there.
func (d *pdfDocument) tail() *Conclusion {
	rest := io.NewSectionReader(d.in.Document, d.file.End(), d.in.Size-d.file.End())
	for buffer := make([]byte, 4096); ; {
		n, err := rest.Read(buffer)
		if len(bytes.Trim(buffer[:n], "\x00\t\n\f\r ")) > 0 {
			return failed(FormatFailure, "there is something behind the end of the document, which no signature covers")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return failed(FormatFailure, "reading the end of the document: %v", err)
		}
	}
}

func (d *pdfDocument) placement(s *pades.Signature) *Placement {
	return &Placement{
		Field: s.Field, SubFilter: s.SubFilter, Reason: s.Reason, Location: s.Location, Page: s.Page,
		Revision: s.Revision + 1, Revisions: len(d.file.Revisions()), Certifies: s.Certification, Permission: int(s.Permission),
	}
}

// digest hashes what the ByteRange names.
func (d *pdfDocument) digest(s *pdfSignature, h crypto.Hash) ([]byte, error) {
	r := s.ByteRange
	if h == 0 || s.message == nil || r[1]+r[3] == 0 || r[0]+r[1] > d.in.Size || r[2]+r[3] > d.in.Size {
		return nil, nil
	}
	if d.hashed += r[1] + r[3]; d.hashed > maxHashed {
		return nil, policies.Refuse(policies.DocumentTooComplex, "reason", "too much to hash")
	}
	w := h.New()
	if _, err := io.Copy(w, d.signed(s)); err != nil {
		return nil, fmt.Errorf("hashing the document: %w", err)
	}
	return w.Sum(nil), nil
}

// signed reads what the ByteRange names.
func (d *pdfDocument) signed(s *pdfSignature) io.Reader {
	r := s.ByteRange
	return io.MultiReader(io.NewSectionReader(d.in.Document, r[0], r[1]), io.NewSectionReader(d.in.Document, r[2], r[3]))
}

// documentTimeStamp validates a document time-stamp (EN 319 142-1, 5.4.3), and
// records what it proves.
func (d *pdfDocument) documentTimeStamp(ctx context.Context, s *pdfSignature) (*TimeStamp, error) {
	if s.message == nil {
		return &TimeStamp{Kind: docTimeStamp, Conclusion: s.format.orPassed(), PDF: s.place}, nil
	}
	var problem error
	out, _ := d.timeStamp(ctx, docTimeStamp, s.contents, func(t *cms.Token) error {
		imprint, err := d.digest(s, t.Hash)
		problem = err
		if !bytes.Equal(imprint, t.Digest) {
			return errImprint
		}
		return nil
	})
	if problem != nil {
		return nil, problem
	}
	out.PDF = s.place
	if s.format != nil {
		out.Conclusion = *first(s.format, &out.Conclusion)
	}
	if out.Indication != Passed {
		return out, nil
	}
	d.stamps = append(d.stamps, proved{s.Revision, out.Time})
	return out, d.prove(s.Revision, out.Time)
}

var errImprint = errors.New("another imprint")

// prove records that a revision, and all that stands in it, existed at a time.
func (d *pdfDocument) prove(revision int, at time.Time) error {
	for _, s := range d.signatures {
		if s.Revision >= revision || s.Revision < 0 || s.message == nil {
			continue
		}
		d.pool.prove(s.contents, at)
		for _, raw := range slices.Concat(s.message.RawCertificates(), s.message.CRLs(), s.message.OCSPs()) {
			d.pool.prove(raw, at)
		}
		for _, si := range s.message.Signers {
			d.pool.prove(si.Signature, at)
			for _, a := range si.Unsigned {
				for _, value := range a.Values {
					d.pool.prove(value, at)
				}
			}
		}
	}
	then, err := d.file.At(d.file.Revisions()[revision])
	if err != nil {
		return fmt.Errorf("opening revision %d: %w", revision+1, err)
	}
	store, err := pades.DSS(then)
	if err != nil {
		return fmt.Errorf("reading the validation data of revision %d: %w", revision+1, err)
	}
	d.pool.addStore(store, func(e cades.Evidence) {
		for _, c := range e.Certificates {
			d.pool.prove(c.Raw, at)
		}
		for _, raw := range slices.Concat(e.OCSPs, e.CRLs) {
			d.pool.prove(raw, at)
		}
	})
	return nil
}

// signature validates a signature of the PDF.
func (d *pdfDocument) signature(ctx context.Context, s *pdfSignature, number int) (*Signature, error) {
	out := &Signature{Number: number, Format: "PDF", ClaimedTime: s.M, BestTime: d.now, PDF: s.place}
	if s.message == nil || len(s.message.Signers) != 1 {
		out.Conclusion = *s.format
		return out, nil
	}
	all := make([]*pades.Signature, 0, len(d.signatures))
	for _, other := range d.signatures {
		all = append(all, other.Signature)
	}
	var err error
	if out.Structure, err = pades.LevelOf(d.file, s.Signature, all, d.pool.anchors...); err != nil {
		return nil, fmt.Errorf("looking for the level of signature %d: %w", number, err)
	}
	if s.SubFilter == "ETSI.CAdES.detached" {
		out.Format = "PAdES"
	}
	hash := s.message.Signers[0].Hash
	sum, err := d.digest(s, hash)
	if err != nil {
		return nil, err
	}
	one := &signed{
		report: out, message: s.message, digests: map[crypto.Hash][]byte{hash: sum},
		format: first(s.format, d.changedSince(s)), check: func(t *cades.TimeStamp) error { return t.Check(d.signed(s)) },
	}
	for _, t := range d.stamps {
		one.sealed = one.sealed || t.revision > s.Revision
		if t.revision < s.Revision && t.at.After(one.after) {
			one.after = t.at
		}
	}
	d.validate(ctx, one)
	return out, nil
}

// changedSince compares what was signed with the document as it is.
func (d *pdfDocument) changedSince(s *pdfSignature) *Conclusion {
	revisions := d.file.Revisions()
	if s.Revision < 0 || s.Revision == len(revisions)-1 {
		return nil
	}
	changes, err := d.changes(s, revisions[s.Revision])
	if err != nil {
		return failed(FormatFailure, "what was changed after the signature cannot be told: %v", err)
	}
	var trouble *Conclusion
	for _, c := range changes {
		s.place.Changes = append(s.place.Changes, Change{What: string(c.Kind), Where: c.Where, Judgement: string(c.Judgement)})
		switch c.Judgement {
		case inspect.Forbidden:
			trouble = first(trouble, failed(FormatFailure, "the document was changed after the signature, which does not permit it: %s %s", c.Kind, c.Where))
		case inspect.Suspect:
			trouble = first(trouble, indeterminate(SigConstraintsFailure, "the document was changed after the signature in a way that can deceive: %s %s", c.Kind, c.Where))
		default:
		}
	}
	return trouble
}

func (d *pdfDocument) changes(s *pdfSignature, r pdf.Revision) ([]inspect.Change, error) {
	then, err := d.file.At(r)
	if err != nil {
		return nil, fmt.Errorf("opening the signed revision: %w", err)
	}
	signature, err := then.Dict(s.Ref)
	if err != nil {
		return nil, fmt.Errorf("reading the signature as it was: %w", err)
	}
	field, err := then.Dict(s.FieldRef)
	if err != nil {
		return nil, fmt.Errorf("reading its field as it was: %w", err)
	}
	return inspect.Changes(then, d.file, inspect.PermissionOf(then, signature, field))
}
