package auditing

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/policies"
)

// Store reads the log. store.Auditor fulfils it, in a role that can write
// nothing of the log.
type Store interface {
	audit.HashReader
	LogHead(ctx context.Context) (audit.Head, error)
	// Search finds entries in a stretch of the log. It may leave a rest that was
	// not looked through, and always comes further.
	Search(ctx context.Context, f audit.Filter, s audit.Stretch) (audit.Matches, error)
	// Narrow is the part of a stretch outside of which no entry has a time of the
	// filter's.
	Narrow(ctx context.Context, f audit.Filter, s audit.Stretch) (audit.Stretch, error)
	// Trees lists the names of the log, the one in use last.
	Trees(ctx context.Context) ([]publication.Tree, error)
	// LastWitnessed, CheckpointAt and Checkpoints read checkpoints of a name
	// (policies.NotFound).
	LastWitnessed(ctx context.Context, origin string) (publication.Published, error)
	CheckpointAt(ctx context.Context, origin string, size int64) (publication.Published, error)
	Checkpoints(ctx context.Context, origin string, limit int) ([]publication.Published, error)
	// Publication is what the tables say of publication.
	Publication(ctx context.Context) (publication.Facts, error)
	// Halt is the newest of log.suspended, log.resumed and log.recovered, nil if
	// there is none.
	Halt(ctx context.Context) (*audit.Record, error)
	// Totals are counts by day, type and application, and Reasons those of the
	// same days by type and reason; counted is how many entries are in them.
	Totals(ctx context.Context, from, to time.Time) (totals []audit.Total, counted int64, err error)
	Reasons(ctx context.Context, from, to time.Time) ([]audit.Total, error)
	// ApplicationNames are the names of applications by id.
	ApplicationNames(ctx context.Context) (map[string]string, error)
}

// Recorder writes what was asked into the log. *rpc.Client fulfils it: the
// signer alone writes there.
type Recorder interface {
	// RecordAudit returns the entry's number; without an error it is durable.
	RecordAudit(ctx context.Context, e audit.Entry) (seq int64, err error)
}

// Config names the parts of a Service.
type Config struct {
	Store    Store
	Recorder Recorder
	// Policy says whose cosignatures make a checkpoint witnessed.
	Policy audit.Policy
	// SignerReady reports why the signer cannot do its work, nil if it can.
	SignerReady func(ctx context.Context) error
	Now         func() time.Time
}

// Service answers auditors.
type Service struct{ Config }

// New makes a Service.
func New(c Config) *Service { return &Service{c} }

// The kinds of questions, as they stand in the log.
const (
	askedSearch       = "search"
	askedEntry        = "entry"
	askedOperation    = "operation"
	askedTotals       = "totals"
	askedCompleteness = "completeness"
	askedExport       = "export"
)

// The bounds of a purpose, in characters.
const (
	shortestPurpose = 5
	longestPurpose  = 200
)

// admit says whether somebody may ask at all.
func admit(a Asking) error {
	purpose := strings.TrimSpace(a.Purpose)
	switch {
	case a.Identity.Role != RoleAuditor:
		return policies.Refuse(policies.RoleMissing)
	case utf8.RuneCountInString(purpose) < shortestPurpose || !policies.IsLine(purpose, longestPurpose):
		return policies.Refuse(policies.PurposeMissing)
	}
	return nil
}

// record writes the question down, and returns its number. Nothing is read for
// the answer before.
func (s *Service) record(ctx context.Context, a Asking, asked string, question map[string]any) (int64, error) {
	return s.recordAs(ctx, a, audit.AuditQueried, map[string]any{"asked": asked, "question": question})
}

func (s *Service) recordAs(ctx context.Context, a Asking, kind audit.EventType, payload map[string]any) (int64, error) {
	payload["auditor"], payload["name"], payload["role"], payload["by"] = a.Identity.ID, a.Identity.Name, a.Identity.Role, a.Identity.By
	payload["purpose"] = strings.TrimSpace(a.Purpose)
	seq, err := s.Recorder.RecordAudit(ctx, audit.Entry{Type: kind, Operation: a.Identity.ID, At: s.Now(), Payload: payload})
	if err != nil {
		return 0, fmt.Errorf("recording a question: %w", err)
	}
	return seq, nil
}

// patience is how often a search that found less than wanted goes on by itself.
const patience = 4

// Search finds entries, newest first, among those that were there before the
// question.
func (s *Service) Search(ctx context.Context, a Asking, q Query) (Found, error) {
	if err := admit(a); err != nil {
		return Found{}, err
	}
	sought, err := s.parse(q)
	if err != nil {
		return Found{}, err
	}
	size, err := s.record(ctx, a, askedSearch, sought.question)
	if err != nil {
		return Found{}, err
	}
	found := Found{Size: size}
	to := size
	if q.Before > 0 {
		to = min(to, q.Before)
	}
	if sought.nothing {
		return found, nil
	}
	// One more than wanted tells whether there is another page.
	rest := audit.Stretch{To: to, NewestFirst: true, Limit: sought.limit + 1}
	var records []audit.Record
	for turn := 0; turn < patience && !rest.Empty() && len(records) <= sought.limit; turn++ {
		rest.Limit = sought.limit + 1 - len(records)
		matches, err := s.Store.Search(ctx, sought.filter, rest)
		if err != nil {
			return Found{}, fmt.Errorf("searching the log: %w", err)
		}
		records, rest = append(records, matches.Records...), matches.Rest
	}
	if len(records) > sought.limit {
		records = records[:sought.limit]
		found.Next = records[sought.limit-1].Seq
	} else if !rest.Empty() {
		found.Next = rest.To
	}
	found.Entries, err = s.entries(ctx, records)
	return found, err
}

// longestOperation is how many events of one operation are told.
const longestOperation = 1000

// Operation tells all events of one operation, oldest first (policies.NotFound).
// Of one that is endless, such as that of the signer's starts and stops, it
// tells the first ones; Next is then where a search by operation goes on upwards.
func (s *Service) Operation(ctx context.Context, a Asking, id string) (Found, error) {
	if err := admit(a); err != nil {
		return Found{}, err
	}
	sought, err := s.parse(Query{Operation: id})
	switch {
	case err != nil:
		return Found{}, err
	case sought.filter.Operation == "":
		return Found{}, invalid("operation")
	}
	size, err := s.record(ctx, a, askedOperation, sought.question)
	if err != nil {
		return Found{}, err
	}
	matches, err := s.Store.Search(ctx, sought.filter, audit.Stretch{To: size, Limit: longestOperation + 1})
	if err != nil {
		return Found{}, fmt.Errorf("reading an operation: %w", err)
	}
	found := Found{Size: size}
	if n := len(matches.Records); n == 0 {
		return Found{}, policies.Refuse(policies.NotFound)
	} else if n > longestOperation {
		found.Next = matches.Records[longestOperation].Seq
		matches.Records = matches.Records[:longestOperation]
	}
	found.Entries, err = s.entries(ctx, matches.Records)
	return found, err
}

// ApplicationNames are the names of applications by id. It holds nothing of any
// entry.
func (s *Service) ApplicationNames(ctx context.Context) (map[string]string, error) {
	return s.Store.ApplicationNames(ctx)
}
