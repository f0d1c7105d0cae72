package requests

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

// Store is what the public side keeps of requests. Its database role can write
// documents, nothing that decides over a signature.
type Store interface {
	// AddRequest stores a request and its documents in state received. If the
	// application has used the idempotency key before, nothing is stored and
	// the earlier request's id is returned: with the same body as replayed,
	// with another as policies.IdempotencyKeyReused.
	AddRequest(ctx context.Context, n signer.NewRequest) (id string, replayed bool, err error)
	// EarlierRequest looks an idempotency key up before any work is done; the
	// id is empty if the key is new (policies.IdempotencyKeyReused).
	EarlierRequest(ctx context.Context, applicationID, key string, bodyHash []byte) (string, error)
	// Request reads one request (policies.RequestUnknown).
	Request(ctx context.Context, id string) (signer.Request, error)
	// Content reads a document's bytes; for PAdES the prepared ones, of which
	// the document as it came is the prefix of Document.Size bytes. Nil means
	// that the retention is over.
	Content(ctx context.Context, requestID string, ordinal int) ([]byte, error)
	// FixDocuments stores contents, signing times and digests for a ticket, all
	// or none, and only while the request is pending and the ticket is live.
	FixDocuments(ctx context.Context, requestID string, ticketHash []byte, fixed []signer.Fixed) error
	// Certificate reads an issued certificate, DER, by its serial in lower-case
	// hexadecimal (policies.NotFound).
	Certificate(ctx context.Context, serial string) ([]byte, error)
	// Person reads a citizen for preflight (policies.CitizenUnknown); the
	// credential has no box.
	Person(ctx context.Context, identifier string) (signer.Citizen, *signer.Credential, error)
}

// Opener puts a stored request before its citizen. signer.Module fulfils it.
type Opener interface {
	Open(ctx context.Context, requestID string) error
}

// Preparer places the signature in a PDF, in a process that may die of it.
// *documents.Worker fulfils it.
type Preparer interface {
	Prepare(ctx context.Context, content []byte, o pades.Options) (*documents.Prepared, error)
}

// Limits bound what is taken in.
type Limits struct {
	DocumentBytes int64
	Documents     int
	Life          time.Duration // how long the citizen has
}

// DefaultLimits are 20 MB a document, ten documents, seven days.
func DefaultLimits() Limits {
	return Limits{DocumentBytes: 20 << 20, Documents: 10, Life: 7 * 24 * time.Hour}
}

// Config names the parts of a Service.
type Config struct {
	Store    Store
	Opener   Opener
	Preparer Preparer
	Rules    policies.Rules
	Limits   Limits
	Now      func() time.Time
}

// Service is the doors' common core.
type Service struct{ Config }

// New makes a Service.
func New(c Config) *Service { return &Service{c} }

// Submission is what a back end asks, as its door has parsed it.
type Submission struct {
	Client         signer.Client
	Identifier     string // normalised DNI or NIE
	Title          string
	Locale         string
	ReturnURL      string
	IdempotencyKey string
	BodyHash       []byte // SHA-256 of the request's body
	Documents      []Upload
}

// Upload is a document as it came.
type Upload struct {
	Name      string
	MediaType string
	Format    signer.Format
	Content   []byte
}

// Submit takes a request in. The same idempotency key with the same body gives
// the same request again, whatever became of the first answer.
func (s *Service) Submit(ctx context.Context, sub Submission) (signer.Request, error) {
	if err := s.check(sub); err != nil {
		return signer.Request{}, err
	}
	id, err := s.Store.EarlierRequest(ctx, sub.Client.ID, sub.IdempotencyKey, sub.BodyHash)
	if err != nil {
		return signer.Request{}, err
	}
	if id == "" {
		if id, err = s.add(ctx, sub); err != nil {
			return signer.Request{}, err
		}
	}
	// A request that was stored but not opened, because a process died between
	// the two, is opened by the repetition.
	if err := s.Opener.Open(ctx, id); err != nil {
		return signer.Request{}, err
	}
	return s.Store.Request(ctx, id)
}

func (s *Service) check(sub Submission) error {
	switch {
	case sub.IdempotencyKey == "" || len(sub.IdempotencyKey) > 255:
		return policies.Refuse(policies.IdempotencyKeyMissing)
	case !slices.Contains(sub.Client.ReturnAddresses, sub.ReturnURL):
		return policies.Refuse(policies.ReturnAddressUnknown)
	case !plainText(sub.Title, 200):
		return policies.Refuse(policies.RequestMalformed, "field", "title")
	case len(sub.Documents) == 0:
		return policies.Refuse(policies.RequestMalformed, "field", "documents")
	case len(sub.Documents) > s.Limits.Documents:
		return policies.Refuse(policies.RequestTooManyDocs, "limit", fmt.Sprint(s.Limits.Documents))
	}
	for i, d := range sub.Documents {
		if err := s.checkUpload(d); err != nil {
			return inDocument(err, i)
		}
	}
	return nil
}

