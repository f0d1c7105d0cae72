package augment

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/policies"
)

// Stamper gives time-stamps that may be relied on. Without one the error is
// policies.TimeStampUnavailable.
type Stamper interface {
	TimeStamp(ctx context.Context, hash crypto.Hash, digest []byte) (token []byte, err error)
}

// Authority answers queries of RFC 3161. The signer, which has the own
// time-stamping unit, fulfils it, and so does a Web's Authority. What it
// answers is not believed.
type Authority interface {
	TimeStamp(ctx context.Context, query []byte) (response []byte, err error)
}

// Authority is a time-stamping authority outside (RFC 3161, section 3.4).
func (w *Web) Authority(address string) Authority { return remote{web: w, address: address} }

type remote struct {
	web     *Web
	address string
}

// TimeStamp implements Authority.
func (r remote) TimeStamp(ctx context.Context, query []byte) ([]byte, error) {
	return r.web.Post(ctx, r.address, Question{
		Type: "application/timestamp-query", Accept: "application/timestamp-reply", Body: query,
	}, tsa.MaxResponse)
}

// Source is an authority that may be asked.
type Source struct {
	Name      string // as the log has it
	Authority Authority
	// Policies are those of which a stamp's has to be one; none lets it be any.
	Policies []asn1.ObjectIdentifier
}

// Trust gives the certificates that need no proof.
type Trust func(ctx context.Context) ([]*x509.Certificate, error)

// StampsConfig names the parts of Stamps.
type StampsConfig struct {
	// Sources are asked in this order, until one gives a stamp that is right.
	Sources []Source
	Trust   Trust
	// Timeout is how long each of them may take; zero is Patience.
	Timeout time.Duration
	// Drift is how far their clocks may be from the one here; zero is a minute.
	Drift  time.Duration
	Now    func() time.Time
	Logger *slog.Logger
}

// rest is how long a source that did not answer is asked last: a batch must not
// wait for it once a document.
const rest = time.Minute

// Stamps is a Stamper over several authorities.
type Stamps struct {
	StampsConfig

	mu    sync.Mutex
	tired map[int]time.Time // when a source, by place, last failed
}

// NewStamps makes a Stamper.
func NewStamps(c StampsConfig) (*Stamps, error) {
	if len(c.Sources) == 0 || c.Trust == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("time-stamps without authority, trust, clock or log")
	}
	c.Timeout, c.Drift = cmp.Or(c.Timeout, Patience), cmp.Or(c.Drift, time.Minute)
	return &Stamps{StampsConfig: c, tired: map[int]time.Time{}}, nil
}

// TimeStamp implements Stamper.
func (s *Stamps) TimeStamp(ctx context.Context, hash crypto.Hash, digest []byte) ([]byte, error) {
	var causes []error
	for _, i := range s.order() {
		source := s.Sources[i]
		token, err := s.ask(ctx, source, tsa.NewRequest(hash, digest))
		if err == nil {
			s.mark(i, time.Time{})
			return token, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", policies.Refuse(policies.TimeStampUnavailable), context.Cause(ctx))
		}
		s.mark(i, s.Now())
		s.Logger.WarnContext(ctx, "time_stamp_failed", "source", source.Name, "error", err)
		causes = append(causes, fmt.Errorf("%s: %w", source.Name, err))
	}
	return nil, fmt.Errorf("%w: %w", policies.Refuse(policies.TimeStampUnavailable), errors.Join(causes...))
}

// ask gets one stamp and believes nothing of it.
func (s *Stamps) ask(ctx context.Context, source Source, r tsa.Request) ([]byte, error) {
	anchors, err := s.Trust(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading whom to trust: %w", err)
	}
	query, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	response, err := source.Authority.TimeStamp(ctx, query)
	if err != nil {
		return nil, err
	}
	token, err := tsa.Token(response)
	if err != nil {
		return nil, err
	}
	_, err = tsa.Check(token, tsa.Expected{Request: r, Policies: source.Policies, Anchors: anchors, Now: s.Now(), Drift: s.Drift})
	return bytes.Clone(token), err
}

// order is that of the configuration, but for those who failed lately.
func (s *Stamps) order() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	var awake, resting []int
	for i := range s.Sources {
		if since := now.Sub(s.tired[i]); since >= 0 && since < rest {
			resting = append(resting, i)
			continue
		}
		awake = append(awake, i)
	}
	return slices.Concat(awake, resting)
}

func (s *Stamps) mark(source int, failed time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tired[source] = failed
}
