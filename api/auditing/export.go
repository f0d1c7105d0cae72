package auditing

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/policies"
)

// exportVersion is the version of the form (audit.ExportHeader).
const exportVersion = 1

// exportPortion is how many entries of an export are held in memory.
const exportPortion = 500

// Export writes entries, oldest first, each with its proof under one checkpoint
// that was witnessed before the first of them is written. It may be as long as
// the log: it holds no more than a portion of it. If it breaks off, the last
// line is missing, and it goes on with the same checkpoint and another Next.
func (s *Service) Export(ctx context.Context, a Asking, q Query, o ExportOptions, w io.Writer) error {
	if err := admit(a); err != nil {
		return err
	}
	sought, err := s.parse(q)
	if err != nil {
		return err
	}
	if err := checkExport(q, o); err != nil {
		return err
	}
	checkpoint, err := s.checkpoint(ctx, o.Checkpoint)
	if err != nil {
		return err
	}
	stretch, err := s.Store.Narrow(ctx, sought.filter, audit.Stretch{From: o.Next, To: checkpoint.Size, Limit: exportPortion})
	if err != nil {
		return fmt.Errorf("finding where an export begins: %w", err)
	}
	if o.Next > checkpoint.Size || stretch.Empty() && o.Next > 0 && o.Complete {
		return policies.Refuse(policies.RangeImpossible)
	}
	payload := map[string]any{"asked": askedExport, "question": sought.question, "format": string(o.Format.recorded()), "complete": o.Complete, "checkpoint": checkpoint.Size}
	if o.Next > 0 {
		payload["next"] = o.Next
	}
	if _, err := s.recordAs(ctx, a, audit.AuditExported, payload); err != nil {
		return err
	}
	if stretch.Empty() {
		stretch.To = stretch.From
	}
	e := export{Service: s, sought: sought, options: o, checkpoint: checkpoint, stretch: stretch}
	return e.write(ctx, w)
}

// recorded is the format as the log has it: a companion is a part of the CSV.
func (f Format) recorded() Format {
	if f == Companion {
		return CSV
	}
	return f
}

// checkExport refuses what an export has no place for.
func checkExport(q Query, o ExportOptions) error {
	switch {
	case o.Format != JSONLines && o.Format != CSV && o.Format != Companion:
		return invalid("format")
	case o.Checkpoint < 0 || o.Checkpoint > largest:
		return invalid("checkpoint")
	case o.Next < 0 || o.Next > largest:
		return invalid("after")
	case q.Before != 0 || q.Limit != 0:
		return invalid("limit")
	case o.Next > 0 && o.Checkpoint == 0:
		return invalid("checkpoint") // another part of an export is proven under the same
	}
	return nil
}

// export is one under way.
type export struct {
	*Service

	sought     sought
	options    ExportOptions
	checkpoint publication.Published
	stretch    audit.Stretch // of which it is
	out        sink
	entries    int64
}

// sink is the form in which lines are written.
type sink interface {
	header(h audit.ExportHeader) error
	entry(e audit.ExportEntry) error
	trailer(t audit.ExportTrailer) error
	flush() error
}

func (e *export) write(ctx context.Context, w io.Writer) error {
	header, err := e.header(ctx)
	if err != nil {
		return err
	}
	trailer := audit.ExportTrailer{End: true}
	if e.options.Complete {
		consistency, err := audit.EndSpan(ctx, e.checkpoint.Size, e.stretch.To, e.Store)
		if err != nil {
			return err
		}
		trailer.Consistency = audit.EncodeHashes(consistency)
	}
	if e.options.Begun != nil {
		e.options.Begun(e.announced())
	}
	e.out = newSink(e.options.Format, w)
	if err := e.out.header(header); err != nil {
		return fmt.Errorf("writing an export: %w", err)
	}
	run := e.matching
	if e.options.Complete {
		run = e.all
	}
	if err := run(ctx); err != nil {
		return errors.Join(err, e.out.flush())
	}
	trailer.Entries = e.entries
	if err := errors.Join(e.out.trailer(trailer), e.out.flush()); err != nil {
		return fmt.Errorf("writing an export: %w", err)
	}
	return nil
}

func (e *export) header(ctx context.Context) (audit.ExportHeader, error) {
	h := audit.ExportHeader{
		Version: exportVersion, Query: e.sought.question, Origin: e.checkpoint.Origin, Checkpoint: string(e.checkpoint.Note),
		Timestamp: e.checkpoint.Timestamp, Policy: e.Policy.String(), From: e.stretch.From, To: e.stretch.To, Complete: e.options.Complete,
	}
	if !e.options.Complete {
		return h, nil
	}
	edge, err := audit.Edge(ctx, e.stretch.From, e.Store)
	h.Edge = audit.EncodeHashes(edge)
	return h, err
}

// announced is what the export will be.
func (e *export) announced() Export {
	out := Export{Format: e.options.Format, Checkpoint: e.checkpoint.Size, From: e.stretch.From, To: e.stretch.To}
	host, _, _ := strings.Cut(e.checkpoint.Origin, "/")
	out.Name = fmt.Sprintf("%s-%d-%d-%d.", host, e.checkpoint.Size, e.stretch.From, e.stretch.To)
	switch e.options.Format {
	case CSV:
		out.Name, out.MediaType = out.Name+"csv", "text/csv; charset=utf-8; header=present" // RFC 4180
	case Companion:
		out.Name, out.MediaType = out.Name+"csv.jsonl", jsonLinesType
	case JSONLines:
		out.Name, out.MediaType = out.Name+"jsonl", jsonLinesType
	}
	return out
}