func (s *Service) checkUpload(d Upload) error {
	switch {
	case !fileName(d.Name):
		return policies.Refuse(policies.RequestMalformed, "field", "name")
	case canonical(d.MediaType) == "":
		return policies.Refuse(policies.RequestMalformed, "field", "media_type")
	case !d.Format.Known():
		return policies.Refuse(policies.RequestMalformed, "field", "format")
	case len(d.Content) == 0:
		return policies.Refuse(policies.DocumentEmpty)
	case int64(len(d.Content)) > s.Limits.DocumentBytes:
		return policies.Refuse(policies.DocumentTooLarge, "limit", fmt.Sprintf("%d MB", s.Limits.DocumentBytes>>20))
	}
	return nil
}

// inDocument adds to a refusal which document it is about.
func inDocument(err error, index int) error {
	if r, ok := errors.AsType[*policies.Refusal](err); ok {
		if r.Params == nil {
			r.Params = map[string]string{}
		}
		r.Params["document"] = fmt.Sprint(index + 1)
	}
	return err
}

// plainText is one line that a page and an SMS can show as it is, in the order
// in which it is written.
func plainText(s string, limit int) bool {
	return strings.TrimSpace(s) != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= limit &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		})
}

// fileName is a name that a browser can save a file under, and no path.
func fileName(s string) bool {
	return plainText(s, 200) && !strings.ContainsAny(s, `/\`) && s != "." && s != ".."
}

// canonical brings a media type to one form; it is empty if it is none.
func canonical(mediaType string) string {
	kind, params, err := mime.ParseMediaType(mediaType)
	if err != nil || !strings.Contains(kind, "/") {
		return ""
	}
	if formatted := mime.FormatMediaType(kind, params); len(formatted) <= 100 {
		return formatted
	}
	return ""
}

func (s *Service) add(ctx context.Context, sub Submission) (string, error) {
	now := s.Now()
	n := signer.NewRequest{
		Request: signer.Request{
			ID: rand.Text(), Application: sub.Client.Application, Identifier: sub.Identifier, Title: sub.Title,
			Locale: sub.Locale, ReturnURL: sub.ReturnURL, CreatedAt: now, ExpiresAt: now.Add(s.Limits.Life),
		},
		IdempotencyKey: sub.IdempotencyKey,
		BodyHash:       sub.BodyHash,
	}
	for i, upload := range sub.Documents {
		d, content, err := s.prepare(ctx, upload)
		if err != nil {
			return "", inDocument(err, i)
		}
		d.Ordinal = i + 1
		n.Request.Documents = append(n.Request.Documents, d)
		n.Contents = append(n.Contents, content)
	}
	id, _, err := s.Store.AddRequest(ctx, n)
	return id, err
}

const pdf = "application/pdf"

func (s *Service) prepare(ctx context.Context, u Upload) (signer.Document, []byte, error) {
	sum := sha256.Sum256(u.Content)
	d := signer.Document{Name: u.Name, MediaType: canonical(u.MediaType), Format: u.Format, Size: int64(len(u.Content)), SHA256: sum[:]}
	if u.Format != signer.PAdES && d.MediaType != pdf {
		return d, u.Content, nil
	}
	prepared, err := s.Preparer.Prepare(ctx, u.Content, pades.Options{Time: s.Now()})
	if u.Format != signer.PAdES {
		// Any file can be signed as CAdES; that one can be drawn is a help only.
		if err == nil {
			d.Pages = len(prepared.Pages)
		}
		return d, u.Content, nil
	}
	if err != nil {
		return d, nil, err
	}
	d.MediaType, d.Pages = pdf, len(prepared.Pages)
	if d.Layout, err = json.Marshal(prepared.Layout); err != nil {
		return d, nil, fmt.Errorf("keeping the layout: %w", err)
	}
	return d, prepared.Content, nil
}

// Preflight says what stands between the request's citizen and a signature
// now: nothing, or refusals with their remedies. The request stands either way.
func (s *Service) Preflight(ctx context.Context, r signer.Request) ([]*policies.Refusal, error) {
	if r.State.Final() {
		return nil, nil
	}
	report, err := s.Outlook(ctx, r.Identifier)
	return report.Sign, err
}

// Outlook says what the citizen with that DNI or NIE can do now, and what
// stands in the way of the rest. A stranger is an obstacle, no error.
func (s *Service) Outlook(ctx context.Context, identifier string) (policies.Report, error) {
	citizen, credential, err := s.Store.Person(ctx, identifier)
	if errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		return policies.Stranger(), nil
	}
	if err != nil {
		return policies.Report{}, err
	}
	return policies.Preflight(signer.Facts(citizen, credential, s.Now()), s.Rules), nil
}

// ReturnURL is where the browser goes when the ceremony has ended: the
// registered address, with the request and its state.
func ReturnURL(r signer.Request) (string, error) {
	u, err := url.Parse(r.ReturnURL)
	if err != nil {
		return "", fmt.Errorf("reading a registered return address: %w", err)
	}
	q := u.Query()
	q.Set("request", r.ID)
	q.Set("state", string(r.State))
	u.RawQuery = q.Encode()
	return u.String(), nil
}
