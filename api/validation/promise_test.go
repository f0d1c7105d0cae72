package validation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/api/validation"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
)

// weather is how the signer and the database of one run behave.
type weather struct {
	seed            uint64
	signer, feed    time.Duration // how long each may take, before and after it looks
	steady          bool          // whether the feed always takes as long
	broken          int           // polls that fail, out of a hundred
	commits, askers int
	outage          time.Duration // of the feed, in the middle
}

// registry is the committed status of some certificates: a version, which is
// the answer. Reading and answering take their time.
type registry struct {
	weather

	mu       sync.Mutex
	dice     *rand.Rand
	versions [3]int
	commits  [3][]time.Time // of each version
	changes  []ca.Change
	dark     bool
	asked    int // the signer
	told     int // whoever asked
}

func (r *registry) roll(n time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.dice.Int64N(int64(n) + 1))
}

func (r *registry) commit(certificate int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions[certificate]++
	r.commits[certificate] = append(r.commits[certificate], time.Now())
	r.changes = append(r.changes, ca.Change{Seq: int64(len(r.changes) + 1), Serial: fmt.Sprint(certificate)})
}

// due is the least version that may be told now.
func (r *registry) due(certificate int, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := 0
	for i, at := range r.commits[certificate] {
		if now.Sub(at) >= time.Second {
			due = i + 1
		}
	}
	return due
}

func (r *registry) OCSP(_ context.Context, request []byte) (ocsp.Answer, error) {
	time.Sleep(r.roll(r.signer))
	certificate := int(request[0] - '0')
	r.mu.Lock()
	r.asked++
	version, now := r.versions[certificate], time.Now()
	r.mu.Unlock()
	time.Sleep(r.roll(r.signer))
	return ocsp.Answer{
		DER: []byte{byte(version)}, Serial: fmt.Sprint(certificate), Cacheable: true, ThisUpdate: now, NextUpdate: now.Add(time.Hour),
	}, nil
}

func (*registry) TimeStamp(context.Context, []byte) ([]byte, error) { return nil, errors.New("none") }

// look takes time before and after the database is read, within the context.
func (r *registry) look(ctx context.Context, read func()) error {
	for _, step := range []func(){func() {}, read} {
		step()
		wait := r.feed
		if !r.steady {
			wait = r.roll(r.feed)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dark || r.dice.IntN(100) < r.broken {
		return errors.New("no database")
	}
	return nil
}

func (r *registry) LastCertificateChange(ctx context.Context) (last int64, err error) {
	err = r.look(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		last = int64(len(r.changes))
	})
	return last, err
}

func (r *registry) CertificateChanges(ctx context.Context, after int64) (changes []ca.Change, err error) {
	err = r.look(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		changes = slices.Clone(r.changes[after:])
	})
	return changes, err
}

func (*registry) AuthorityDER(context.Context, string) ([]byte, error) {
	return nil, errors.New("none")
}

func (*registry) RevocationList(context.Context, string) (ca.PublishedList, error) {
	return ca.PublishedList{}, errors.New("none")
}

// run lets some ask all the time while statuses change, and lists what was told
// too late.
func (r *registry) run(t *testing.T) (late []string) {
	t.Helper()
	const span = 20 * time.Second
	r.dice = rand.New(rand.NewPCG(r.seed, 0))
	desk, err := validation.New(validation.Config{
		Validation: r, Feed: r, Published: r, Limits: validation.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	must(t, err)
	handler := site(t, slog.New(slog.DiscardHandler), time.Now, desk.Room)
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { desk.Follow(ctx) })
	group.Go(func() {
		for range r.weather.commits {
			time.Sleep(r.roll(2 * span / time.Duration(r.weather.commits+1)))
			r.commit(int(r.roll(2)))
		}
	})
	group.Go(func() {
		time.Sleep(span / 3)
		r.set(true)
		time.Sleep(r.outage)
		r.set(false)
	})
	var mu sync.Mutex
	for range r.askers {
		group.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(r.roll(300 * time.Millisecond))
				certificate := int(r.roll(2))
				asked := time.Now()
				due := r.due(certificate, asked)
				w := post(handler, []byte(fmt.Sprint(certificate)))
				mu.Lock()
				r.told++
				if told := version(w); told < due {
					late = append(late, fmt.Sprintf("certificate %d at %v: got version %d, want %d", certificate, asked, told, due))
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return late
}

func (r *registry) set(dark bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dark = dark
}

// version is what an answer tells; to try later is as good as the newest.
func version(w *httptest.ResponseRecorder) int {
	if told := w.Body.Bytes(); len(told) == 1 {
		return int(told[0])
	}
	return 1 << 20
}

// TestPromise: who asks a second after a change is never told what was before,
// however long signer and database take, and whatever fails.
func TestPromise(t *testing.T) {
	asked, told := 0, 0
	live := func(w weather) (late []string) {
		synctest.Test(t, func(t *testing.T) {
			r := &registry{weather: w}
			late = r.run(t)
			asked, told = asked+r.asked, told+r.told
		})
		return late
	}
	for seed := range uint64(10) { // a feed that is only just fast enough
		for _, feed := range []time.Duration{250 * time.Millisecond, 390 * time.Millisecond} {
			if late := live(weather{seed: seed, feed: feed, steady: true, commits: 40, askers: 12}); len(late) > 0 {
				t.Fatalf("feed of %v: told too late:\n%v", feed, late)
			}
		}
	}
	span := func(most time.Duration) *rapid.Generator[time.Duration] {
		return rapid.Map(rapid.IntRange(0, int(most.Milliseconds())), func(n int) time.Duration { return time.Duration(n) * time.Millisecond })
	}
	rapid.Check(t, func(rt *rapid.T) {
		late := live(weather{
			seed: rapid.Uint64().Draw(rt, "seed"), signer: span(2500*time.Millisecond).Draw(rt, "signer"),
			feed: span(450*time.Millisecond).Draw(rt, "feed"), steady: rapid.Bool().Draw(rt, "steady"),
			broken: rapid.IntRange(0, 60).Draw(rt, "broken"), outage: span(5*time.Second).Draw(rt, "outage"),
			commits: rapid.IntRange(1, 40).Draw(rt, "commits"), askers: rapid.IntRange(1, 12).Draw(rt, "askers"),
		})
		if len(late) > 0 {
			rt.Fatalf("told too late:\n%v", late)
		}
	})
	if asked*2 > told {
		t.Errorf("the signer was asked %d times for %d answers, want most from memory", asked, told)
	}
}
