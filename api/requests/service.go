package requests

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
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
	// AddUpload stores a content that a later request names, as it comes, and says
	// how large it is and what its hash. Of nothing, and of what breaks off,
	// nothing is kept; the error of content is returned.
	AddUpload(ctx context.Context, u signer.Upload, content io.Reader) (signer.Upload, error)
	// Upload reads what is known of an application's upload
	// (policies.UploadUnknown), WriteUpload its octets (policies.NotFound).
	Upload(ctx context.Context, applicationID, id string) (signer.Upload, error)
	WriteUpload(ctx context.Context, w io.Writer, id string) error
	// WriteContent reads a document as it came. policies.NotFound means that the
	// retention is over.
	WriteContent(ctx context.Context, w io.Writer, requestID string, ordinal int) error
	// Update is what a prepared signature appends to a PDF.
	Update(ctx context.Context, requestID string, ordinal int) ([]byte, error)
	// FixDocuments stores signing times, digests and what was prepared anew for a
	// ticket, all or none, and only while the request is pending and the ticket
	// is live.
	FixDocuments(ctx context.Context, requestID string, ticketHash []byte, fixed []signer.Fixed) error
	// Augmented is what a signature has gained, nil if nothing; Augment keeps it,
	// unless what is there reaches as far.
	Augmented(ctx context.Context, requestID string, ordinal int) (*signer.Augmented, error)
	Augment(ctx context.Context, requestID string, a signer.Augmented, now time.Time) error
	// Keep stores beside hashes what was built around them, all or none, each once
	// (policies.AuthorisationInvalid).
	Keep(ctx context.Context, n signer.NewRequest, now time.Time) error
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

// Worker does what parses a stranger's document, in a process that may die of
// it. *documents.Worker fulfils it.
type Worker interface {
	// Prepare places the signature in a PDF.
	Prepare(ctx context.Context, f *documents.File, o pades.Options) (*documents.Prepared, error)
	// Inspect says what is in a PDF that is signed from outside.
	Inspect(ctx context.Context, f *documents.File) (documents.Facts, error)
	// Signatures, AddEvidence and PrepareTimeStamp lift a signed PDF to a higher
	// level; the latter two say what is to be appended.
	Signatures(ctx context.Context, f *documents.File, anchors []*x509.Certificate) ([]augment.Held, error)
	AddEvidence(ctx context.Context, f *documents.File, about []augment.VRI) ([]byte, error)
	PrepareTimeStamp(ctx context.Context, f *documents.File, hole int) (*documents.Prepared, error)
}

// Limits bound what is taken in.
type Limits struct {
	DocumentBytes int64
	// InlineBytes bounds a document that stands in the request itself, in memory.
	InlineBytes int64
	// Documents is how many one request may have, InlineDocuments how many may
	// stand in it: more are uploaded before.
	Documents       int
	InlineDocuments int
	Life            time.Duration // how long the citizen has, unless the application says otherwise
	LongestLife     time.Duration
	UploadLife      time.Duration // how long an upload waits for its request
}

// DefaultLimits are 100 MB a document, a hundred of them, ten of up to 20 MB
// inside the request; seven days, and ninety if the application asks for them.
func DefaultLimits() Limits {
	return Limits{
		DocumentBytes: 100 << 20, InlineBytes: 20 << 20, Documents: 100, InlineDocuments: 10,
		Life: 7 * 24 * time.Hour, LongestLife: 90 * 24 * time.Hour, UploadLife: 24 * time.Hour,
	}
}

// Config names the parts of a Service.
type Config struct {
	Store      Store
	Opener     Opener
	Envelopes  EnvelopeStore
	Withdrawer Withdrawer
	Worker     Worker
	Augmenter  Augmenter
	// Trust gives the certificates at which chains of ours end.
	Trust     augment.Trust
	Rules     policies.Rules
	Documents policies.DocumentRules
	Limits    Limits
	// Sandbox has stamps say that the signature is worth nothing.
	Sandbox bool
	Logger  *slog.Logger
	Now     func() time.Time
}

