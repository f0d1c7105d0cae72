package signer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// season is the last months of some certificates and registrations, with
// services that look for whom to remind, now and then.
type season struct {
	*spine

	in       *insider
	random   *rand.Rand
	services int
	told     map[string]bool // keys by citizen, those that are covered too
	want     []string        // what is to be enqueued, as jobs reads it
	read     int64           // the last job that was read
	texts    []signer.Notice // enqueued and not sent
	sent     map[string]bool // identifiers of SMS
}

// people are those of a season, with their telephones.
func people() map[string]string {
	return map[string]string{ana: anaPhone, "00000000T": "600111422", "00000001R": "600111423", "00000002W": "600111424"}
}

// Whatever happens to citizens, and whenever and however often somebody looks,
// they are told just what the rules say, once, by mail and by SMS; no SMS rings
// at night, nor says what holds no longer.
func TestReminded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		gap      func(r *rand.Rand) time.Duration
		services int
		down     int // of a hundred steps, those in which no SMS is sent
	}{
		"every hours":  {func(*rand.Rand) time.Duration { return 3 * time.Hour }, 1, 0},
		"every day":    {func(*rand.Rand) time.Duration { return 25 * time.Hour }, 1, 50}, // at any hour of it
		"irregular":    {func(r *rand.Rand) time.Duration { return r.N(4 * day) }, 1, 30},
		"away, weeks":  {func(r *rand.Rand) time.Duration { return r.N(25 * day) }, 1, 80},
		"two services": {func(r *rand.Rand) time.Duration { return r.N(2 * day) }, 2, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			s := &season{
				spine: newSpine(t, signer.SealedKeeper), random: rand.New(rand.NewPCG(seed, 1)), services: c.services,
				told: map[string]bool{}, sent: map[string]bool{},
			}
			s.in = s.insider()
			s.module.Rules.CertificateYears = 1
			for dni, mobile := range people() {
				s.activate(dni, mobile)
				s.signs(dni, password)
				s.older(dni, 4*365*day-s.random.N(20*day))
				s.clock.advance(s.random.N(5 * day))
			}
			_, _ = s.jobs()
			s.clock.advance(255 * day)
			for end := s.clock.Now().Add(130 * day); s.clock.Now().Before(end); s.clock.advance(max(time.Minute, c.gap(s.random))) {
				s.happen()
				s.sweep()
				if s.random.N(100) >= c.down {
					s.deliver()
				}
			}
			s.deliver()
			if len(s.want) == 0 || len(s.sent) == 0 && c.down < 80 {
				t.Errorf("only %d reminders and %d SMS in a season", len(s.want), len(s.sent))
			}
			if n := s.count(`SELECT count(*) FROM reminders WHERE at > split_part(key, '/', 2)::timestamptz`); n != 0 {
				t.Errorf("%d reminders after the end", n)
			}
			if n := s.count(`SELECT count(*) FROM log_entries WHERE type = 'citizen.reminded'`); n != len(s.want) {
				t.Errorf("%d entries in the log, want %d", n, len(s.want))
			}
			s.invariants()
		})
	}
}

// happen does something to somebody, at times.
func (s *season) happen() {
	s.Helper()
	if s.random.N(100) >= 6 {
		return
	}
	dni := slices.Sorted(maps.Keys(people()))[s.random.N(len(people()))]
	id := s.identifier(dni)
	act := func(f func(context.Context, citizen.Identifier, citizen.Order) error) func() error {
		return func() error { return f(s.Context(), id, order()) }
	}
	what := []func() error{
		act(s.register.Block), act(s.register.Unblock), act(s.register.Suspend), act(s.register.Release),
		func() error { return s.register.Revoke(s.Context(), id, order(), citizen.KeyCompromise) },
		act(s.register.Deregister),
		func() error { return s.renewed(dni) }, func() error { return s.renewed(dni) }, func() error { return s.renewed(dni) },
		act(s.register.Unblock), act(s.register.Release),
	}
	err := what[s.random.N(len(what))]()
	if refusal := new(policies.Refusal); err != nil && !errors.As(err, &refusal) {
		s.Fatalf("something happened to %s: %v", dni, err)
	}
}

// older makes a registration older than it is, sealed as if it had always been.
func (s *spine) older(dni string, by time.Duration) {
	s.Helper()
	s.sql(`UPDATE registrations SET assured_at = assured_at - $2::interval WHERE citizen_id = $1`, s.citizen(dni), by)
	c, k, err := s.db.CitizenByIdentifier(s.Context(), dni)
	if err != nil {
		s.Fatal(err)
	}
	if err := s.db.SealRecord(s.Context(), must[signer.Change](s.T)(s.people.Change(s.Context(), c, k))); err != nil {
		s.Fatalf("sealing a citizen: %v", err)
	}
}