const jsonLinesType = "application/jsonl; charset=utf-8"

// matching writes what matches, each entry with its own proof.
func (e *export) matching(ctx context.Context) error {
	for rest := e.stretch; !rest.Empty() && !e.sought.nothing; {
		rest.Limit = exportPortion
		matches, err := e.Store.Search(ctx, e.sought.filter, rest)
		if err != nil {
			return fmt.Errorf("searching the log: %w", err)
		}
		rest = matches.Rest
		if e.options.Format == Companion { // nobody sees the proofs
			e.entries += int64(len(matches.Records))
			continue
		}
		paths, err := e.paths(ctx, e.checkpoint.Size, matches.Records)
		if err != nil {
			return err
		}
		for i, r := range matches.Records {
			line := audit.ExportEntry{Seq: r.Seq, Leaf: r.Leaf, Payload: r.Payload, Salt: r.Salt, Proof: audit.EncodeHashes(paths[i])}
			if err := e.put(line); err != nil {
				return err
			}
		}
		if err := e.out.flush(); err != nil {
			return fmt.Errorf("writing an export: %w", err)
		}
	}
	return nil
}

// all writes every leaf of the stretch, and what it commits to with those that
// match.
func (e *export) all(ctx context.Context) error {
	for from := e.stretch.From; from < e.stretch.To; from += exportPortion {
		part := audit.Stretch{From: from, To: min(from+exportPortion, e.stretch.To), Limit: exportPortion}
		records, err := e.whole(ctx, part)
		if err != nil {
			return err
		}
		open, err := e.open(ctx, part)
		if err != nil {
			return err
		}
		for _, r := range records {
			line := audit.ExportEntry{Seq: r.Seq, Leaf: r.Leaf}
			if open[r.Seq] {
				line.Payload, line.Salt = r.Payload, r.Salt
			}
			if err := e.put(line); err != nil {
				return err
			}
		}
		if err := e.out.flush(); err != nil {
			return fmt.Errorf("writing an export: %w", err)
		}
	}
	return nil
}

// ErrGap is an entry that is not in the database any more, and was.
var ErrGap = errors.New("an entry of the log is missing")

// whole reads all entries of a part. Numbers have no gaps: one that is missing
// was taken out, and the export ends there.
func (e *export) whole(ctx context.Context, part audit.Stretch) ([]audit.Record, error) {
	matches, err := e.Store.Search(ctx, audit.Filter{}, part)
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	if int64(len(matches.Records)) != part.To-part.From {
		return nil, fmt.Errorf("%w: between %d and %d", ErrGap, part.From, part.To)
	}
	return matches.Records, nil
}

// open are the numbers of those that match.
func (e *export) open(ctx context.Context, part audit.Stretch) (map[int64]bool, error) {
	open := make(map[int64]bool, exportPortion)
	for rest := part; !rest.Empty() && !e.sought.nothing; {
		matches, err := e.Store.Search(ctx, e.sought.filter, rest)
		if err != nil {
			return nil, fmt.Errorf("searching the log: %w", err)
		}
		for _, r := range matches.Records {
			open[r.Seq] = true
		}
		rest = matches.Rest
	}
	return open, nil
}

func (e *export) put(line audit.ExportEntry) error {
	e.entries++
	if err := e.out.entry(line); err != nil {
		return fmt.Errorf("writing entry %d of an export: %w", line.Seq, err)
	}
	return nil
}

func newSink(f Format, w io.Writer) sink {
	lines := lineSink{bufio.NewWriterSize(w, 64<<10)}
	switch f {
	case CSV:
		return &rowSink{csv.NewWriter(w)}
	case Companion:
		return companionSink{lines}
	case JSONLines:
	}
	return lines
}

// lineSink writes JSON Lines.
type lineSink struct{ w *bufio.Writer }

func (s lineSink) header(h audit.ExportHeader) error   { return s.line(h) }
func (s lineSink) entry(e audit.ExportEntry) error     { return s.line(e) }
func (s lineSink) trailer(t audit.ExportTrailer) error { return s.line(t) }
func (s lineSink) flush() error                        { return s.w.Flush() }

func (s lineSink) line(v any) error {
	if err := json.MarshalWrite(s.w, v); err != nil {
		return err
	}
	return s.w.WriteByte('\n')
}

// companionSink leaves the entries out, which stand in the CSV.
type companionSink struct{ lineSink }

func (companionSink) entry(audit.ExportEntry) error { return nil }

// rowSink writes CSV (RFC 4180). Header and trailer are the companion's.
type rowSink struct{ w *csv.Writer }

func (s *rowSink) header(audit.ExportHeader) error { return s.w.Write(audit.Columns()) }

func (s *rowSink) entry(e audit.ExportEntry) error {
	row, err := e.Row()
	if err != nil {
		return err
	}
	return s.w.Write(row)
}

func (s *rowSink) trailer(audit.ExportTrailer) error { return nil }

func (s *rowSink) flush() error {
	s.w.Flush()
	return s.w.Error()
}