// Service is the doors' common core.
type Service struct{ Config }

// sandboxNotice stands in stamps of a sandbox, at the place of whoever asks.
const sandboxNotice = "ENTORNO DE PRUEBAS: sin validez"

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
	Particulars    []signer.Particular
	ExpiresAt      time.Time // zero for what is usual
}

// Upload is a document as it came.
type Upload struct {
	Name      string
	MediaType string
	Format    signer.Format
	Level     cades.Level // empty for B-B
	// Content is the document itself; if it is nil, ID names one that the
	// application has uploaded.
	Content    []byte
	ID         string
	Options    Options
	Attributes signer.Attributes
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
	case inline(sub.Documents) > s.Limits.InlineDocuments:
		return policies.Refuse(policies.RequestTooManyDocs, "limit", fmt.Sprint(s.Limits.InlineDocuments))
	case len(sub.Particulars) > maxParticulars:
		return policies.Refuse(policies.RequestMalformed, "field", "details")
	}
	for i, p := range sub.Particulars {
		if !plainText(p.Label, maxLabel) || !plainText(p.Value, maxLine) {
			return policies.Refuse(policies.RequestMalformed, "field", fmt.Sprintf("details/%d", i))
		}
	}
	for i, d := range sub.Documents {
		if err := cmp.Or(checkUpload(d), sub.Client.Permit(d.Format, d.Level)); err != nil {
			return inDocument(err, i)
		}
	}
	return nil
}

const (
	maxParticulars = 10
	maxLabel       = 60
	// shortestLife is what a person needs to be told, to find the mobile, and to
	// read.
	shortestLife = 5 * time.Minute
)

// timely is whether a citizen has time until then, and the service patience.
func (s *Service) timely(until time.Time) bool {
	left := until.Sub(s.Now())
	return left >= shortestLife && left <= s.Limits.LongestLife
}

// inline counts the documents that stand in the request itself.
func inline(uploads []Upload) int {
	n := 0
	for _, u := range uploads {
		if u.ID == "" {
			n++
		}
	}
	return n
}

func checkUpload(d Upload) error {
	switch {
	case !fileName(d.Name):
		return policies.Refuse(policies.RequestMalformed, "field", "name")
	case canonical(d.MediaType) == "":
		return policies.Refuse(policies.RequestMalformed, "field", "media_type")
	case !d.Format.Known():
		return policies.Refuse(policies.RequestMalformed, "field", "format")
	case d.ID != "" && d.Content != nil:
		return policies.Refuse(policies.RequestMalformed, "field", "upload")
	}
	return d.checkSignature()
}

// TooLarge refuses a document, and says what would have been admitted.
func TooLarge(limit int64) error {
	return policies.Refuse(policies.DocumentTooLarge, "limit", fmt.Sprintf("%d MB", limit>>20))
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
	t, err := s.takeAll(ctx, sub)
	if err != nil {
		return "", err
	}
	defer t.Close()
	id, _, err := s.Store.AddRequest(ctx, t.NewRequest)
	return id, err
}

// taken is a request whose documents have been taken in, each in a file, and
// prepared. It is to be closed.
type taken struct {
	signer.NewRequest

	files []*documents.File
}

// Close forgets the documents.
func (t *taken) Close() {
	for _, f := range t.files {
		f.Close()
	}
}

