package signer_test

import (
	"context"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// always makes a citizen's certificate one that ends soon, at any hour of the
// day.
func (s *spine) always() {
	s.Helper()
	s.module.Rules.CertificateReminders, s.module.Rules.RegistrationReminders = []int{2000}, nil
	s.module.Rules.DayBegins, s.module.Rules.DayEnds = 0, 24
}

// What is enqueued is delivered once each, though two signers and two mailers
// work, and though the operator does not answer at first.
func TestRemindersAreDelivered(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.always()
	s.activate(ana, anaPhone)
	s.signs(ana, password)
	var mu sync.Mutex
	mails := map[string]int{}
	mail := func(_ context.Context, n signer.Notice) error {
		mu.Lock()
		defer mu.Unlock()
		mails[n.Kind]++
		return nil
	}
	s.phone.dead = true
	tried := make(chan struct{}, 100)
	text := func(ctx context.Context, n signer.Notice) error {
		defer func() { tried <- struct{}{} }()
		return s.module.Text(ctx, n)
	}
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for range 2 {
		signing, public := open(t, s.database.Signer), open(t, s.database.API)
		working.Go(func() { _ = signing.DeliverTexts(ctx, s.journal.logger(), text) })
		working.Go(func() { _ = public.Work(ctx, s.journal.logger(), store.Duties{Deliver: mail}) })
	}
	defer working.Wait()
	defer stop()
	for range 3 {
		if err := s.module.Remind(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.sql(`UPDATE river_job SET scheduled_at = now() WHERE kind = 'text'`) // its time is this test's
	args := s.insider().text(`SELECT string_agg(args::text || ' ' || coalesce(metadata::text, ''), ' ') FROM river_job`)
	if found := regexp.MustCompile(`600111421|12345678|Núñez|example\.es|` + password).FindString(args); found != "" {
		t.Errorf("jobs hold %q: %s", found, args)
	}
	select {
	case <-tried:
	case <-time.After(time.Minute):
		t.Fatalf("nobody tried: %s", s.insider().text(`SELECT string_agg(to_jsonb(j)::text, ', ') FROM river_job j`))
	}
	s.phone.mu.Lock()
	s.phone.dead = false
	s.phone.mu.Unlock()
	in := s.insider()
	done := func() bool { return in.text(`SELECT count(*)::text FROM river_job WHERE state <> 'completed'`) == "0" }
	for end := time.Now().Add(time.Minute); !done() && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	if err := s.module.Remind(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !done() {
		t.Errorf("jobs that are not done: %s", s.insider().text(`SELECT string_agg(kind || ' ' || state || ' ' || args::text, ', ') FROM river_job WHERE state <> 'completed'`))
	}
	s.phone.mu.Lock()
	defer s.phone.mu.Unlock()
	if len(s.phone.reminded) != 1 || s.phone.reminded[0].Phone != "+34"+anaPhone {
		t.Errorf("sent %+v, want one SMS", s.phone.reminded)
	}
	mu.Lock()
	defer mu.Unlock()
	if mails["certificate_expires"] != 1 {
		t.Errorf("mailed %v, want one reminder", mails)
	}
}

// An SMS that comes to be sent at night waits for the day, which costs it none of
// its tries.
func TestTextsWaitForTheDay(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.always()
	s.activate(ana, anaPhone)
	s.signs(ana, password)
	if err := s.module.Remind(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.sql(`UPDATE river_job SET scheduled_at = now() WHERE kind = 'text'`) // its time is this test's
	local := s.clock.Now().In(s.module.Rules.Zone)
	s.module.Rules.DayBegins, s.module.Rules.DayEnds = (local.Hour()+2)%24, (local.Hour()+2)%24 // there is no day but its first moment
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() { _ = s.db.DeliverTexts(ctx, s.journal.logger(), s.module.Text) })
	defer working.Wait()
	defer stop()
	in := s.insider()
	waits := func() bool {
		return in.text(`SELECT count(*)::text FROM river_job WHERE kind = 'text' AND state = 'scheduled' AND scheduled_at > now() + interval '30 minutes'
			AND scheduled_at < now() + interval '26 hours' AND metadata->>'snoozes' = '1' AND errors IS NULL AND max_attempts - attempt = 25`) == "1"
	}
	for end := time.Now().Add(time.Minute); !waits() && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	if !waits() || len(s.phone.reminded) != 0 {
		t.Errorf("sent %d; jobs: %s", len(s.phone.reminded), s.insider().text(`SELECT string_agg(to_jsonb(j)::text, ', ') FROM river_job j WHERE kind = 'text'`))
	}
}

// Whoever has renewed, or is gone, before the SMS leaves is not told.
func TestTextsThatHoldNoLonger(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(s *spine) error{
		"renewed":      func(s *spine) error { return s.renewed(ana) },
		"revoked":      func(s *spine) error { return s.register.Revoke(s.Context(), s.identifier(ana), order(), 1) },
		"blocked":      func(s *spine) error { return s.register.Block(s.Context(), s.identifier(ana), order()) },
		"deregistered": func(s *spine) error { return s.register.Deregister(s.Context(), s.identifier(ana), order()) },
		"expired":      func(s *spine) error { s.clock.advance(61 * day); return nil },
		"nearer":       func(s *spine) error { s.clock.advance(40 * day); return nil },
		"nothing":      func(*spine) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpine(t, signer.SealedKeeper)
			s.module.Rules.CertificateYears = 1
			s.module.Rules.DayBegins, s.module.Rules.DayEnds = 0, 24
			s.activate(ana, anaPhone)
			s.signs(ana, password)
			s.until(59 * day)
			if err := s.module.Remind(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, k := s.record()
			n := signer.Notice{Kind: string(policies.RemindCertificate), CitizenID: s.citizen(ana), Days: 60, Ends: k.Certificate.NotAfter}
			if got := s.count(`SELECT count(*) FROM river_job WHERE kind = 'text' AND args->>'days' = '60'`); got != 1 {
				t.Fatalf("%d SMS are enqueued, want 1", got)
			}
			s.well(name, act(s))
			if err := s.module.Text(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			if got, want := len(s.phone.reminded) == 1, name == "nothing"; got != want {
				t.Errorf("sent %t, want %t", got, want)
			}
		})
	}
}
