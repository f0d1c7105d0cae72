// Package verification validates signatures for whoever asks: in the document
// worker, which parses a stranger's file and asks nobody, and again with what was
// fetched for it, until nothing more can be had.
package verification

import (
	"context"
	"crypto/x509"
	"log/slog"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/api/augment"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/verify"
)

// Worker validates without asking anybody. *documents.Worker fulfils it.
type Worker interface {
	Verify(ctx context.Context, f *documents.File, v documents.Verification) (documents.Verified, error)
}

// Authorities are asked for the status of certificates: those that a deployment
// names, whatever a stranger's certificate may say. *augment.Collector fulfils it.
type Authorities interface {
	Revocation(ctx context.Context, c, issuer *x509.Certificate) (cades.Evidence, error)
}

// Config names the parts of a Service.
type Config struct {
	Worker      Worker
	Authorities Authorities
	// Trust gives the certificates at which chains end that are believed.
	Trust  augment.Trust
	Logger *slog.Logger
	Now    func() time.Time
}

// Service validates signatures.
type Service struct{ Config }

// New makes a Service.
func New(c Config) *Service { return &Service{c} }

// Input is what is validated. Who made the files closes them.
type Input struct {
	Name     string // for the report
	Document *documents.File
	Content  *documents.File // what a detached signature is of; nil if there is none
}

const (
	// maxRounds bounds how often a document is looked at: the first time its
	// signer's chain is asked for, the second those of responders and stamps.
	maxRounds = 3
	// asking is for all questions of one round.
	asking = 20 * time.Second
)

// Verify validates all signatures of a document (EN 319 102-1). That one is not
// valid is told in the report; a *policies.Refusal says that the document could
// not be looked at.
func (s *Service) Verify(ctx context.Context, in Input) (*verify.Report, error) {
	trust, err := s.Trust(ctx)
	if err != nil {
		return nil, err
	}
	v := documents.Verification{Name: in.Name, Content: in.Content, Trust: trust, Time: s.Now().UTC()}
	asked := map[string]bool{}
	for round := 1; ; round++ {
		verified, err := s.Worker.Verify(ctx, in.Document, v)
		if err != nil {
			return nil, err
		}
		open := slices.DeleteFunc(verified.Open, func(q documents.Question) bool {
			known := asked[string(q.Certificate.Raw)]
			asked[string(q.Certificate.Raw)] = true
			return known
		})
		if len(open) == 0 || round == maxRounds {
			return verified.Report, nil
		}
		found := s.ask(ctx, open)
		if found.Empty() {
			return verified.Report, nil
		}
		v.Evidence = v.Evidence.Merge(found)
		// What was fetched was produced after the first look; it is judged as of
		// when it is there.
		v.Time = s.Now().UTC()
	}
}

// ask fetches what can be had. What cannot is lacking in the report, which says
// so: it is no error.
func (s *Service) ask(ctx context.Context, open []documents.Question) cades.Evidence {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	var found cades.Evidence
	for _, q := range open {
		evidence, err := s.Authorities.Revocation(ctx, q.Certificate, q.Issuer)
		if err != nil {
			s.Logger.InfoContext(ctx, "status_not_fetched", "error", err)
			continue
		}
		found = found.Merge(evidence)
	}
	return found
}