func (s *Service) takeAll(ctx context.Context, sub Submission) (*taken, error) {
	t, err := s.takeEach(ctx, sub)
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// takeEach gives what was taken in before an error, too.
func (s *Service) takeEach(ctx context.Context, sub Submission) (*taken, error) {
	now := s.Now()
	t := &taken{
		Request: signer.Request{
			ID: rand.Text(), Application: sub.Client.Application, Identifier: sub.Identifier, Title: sub.Title,
			Locale: sub.Locale, ReturnURL: sub.ReturnURL, CreatedAt: now, ExpiresAt: now.Add(s.Limits.Life),
			Particulars: sub.Particulars,
		},
		IdempotencyKey: sub.IdempotencyKey,
		BodyHash:       sub.BodyHash,
	}
	// Not before: a repetition is answered however late it comes.
	if !sub.ExpiresAt.IsZero() && !s.timely(sub.ExpiresAt) {
		return t, policies.Refuse(policies.RequestMalformed, "field", "expires_at")
	}
	if !sub.ExpiresAt.IsZero() {
		t.Request.ExpiresAt = sub.ExpiresAt
	}
	signatory, err := s.signatory(ctx, sub.Identifier)
	if err != nil {
		return t, err
	}
	signatory.Organisation = sub.Client.Organisation
	if signatory.Name == "" {
		// A stamp that has no room for a name is to be refused now, not when its
		// citizen has come.
		signatory.Name = someName
	}
	var first error
	for i, upload := range sub.Documents {
		f, err := s.TakeIn(ctx, sub.Client.ID, upload)
		var (
			d      signer.Document
			update []byte
		)
		if err == nil {
			d, update, err = s.prepare(ctx, upload, f, signatory)
		}
		if err != nil && f != nil {
			f.Close()
		}
		if cause := bad(err); cause != nil {
			t.Request.Rejected = append(t.Request.Rejected, signer.Rejected{Position: i + 1, Name: upload.Name, Code: cause.Code, Params: cause.Params})
			first = cmp.Or(first, inDocument(err, i))
			continue
		}
		if err != nil {
			return t, inDocument(err, i)
		}
		t.files = append(t.files, f)
		d.Ordinal = len(t.files)
		t.Request.Documents = append(t.Request.Documents, d)
		t.Contents = append(t.Contents, signer.NewContent{
			Upload: upload.ID, Open: func() (io.Reader, error) { return f.Reader(), nil }, Update: update,
		})
	}
	if len(t.files) == 0 {
		return t, first
	}
	return t, nil
}

// bad is what is wrong with a document itself, which the others are not to suffer
// from; nil where there is nothing, or where it is worth trying again.
func bad(err error) *policies.Refusal {
	r, ok := errors.AsType[*policies.Refusal](err)
	if !ok || r.RetryAfter > 0 {
		return nil
	}
	return r
}

// Upload takes in a document that a request of the same application will name.
func (s *Service) Upload(ctx context.Context, applicationID string, content io.Reader) (signer.Upload, error) {
	u := signer.Upload{ID: rand.Text(), ApplicationID: applicationID, CreatedAt: s.Now()}
	u, err := s.Store.AddUpload(ctx, u, &atMost{from: content, left: s.Limits.DocumentBytes, limit: s.Limits.DocumentBytes})
	if err == nil && u.Size == 0 {
		err = policies.Refuse(policies.DocumentEmpty)
	}
	return u, err
}

// atMost is a content that may have so many octets.
type atMost struct {
	from        io.Reader
	left, limit int64
}

// Read implements io.Reader.
func (a *atMost) Read(p []byte) (int, error) {
	n, err := a.from.Read(p)
	if a.left -= int64(n); a.left < 0 {
		return 0, TooLarge(a.limit)
	}
	return n, err
}

// TakeIn puts a document into a file, which is to be closed: one that comes along,
// or one that the application has uploaded (policies.UploadUnknown).
func (s *Service) TakeIn(ctx context.Context, applicationID string, u Upload) (*documents.File, error) {
	switch {
	case u.ID == "" && len(u.Content) == 0:
		return nil, policies.Refuse(policies.DocumentEmpty)
	case int64(len(u.Content)) > s.Limits.InlineBytes:
		return nil, TooLarge(s.Limits.InlineBytes)
	case u.ID == "":
		return documents.HeldFile(u.Content)
	}
	known, err := s.Store.Upload(ctx, applicationID, u.ID)
	if err != nil {
		return nil, err
	}
	f, err := documents.Spool(func(f *documents.File) error { return s.Store.WriteUpload(ctx, f, u.ID) })
	if err != nil {
		return nil, err
	}
	if sum, err := f.SHA256(); err != nil || !bytes.Equal(sum, known.SHA256) {
		f.Close()
		return nil, fmt.Errorf("reading the upload %s: %w", u.ID, errors.Join(errDamaged, err))
	}
	return f, nil
}

const pdf = "application/pdf"

// prepare settles what can be settled before the citizen comes.
func (s *Service) prepare(ctx context.Context, u Upload, f *documents.File, by signatory) (signer.Document, []byte, error) {
	d := signer.Document{
		Name: u.Name, MediaType: canonical(u.MediaType), Format: u.Format, Size: f.Size(),
		Level: cmp.Or(u.Level, cades.BB), Attributes: u.Attributes,
	}
	var err error
	if d.SHA256, err = f.SHA256(); err != nil {
		return d, nil, err
	}
	if d.Options, err = json.Marshal(u.Options); err != nil {
		return d, nil, fmt.Errorf("keeping the options: %w", err)
	}
	if u.Format != signer.PAdES {
		d.Attributes.MimeType = d.MediaType
		if d.MediaType != pdf {
			return d, nil, nil
		}
		// Any file can be signed as CAdES; that one can be drawn is a help only.
		facts, err := s.Worker.Inspect(ctx, f)
		if err == nil {
			d.Pages = len(facts.Pages)
			d.Findings = codes(s.told(facts.Findings))
		}
		return d, nil, nil
	}
	prepared, err := s.Worker.Prepare(ctx, f, u.Options.forPDF(by, s.Now(), d.Level))
	if err != nil {
		return d, nil, err
	}
	warnings, refusal := policies.JudgeDocument(prepared.Findings, s.Documents)
	if refusal != nil {
		return d, nil, refusal
	}
	d.MediaType, d.Pages, d.Findings = pdf, len(prepared.Pages), codes(warnings)
	if d.Layout, err = json.Marshal(prepared.Layout); err != nil {
		return d, nil, fmt.Errorf("keeping the layout: %w", err)
	}
	return d, prepared.Update, nil
}

// signatory is who signs, as a stamp says it.
type signatory struct {
	Name, Identifier string
	Organisation     string // that asks
	Notice           string // stands in the place of Organisation in what is drawn
}

// someName stands for that of a citizen who is not registered yet: few are longer.
const someName = "María de los Ángeles Fernández de Córdoba-Figueroa y Álvarez de Sotomayor Martínez de Irujo"

// masked shows of an identifier what publications show.
func masked(identifier string) string {
	id, err := citizen.ParseIdentifier(identifier)
	if err != nil {
		return ""
	}
	return id.Masked()
}

// told are those findings that nobody allows: of a file that is signed whatever
// it is, they are told and no more.
func (s *Service) told(findings []policies.Finding) []policies.Finding {
	return slices.DeleteFunc(findings, func(f policies.Finding) bool { return s.Documents.Verdict(f.Code) == policies.VerdictAllow })
}

func codes(findings []policies.Finding) []string {
	var list []string
	for _, f := range findings {
		if code := string(f.Code); !slices.Contains(list, code) {
			list = append(list, code)
		}
	}
	return list
}

// signatory looks up the name of who is to sign. A stranger has none yet: it is
// looked up again before the citizen sees the document.
func (s *Service) signatory(ctx context.Context, identifier string) (signatory, error) {
	citizen, _, err := s.Store.Person(ctx, identifier)
	if err != nil && !errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		return signatory{}, err
	}
	by := signatory{Name: strings.TrimSpace(citizen.GivenName + " " + citizen.Surnames), Identifier: masked(identifier)}
	if s.Sandbox {
		by.Notice = sandboxNotice
	}
	return by, nil
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