func (s *spine) renewed(dni string) error {
	session, err := s.identify("", dni, password)
	if err != nil {
		return err
	}
	if _, err := s.module.SendCode(s.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForCertificate}); err != nil {
		return err
	}
	_, err = s.module.IssueCredential(s.Context(), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code})
	return err
}

// due are the reminders of a citizen by the rules.
func (s *season) due(dni string) (string, []policies.Reminder) {
	s.Helper()
	c, k, err := s.db.CitizenByIdentifier(s.Context(), dni)
	if err != nil {
		s.Fatal(err)
	}
	return c.ID, policies.Reminders(signer.Facts(c, k, s.clock.Now()), s.module.Rules)
}

// sweep lets the services look, and compares what they enqueue.
func (s *season) sweep() {
	s.Helper()
	var want []string
	for dni := range people() {
		id, due := s.due(dni)
		for _, r := range due {
			if !s.told[id+r.Key()] {
				want = append(want, line(id, string(r.Kind), r.Days, r.Ends))
			}
			for _, key := range append(r.Covers(), r.Key()) {
				s.told[id+key] = true
			}
		}
	}
	var looking errgroup.Group
	for range s.services {
		looking.Go(func() error { return s.module.Remind(s.Context()) })
	}
	if err := looking.Wait(); err != nil {
		s.Fatalf("looking: %v", err)
	}
	mails, texts := s.jobs()
	slices.Sort(want)
	if diff := cmp.Diff(want, mails); diff != "" && len(want)+len(mails) > 0 {
		s.Fatalf("at %v, by mail (-want +got):\n%s", s.clock.Now(), diff)
	}
	if diff := cmp.Diff(want, texts); diff != "" && len(want)+len(texts) > 0 {
		s.Fatalf("at %v, by SMS (-want +got):\n%s", s.clock.Now(), diff)
	}
	s.want = append(s.want, want...)
}

func line(id, kind string, days int, ends time.Time) string {
	return fmt.Sprint(id, " ", kind, " ", days, " ", ends.UTC().Format(time.RFC3339))
}

// jobs reads the reminders that were enqueued since.
func (s *season) jobs() (mails, texts []string) {
	s.Helper()
	rows, err := s.in.Query(s.Context(), `
		SELECT id, kind, args->>'template', args->>'citizen_id', coalesce((args->>'days')::integer, 0), coalesce((args->>'ends')::timestamptz, 'epoch'), scheduled_at
		FROM river_job WHERE id > $1 ORDER BY id`, s.read)
	if err != nil {
		s.Fatal(err)
	}
	var (
		kind      string
		n         signer.Notice
		scheduled time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&s.read, &kind, &n.Kind, &n.CitizenID, &n.Days, &n.Ends, &scheduled}, func() error {
		switch {
		case kind == "text":
			texts = append(texts, line(n.CitizenID, n.Kind, n.Days, n.Ends))
			s.texts = append(s.texts, n)
			if hour := scheduled.In(s.module.Rules.Zone).Hour(); hour < 9 || hour >= 21 {
				s.Errorf("an SMS is to be sent at %v", scheduled)
			}
		case n.Days > 0:
			mails = append(mails, line(n.CitizenID, n.Kind, n.Days, n.Ends))
		}
		return nil
	})
	if err != nil {
		s.Fatal(err)
	}
	slices.Sort(mails)
	slices.Sort(texts)
	return mails, texts
}

// deliver sends the SMS that wait, as late as it may be.
func (s *season) deliver() {
	s.Helper()
	hour := s.clock.Now().In(s.module.Rules.Zone).Hour()
	var later []signer.Notice
	for _, n := range s.texts {
		before := len(s.phone.reminded)
		err := s.module.Text(s.Context(), n)
		if night := new(signer.LaterError); errors.As(err, &night) {
			if hour >= 9 && hour < 21 || !night.At.After(s.clock.Now()) || night.At.Sub(s.clock.Now()) > 13*time.Hour {
				s.Errorf("at %v: %v", s.clock.Now(), err)
			}
			later = append(later, n)
			continue
		}
		if err != nil {
			s.Fatalf("sending: %v", err)
		}
		for _, m := range s.phone.reminded[before:] {
			if hour < 9 || hour >= 21 {
				s.Errorf("a telephone rang at %v", s.clock.Now())
			}
			if s.sent[m.ID] {
				s.Errorf("sent twice: %+v", n)
			}
			s.sent[m.ID] = true
			if !s.holds(n) {
				s.Errorf("at %v: %+v does not hold", s.clock.Now(), n)
			}
		}
	}
	s.texts = later
}

// holds is whether the rules would say just that now.
func (s *season) holds(n signer.Notice) bool {
	s.Helper()
	for dni := range people() {
		id, due := s.due(dni)
		if id == n.CitizenID {
			return slices.ContainsFunc(due, func(r policies.Reminder) bool {
				return string(r.Kind) == n.Kind && r.Days == n.Days && r.Ends.Equal(n.Ends)
			})
		}
	}
	return false
}
