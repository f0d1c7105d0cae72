package validation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/policies"
)

// Validation answers what is asked, for good or ill, in the protocol asked in.
// An error means that there was no answer. The signer fulfils it.
type Validation interface {
	// OCSP answers by the status that is committed when it is called.
	OCSP(ctx context.Context, request []byte) (ocsp.Answer, error)
	TimeStamp(ctx context.Context, query []byte) ([]byte, error)
}

// Feed tells which certificates have another status than before, in the order
// of the commits: who has read up to a number has missed nothing before it.
type Feed interface {
	LastCertificateChange(ctx context.Context) (int64, error)
	// CertificateChanges reads on after a number, as many as it likes; none
	// means that there are no more.
	CertificateChanges(ctx context.Context, after int64) ([]ca.Change, error)
}

// Published is what the authority has published. What is not there is
// policies.NotFound.
type Published interface {
	// AuthorityDER reads the certificate of a member of the hierarchy.
	AuthorityDER(ctx context.Context, name string) ([]byte, error)
	// RevocationList reads the newest list of a shard.
	RevocationList(ctx context.Context, shard string) (ca.PublishedList, error)
}

// Config names the parts of a Desk.
type Config struct {
	Validation Validation
	Feed       Feed
	Published  Published
	Limits     Limits
	Logger     *slog.Logger
	Now        func() time.Time
}

// Limits bound what strangers can make the service do.
type Limits struct {
	// Answers and AnswerBytes are how many OCSP answers are kept in memory, and
	// how large all of them may be with their requests.
	Answers, AnswerBytes int
	// ListBytes is how much of the revocation lists is kept in memory.
	ListBytes int
	// Questions paces OCSP requests that the signer has to answer, by address;
	// what is in memory is free. Stamps paces time-stamps.
	Questions, Stamps api.Rate
	// Asking is how many OCSP requests are with the signer at once, and
	// Stamping how many time-stamps.
	Asking, Stamping int64
}

// DefaultLimits suit one process on an ordinary server. An office behind one
// address may check as fast as it signs.
func DefaultLimits() Limits {
	return Limits{
		Answers: 50_000, AnswerBytes: 128 << 20, ListBytes: 32 << 20,
		Questions: api.Rate{Every: 5 * time.Millisecond, Burst: 1000},
		Stamps:    api.Rate{Every: 20 * time.Millisecond, Burst: 200},
		Asking:    64, Stamping: 64,
	}
}

// patience is how long the signer may take.
const patience = 5 * time.Second

// Desk serves relying parties.
type Desk struct {
	Config
	memory   *memory
	lists    *library
	flights  singleflight.Group
	asking   *semaphore.Weighted
	stamping *semaphore.Weighted
	started  time.Time
}

// New makes a Desk. It works without Follow, but remembers nothing.
func New(c Config) (*Desk, error) {
	if c.Validation == nil || c.Feed == nil || c.Published == nil || c.Logger == nil || c.Now == nil {
		return nil, errors.New("validation without signer, feed, published files, log or clock")
	}
	answers, err := newMemory(c.Limits.Answers, c.Limits.AnswerBytes)
	if err != nil {
		return nil, fmt.Errorf("preparing the memory of answers: %w", err)
	}
	lists, err := newLibrary(c.Published, c.Limits.ListBytes)
	if err != nil {
		return nil, fmt.Errorf("preparing the memory of lists: %w", err)
	}
	return &Desk{
		Config: c, memory: answers, lists: lists,
		asking: semaphore.NewWeighted(c.Limits.Asking), stamping: semaphore.NewWeighted(c.Limits.Stamping),
		started: c.Now(),
	}, nil
}

// Room hangs the routes in the site. None of them redirects: a relying party
// that is checking a certificate cannot first check that of a server.
func (d *Desk) Room(s *api.Site) {
	read := []string{http.MethodGet, http.MethodHead}
	questions, stamps := s.Pace(d.Limits.Questions), s.Pace(d.Limits.Stamps)

	for _, route := range []string{"/ocsp", "/ocsp/", "/ocsp/*", "/ca/:file"} {
		s.Desk(route)
	}
	door := s.Door("/ocsp")
	posted, got := d.postOCSP(questions), d.getOCSP(questions)
	for _, path := range []string{"/ocsp", "/ocsp/"} {
		door.POST(path, posted, s.Accept(ocsp.MaxRequest))
		door.Match(read, path, got)
	}
	door.Match(read, "/ocsp/*", got)

	s.Door("/tsa").POST("/tsa", d.stamp(stamps), s.Accept(tsa.MaxQuery))
	s.Door("/ca/").Match(read, "/ca/:file", d.file)
}

// body reads what was posted, if it is of the media type.
func body(c echo.Context, mediaType string) ([]byte, error) {
	r := c.Request()
	if sent := r.Header.Get(echo.HeaderContentType); sent != mediaType {
		if parsed, _, err := mime.ParseMediaType(sent); err != nil || parsed != mediaType {
			return nil, fmt.Errorf("%w: %w", policies.Refuse(policies.RequestMalformed, "field", "Content-Type"), echo.ErrUnsupportedMediaType)
		}
	}
	var (
		content []byte
		err     error
	)
	if r.ContentLength >= 0 { // Accept has seen that it is small
		content = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, content)
	} else {
		content, err = io.ReadAll(r.Body)
	}
	if tooLong := (*http.MaxBytesError)(nil); err != nil && !errors.As(err, &tooLong) {
		err = fmt.Errorf("%w: %w", policies.Refuse(policies.RequestMalformed, "field", "body"), err)
	}
	return content, err
}

// retryAfter tells a client when to come back, in whole seconds.
func retryAfter(c echo.Context, wait time.Duration) {
	c.Response().Header().Set(echo.HeaderRetryAfter, api.Seconds(max(wait, time.Second)))
}
