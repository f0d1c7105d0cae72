package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/online"
)

// mostPerTurn is how many certificates are asked about in a round, each for the
// first time: the public side remembers answers itself. There are fewer only if
// the smallest database has not so many.
const mostPerTurn = 250

// registry is a town whose authority has issued many certificates.
type registry struct {
	*town

	size      int
	perTurn   int
	authority *online.CA
	press     press
	asker     asker
	known     []string // serials with an answer kept, not asked about yet
	others    []string // serials not asked about yet

	kept, again, signed, lists spending
	bytes                      int // of the largest list
}

// registered asks for answers, and publishes all lists, in databases that differ
// in nothing but how many certificates they hold, in turns.
func (c *CA) registered(ctx context.Context, s *server) ([]Figure, error) {
	rounds := 2*c.Rounds + 1
	perTurn := min(mostPerTurn, c.scales()[0]/2/(rounds+1))
	later, err := s.hurry(ctx)
	if err != nil {
		return nil, err
	}
	var all []*registry
	for _, size := range c.scales() {
		r, err := s.register(ctx, size, perTurn*(rounds+1))
		if err != nil {
			return nil, fmt.Errorf("filling a database with %d certificates: %w", size, err)
		}
		defer r.abandon()
		r.perTurn = perTurn
		all = append(all, r)
	}
	if err := later(); err != nil {
		return nil, err
	}
	if err := s.checkpoint(ctx); err != nil {
		return nil, err
	}
	for round := range rounds + 1 {
		for _, r := range all {
			if err := r.round(ctx, round > 0); err != nil {
				return nil, fmt.Errorf("among %d certificates: %w", r.size, err)
			}
		}
		// Each is first, second and last equally often.
		all = append(all[1:], all[0])
	}
	slices.SortFunc(all, func(a, b *registry) int { return a.size - b.size })
	largest := all[len(all)-1]
	scans, err := largest.scans(ctx, "ca/ocsp_sequential_scans", largest.size)
	if err != nil {
		return nil, err
	}
	return append(compareRegistries(all),
		below("ca/crl_shard_bytes", float64(largest.bytes), 1e6, "bytes"),
		scans), nil
}

func compareRegistries(all []*registry) []Figure {
	flat := func(name string, ratio float64) Figure { return below(name, ratio, 1.20, "ratio") }
	var figures []Figure
	for _, kind := range []struct {
		name string
		of   func(*registry) spending
	}{
		{"ca/ocsp_scale_kept", func(r *registry) spending { return r.kept }},
		// Of a large database most pages are met for the first time: what is left
		// when they are not is the search alone.
		{"ca/ocsp_scale_kept_again", func(r *registry) spending { return r.again }},
		{"ca/ocsp_scale_signed", func(r *registry) spending { return r.signed }},
	} {
		var spendings []spending
		for _, r := range all {
			spendings = append(spendings, kind.of(r))
		}
		figures = append(figures, against(kind.name, spendings, flat)...)
	}
	for _, r := range all {
		name := fmt.Sprintf("ca/crl_set_%d", r.size)
		each := median(ratios(r.lists.cpu, all[0].lists.cpu)) * float64(all[0].size) / float64(r.size)
		figures = append(figures,
			info(name+"_cpu", 1000*median(r.lists.cpu), "ms"),
			info(name+"_wall", 1000*median(r.lists.wall), "ms"),
			below(name+"_per_certificate", each, 1.30, "ratio"))
	}
	return figures
}

// register makes such a town; so many certificates are going to be asked about
// of either kind.
func (s *server) register(ctx context.Context, size, asked int) (*registry, error) {
	t, err := s.found(ctx, fmt.Sprintf("registry_%d", size), cheap())
	if err != nil {
		return nil, err
	}
	r := &registry{town: t, size: size}
	for _, one := range []*spending{&r.kept, &r.again, &r.signed, &r.lists} {
		one.size = size
	}
	if _, err := t.enrol(ctx); err != nil {
		return nil, fmt.Errorf("enrolling: %w", err)
	}
	if r.authority, err = t.authority(ctx); err != nil {
		return nil, err
	}
	issuing, err := t.issuing(ctx)
	if err != nil {
		return nil, err
	}
	r.press = press{town: t, sign: issuing.CRL}
	if r.asker, err = newAsker(issuing.Certificate); err != nil {
		return nil, err
	}
	f, err := newFilling(ctx, t)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.conn.Close(ctx) }()
	serials, err := f.certify(ctx, spread(size, time.Now()))
	if err != nil {
		return nil, err
	}
	r.known, r.others = serials[:asked], serials[asked:2*asked]
	if err := r.ask(ctx, r.known, false); err != nil {
		return nil, err
	}
	return r, f.finish(ctx)
}

// ask asks about certificates; whoever sends a nonce wants an answer signed for
// him.
func (r *registry) ask(ctx context.Context, serials []string, nonce bool) error {
	for _, serial := range serials {
		var sent []byte
		if nonce {
			sent = make([]byte, 16)
			rand.Read(sent)
		}
		request, err := r.asker.request(serial, sent)
		if err != nil {
			return err
		}
		if err := answered(r.authority.OCSP(ctx, request)); err != nil {
			return err
		}
	}
	return nil
}

func (r *registry) round(ctx context.Context, counts bool) error {
	known, others := r.known[:r.perTurn], r.others[:r.perTurn]
	r.known, r.others = r.known[r.perTurn:], r.others[r.perTurn:]
	for _, kind := range []struct {
		spending *spending
		serials  []string
		nonce    bool
	}{{&r.kept, known, false}, {&r.again, known, false}, {&r.signed, others, true}} {
		one, err := spend(r.perTurn, func() error { return r.ask(ctx, kind.serials, kind.nonce) })
		if err != nil {
			return err
		}
		if counts {
			kind.spending.add(one)
		}
	}
	set, err := spend(1, func() error { return r.publish(ctx) })
	if counts && err == nil {
		r.lists.add(set)
	}
	return err
}

// publish makes all lists anew, as the signer does twice a day.
func (r *registry) publish(ctx context.Context) error {
	shards, err := r.db.Shards(ctx, time.Now())
	if err != nil {
		return fmt.Errorf("reading which lists there are: %w", err)
	}
	for _, shard := range shards {
		size, err := r.press.publish(ctx, shard)
		if err != nil {
			return err
		}
		r.bytes = max(r.bytes, size)
	}
	return nil
}

// press publishes lists though nothing has changed.
type press struct {
	*town

	sign func(ca.List) ([]byte, error)
}

// publish returns how large the list is.
func (p press) publish(ctx context.Context, shard ca.Shard) (size int, err error) {
	publisher := ca.Publisher{
		Shard: shard.Name, Address: base + "/ca/" + shard.Name + ".crl", Ends: shard.Ends, Lists: p.db, Life: 7 * 24 * time.Hour, Now: time.Now,
		Sign: func(l ca.List) ([]byte, error) {
			der, err := p.sign(l)
			size = len(der)
			return der, err
		},
	}
	published, err := publisher.Publish(ctx)
	if err == nil && !published {
		err = fmt.Errorf("list %s was not published", shard.Name)
	}
	return size, err
}
