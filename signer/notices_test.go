package signer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/signer"
)

// Each signature is told in the way that its citizen wants, the SMS with the
// reference of what was signed.
func TestSignaturesAreToldAsWanted(t *testing.T) {
	t.Parallel()
	for wanted, want := range map[signer.Notices][2]int{ // mails, texts
		signer.NoticesMail: {1, 0}, signer.NoticesSMS: {0, 1}, signer.NoticesBoth: {1, 1}, signer.NoticesNone: {0, 0},
	} {
		t.Run(string(wanted), func(t *testing.T) {
			t.Parallel()
			s := newSpine(t, signer.SealedKeeper)
			s.activate(ana, anaPhone)
			s.prefers(ana, wanted)
			s.signs(ana, password)
			in := s.insider()
			jobs := func(kind string) string {
				return in.text(fmt.Sprintf(`SELECT count(*)::text FROM river_job WHERE kind = '%s' AND args->>'template' = 'document_signed'`, kind))
			}
			if got, want := [2]string{jobs("notice"), jobs("text")}, [2]string{fmt.Sprint(want[0]), fmt.Sprint(want[1])}; got != want {
				t.Errorf("got %s mails and %s texts, want %s and %s", got[0], got[1], want[0], want[1])
			}
			if want[1] == 0 {
				return
			}
			s.worksTexts(func() bool { return jobsLeft(s) == "0" })
			title := in.text(`SELECT title FROM requests`)
			s.phone.mu.Lock()
			defer s.phone.mu.Unlock()
			if len(s.phone.told) != 1 {
				t.Fatalf("told %+v, want one SMS", s.phone.told)
			}
			told := s.phone.told[0]
			if told.Phone != "+34"+anaPhone || told.Title != title || len(told.Reference) != 4 {
				t.Errorf("told %+v, want %q to +34%s with its reference", told, title, anaPhone)
			}
		})
	}
}

// prefers makes a citizen want to be told in a way, sealed as if it had always
// been so.
func (s *spine) prefers(dni string, wanted signer.Notices) {
	s.Helper()
	s.sql(`UPDATE citizens SET notices = $2 WHERE identifier = $1`, dni, wanted)
	c, k, err := s.db.CitizenByIdentifier(s.Context(), dni)
	if err != nil {
		s.Fatalf("reading a citizen: %v", err)
	}
	change := must[signer.Change](s.T)(s.people.Change(s.Context(), c, k))
	if err := s.db.SealRecord(s.Context(), change); err != nil {
		s.Fatalf("sealing a citizen: %v", err)
	}
}

func jobsLeft(s *spine) string {
	return s.insider().text(`SELECT count(*)::text FROM river_job WHERE kind = 'text' AND state <> 'completed'`)
}

// worksTexts works the signer's queue until it is done.
func (s *spine) worksTexts(done func() bool) {
	s.Helper()
	ctx, stop := context.WithCancel(s.Context())
	var working sync.WaitGroup
	working.Go(func() { _ = s.db.DeliverTexts(ctx, s.journal.logger(), s.module.Text) })
	defer working.Wait()
	defer stop()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatal("the queue is not worked")
		}
	}
}

// Of a replaced mobile the former one is told, at once and at any hour.
func TestFormerMobileIsTold(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	local := s.clock.Now().In(s.module.Rules.Zone)
	s.module.Rules.DayBegins, s.module.Rules.DayEnds = (local.Hour()+2)%24, (local.Hour()+2)%24 // it is night
	id := s.insider().text(`SELECT id FROM citizens`)
	for _, n := range []signer.Notice{
		{Kind: "phone_changed", CitizenID: id, Former: "+34600999888"},
		{Kind: "email_changed", CitizenID: id, Former: "x@example.es"},
		{Kind: "incident_opened", CitizenID: id},
		{Kind: "letter_requested", CitizenID: id},
	} {
		if err := s.module.Text(t.Context(), n); err != nil {
			t.Fatalf("%s: %v", n.Kind, err)
		}
	}
	got := map[string]string{}
	for _, told := range s.phone.told {
		got[told.Kind] = told.Phone
	}
	now := "+34" + anaPhone
	want := map[string]string{"phone_changed": "+34600999888", "email_changed": now, "incident_opened": now, "letter_requested": now}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told differs (-want +got):\n%s", diff)
	}
}
