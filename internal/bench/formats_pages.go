package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
)

// pages signs documents of few and of many pages. When one comes, it has to be
// looked through once, page by page: what is hidden in it must be found before
// anybody sees it. Preparing should add little to that, and the signature nothing
// but the hash of the octets.
func (f *Formats) pages(ctx context.Context) ([]Figure, error) {
	p, err := f.office.citizen()
	if err != nil {
		return nil, err
	}
	var figures []Figure
	for _, kind := range []struct {
		name   string
		packed bool
	}{{"classic", false}, {"packed", true}} {
		more, err := f.pagesOf(ctx, p, kind.name, kind.packed)
		if err != nil {
			return nil, err
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

// read is what a document of some size took, in milliseconds, by round.
type read struct {
	work
	pages                            int
	prepare, inspect, complete, hash []float64
}

func (f *Formats) pagesOf(ctx context.Context, p *pen, name string, packed bool) ([]Figure, error) {
	var all []*read
	for _, n := range []int{1, 352, 1000} {
		original, err := book{pages: n, packed: packed}.held()
		if err != nil {
			return nil, err
		}
		r := &read{original: original, options: options(), pages: n}
		if err := f.proven(ctx, p, r.work); err != nil {
			return nil, fmt.Errorf("signing %d pages: %w", n, err)
		}
		if err := p.prepare(&r.work); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	for range f.Rounds {
		for _, r := range all {
			if err := r.round(p); err != nil {
				return nil, err
			}
		}
	}
	one := all[0]
	figures := []Figure{info("formats/pages_"+name+"_1_complete", median(one.complete), "ms")}
	for _, r := range all {
		limit := make([]float64, len(r.hash))
		for i := range limit {
			limit[i] = one.complete[i] + r.hash[i]
		}
		at := fmt.Sprintf("formats/pages_%s_%d", name, r.pages)
		figures = append(figures,
			info(at+"_inspect", median(r.inspect), "ms"),
			info(at+"_prepare", median(r.prepare), "ms"))
		if r.pages > 1 {
			figures = append(figures,
				info(at+"_prepare_over_1", median(ratios(r.prepare, one.prepare)), "ratio"),
				// A quarter is what a document may take more for being signed
				// than for being shown.
				below(at+"_prepare_over_inspect", median(ratios(r.prepare, r.inspect)), 0.25, "ratio"),
				// That of one page, and the hash of so many octets; the rest is
				// for caches that fewer octets fit into.
				below(at+"_complete_over_1_and_hash", median(ratios(r.complete, limit)), 1.5, "ratio"))
		}
	}
	return figures, nil
}

func (r *read) round(p *pen) error {
	for _, act := range []struct {
		n    int
		took *[]float64
		do   func() error
	}{
		{5, &r.prepare, func() error { w := r.work; return p.prepare(&w) }},
		{2, &r.inspect, func() error { return inspected(r.original) }},
		{50, &r.complete, func() error { return p.complete(&r.work) }},
		{50, &r.hash, func() error { _ = sha256.Sum256(r.original); return nil }},
	} {
		one, err := spentBy(act.n, times(act.n, act.do))
		if err != nil {
			return err
		}
		*act.took = append(*act.took, 1000*one)
	}
	return nil
}

// complete is all that follows on preparing, but for writing the document out.
func (p *pen) complete(w *work) error {
	for _, s := range stages()[1:] {
		if s.name == "embed" {
			return w.layout.Embed(w.update, w.cms)
		}
		if err := s.do(p, w); err != nil {
			return fmt.Errorf("signing a PDF, %s: %w", s.name, err)
		}
	}
	return nil
}
