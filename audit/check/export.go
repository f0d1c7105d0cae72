package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/audit"
)

// Export verifies an export as JSON Lines.
func (c Checker) Export(ctx context.Context, name string, lines io.Reader) (*Report, error) {
	reader, err := audit.NewExportReader(lines)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return c.export(ctx, name, reader)
}

// ExportCSV verifies an export as CSV with its companion.
func (c Checker) ExportCSV(ctx context.Context, name string, rows, companion io.Reader) (*Report, error) {
	reader, err := audit.NewCSVReader(rows, companion)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return c.export(ctx, name, reader)
}

func (c Checker) export(ctx context.Context, name string, reader *audit.ExportReader) (*Report, error) {
	r := &Report{Name: name, Kind: Export}
	h := reader.Header
	under, ok := c.open(r, []byte(h.Checkpoint), h.Policy)
	switch {
	case !ok:
		return r.conclude(), nil
	case h.Origin != under.Origin:
		r.wrong("it says that it is of %q, and its checkpoint is of %q", h.Origin, under.Origin)
		return r.conclude(), nil
	case h.To > under.Size:
		r.broken(under.Size, h.To, "it promises entries up to %d, and its checkpoint has %d", h.To, under.Size)
		return r.conclude(), nil
	}
	p, err := newPassage(r, h, under.Tree)
	if err != nil {
		r.broken(h.From, h.To, "%v", err)
		return r.conclude(), nil
	}
	if err := p.read(ctx, reader, c.progress); err != nil {
		return nil, fmt.Errorf("verifying %s: %w", name, err)
	}
	p.end(reader.Trailer, under)
	c.stamp(r, h.Timestamp, under.LogSigned)
	return r.conclude(), nil
}

// passage is one reading of an export.
type passage struct {
	report *Report
	header audit.ExportHeader
	tree   audit.Tree
	span   *audit.Span // of a complete range
	next   int64       // the lowest number that may come
}

func newPassage(r *Report, h audit.ExportHeader, tree audit.Tree) (*passage, error) {
	p := &passage{report: r, header: h, tree: tree, next: h.From}
	if !h.Complete {
		return p, nil
	}
	edge, err := audit.Hashes(h.Edge)
	if err != nil {
		return nil, err
	}
	p.span, err = audit.NewSpan(h.From, edge)
	return p, err
}

// several is how many entries are verified at once.
const several = 4096

// read verifies the entries, and stops where they cannot be read any more.
func (p *passage) read(ctx context.Context, reader *audit.ExportReader, progress func(done, total int64)) error {
	for p.report.Fault == nil {
		entries, ended := p.some(reader)
		facts, err := p.verify(ctx, entries)
		if err != nil {
			return err
		}
		for _, f := range facts {
			switch {
			case f.wrong != "":
				p.report.broken(f.seq, f.seq+1, "%s", f.wrong)
				return nil
			case f.unread:
				p.report.Entries.Checked++
				p.report.Entries.Unread++
			default:
				p.report.count(f.Fact)
			}
		}
		progress(p.next-p.header.From, p.header.To-p.header.From)
		if errors.Is(ended, io.EOF) {
			return nil
		}
		if ended != nil {
			p.report.broken(p.next, max(p.next+1, p.header.To), "%v", ended)
		}
	}
	return nil
}

// some reads several entries in their order. What is amiss with the order or the
// form is a fault that comes after them.
func (p *passage) some(reader *audit.ExportReader) (entries []audit.ExportEntry, ended error) {
	for len(entries) < several {
		e, err := reader.Next()
		if err != nil {
			return entries, err
		}
		switch {
		case e.Seq < p.next || e.Seq >= p.header.To:
			return entries, fmt.Errorf("entry %d stands in its place", e.Seq)
		case p.span != nil && e.Seq != p.next:
			return entries, fmt.Errorf("it is missing: entry %d stands in its place", e.Seq)
		}
		if p.span != nil {
			p.span.Add(e.Leaf)
		}
		p.next = e.Seq + 1
		entries = append(entries, e)
	}
	return entries, nil
}

// verified is what came of one entry.
type verified struct {
	audit.Fact
	seq    int64
	unread bool
	wrong  string
}

func (p *passage) verify(ctx context.Context, entries []audit.ExportEntry) ([]verified, error) {
	facts := make([]verified, len(entries))
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	share := (len(entries) + workers - 1) / workers
	for from := 0; from < len(entries); from += share {
		group.Go(func() error {
			for i := from; i < min(from+share, len(entries)); i++ {
				facts[i] = p.entry(entries[i])
			}
			return ctx.Err()
		})
	}
	return facts, group.Wait()
}

func (p *passage) entry(e audit.ExportEntry) verified {
	v := verified{seq: e.Seq}
	if p.span == nil {
		path, err := audit.Hashes(e.Proof)
		if err == nil {
			err = audit.CheckInclusion(tlog.RecordProof(path), p.tree, e.Seq, e.Leaf)
		}
		if err != nil {
			v.wrong = err.Error()
			return v
		}
	}
	if _, err := audit.ParseLeaf(e.Leaf); err != nil {
		v.unread = true // the tree has it; what it says, another version knows
		return v
	}
	var err error
	if v.Fact, err = audit.OpenFact(e.Seq, e.Leaf, e.Payload, e.Salt); err != nil {
		v.wrong = err.Error()
	}
	return v
}

// end judges what only shows at the end: that a range is complete, and what the
// known checkpoint says.
func (p *passage) end(t audit.ExportTrailer, under opened) {
	r := p.report
	if r.Fault != nil {
		return
	}
	r.Range = &Range{From: p.header.From, To: p.header.To, Next: t.Next}
	if t.Next != nil {
		r.note("it goes on at entry %d, in another file", *t.Next)
	}
	if n := r.Entries.Unread; n > 0 {
		r.note("%d entries are in the tree, in a form that this program does not know", n)
	}
	if p.span == nil {
		r.checked("each of the %d entries is in the log; whether others should be here, nothing says", r.Entries.Checked)
		under.compareKnown(r)
		return
	}
	end := p.header.To
	if t.Next != nil {
		end = *t.Next
	}
	if p.next != end {
		r.broken(p.next, end, "these entries are missing")
		return
	}
	consistency, err := audit.Hashes(t.Consistency)
	if err == nil {
		err = p.span.Check(p.tree, tlog.TreeProof(consistency))
	}
	if err != nil {
		r.broken(p.header.From, end, "one of these entries is not the one of the log: %v", err)
		return
	}
	r.Range.Complete = true
	r.checked("the entries from %d to %d are all there, and in this order", p.header.From, end)
	under.compareKnown(r)
}
