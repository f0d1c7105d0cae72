package policies

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// certificateOnly are the default rules without reminders of the registration.
func certificateOnly() Rules {
	r := DefaultRules()
	r.RegistrationReminders = nil
	return r
}

func TestRemindersToTheSecond(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ ends, first string }{
		"an ordinary day":        {"2026-12-31 12:00:00", "2026-11-01 00:00:00"},
		"clocks go forward":      {"2026-04-15 00:30:00", "2026-02-14 00:00:00"},
		"clocks go back":         {"2026-11-20 23:30:00", "2026-09-21 00:00:00"},
		"due when they change":   {"2026-05-28 12:00:00", "2026-03-29 00:00:00"},
		"over a leap day":        {"2028-04-29 12:00:00", "2028-02-29 00:00:00"},
		"New Year here, not UTC": {"2027-01-01 00:30:00", "2026-11-02 00:00:00"},
	} {
		r := certificateOnly()
		f := certified(at(t, tc.first))
		f.Certificate.NotAfter = at(t, tc.ends)
		want := []Reminder{{Kind: RemindCertificate, Days: 60, Ends: at(t, tc.ends)}}
		if diff := cmp.Diff(want, Reminders(f, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		f.Now = f.Now.Add(-time.Second)
		if got := Reminders(f, r); got != nil {
			t.Errorf("%s, a second earlier: got %v, want none", name, got)
		}
	}
}

func TestReminders(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-03-10 12:00:00")
	in := func(days int) time.Time { return now.AddDate(0, 0, days) }
	for name, tc := range map[string]struct {
		change func(*Facts, *Rules)
		want   []string // kind and days
	}{
		"far from any end":       {func(*Facts, *Rules) {}, nil},
		"60 days":                {func(f *Facts, _ *Rules) { f.Certificate.NotAfter = in(60) }, []string{"certificate_expires 60 []"}},
		"31 days":                {func(f *Facts, _ *Rules) { f.Certificate.NotAfter = in(31) }, []string{"certificate_expires 60 []"}},
		"30 days, 60 passed":     {func(f *Facts, _ *Rules) { f.Certificate.NotAfter = in(30) }, []string{"certificate_expires 30 [60]"}},
		"the last day":           {func(f *Facts, _ *Rules) { f.Certificate.NotAfter = now }, []string{"certificate_expires 7 [60 30]"}},
		"expired":                {func(f *Facts, _ *Rules) { f.Certificate.NotAfter = now.Add(-time.Nanosecond) }, nil},
		"suspended":              {func(f *Facts, _ *Rules) { f.Certificate.NotAfter, f.Certificate.Suspended = in(5), true }, []string{"certificate_expires 7 [60 30]"}},
		"revoked":                {func(f *Facts, _ *Rules) { f.Certificate.NotAfter, f.Certificate.RevokedAt = in(5), now }, nil},
		"not valid yet":          {func(f *Facts, _ *Rules) { f.Certificate.NotAfter, f.Certificate.NotBefore = in(5), in(1) }, nil},
		"blocked":                {func(f *Facts, _ *Rules) { f.Certificate.NotAfter, f.Status = in(5), StatusBlocked }, nil},
		"deregistered":           {func(f *Facts, _ *Rules) { f.Certificate.NotAfter, f.Status = in(5), StatusDeregistered }, nil},
		"not activated":          {func(f *Facts, _ *Rules) { f.Certificate.NotAfter, f.Status = in(5), StatusRegistered }, nil},
		"registration, 90 days":  {func(f *Facts, _ *Rules) { f.Registration.AssuredAt = in(90).AddDate(-5, 0, 0) }, []string{"registration_ages 90 []"}},
		"registration, last day": {func(f *Facts, _ *Rules) { f.Registration.AssuredAt = now.AddDate(-5, 0, 0).Add(1) }, []string{"registration_ages 7 [90 30]"}},
		"registration, too old":  {func(f *Facts, _ *Rules) { f.Registration.AssuredAt = now.AddDate(-5, 0, 0) }, nil},
		"registration, basic": {func(f *Facts, _ *Rules) {
			f.Registration = Registration{ModeLetter, LevelBasic, in(9).AddDate(-5, 0, 0)}
		}, nil},
		"registration on line": {func(f *Facts, _ *Rules) {
			f.Registration = Registration{ModeCertificate, LevelAdvanced, in(9).AddDate(-5, 0, 0)}
		}, nil},
		"registration, no key": {func(f *Facts, _ *Rules) { f.Certificate, f.Registration.AssuredAt = nil, in(9).AddDate(-5, 0, 0) }, []string{"registration_ages 30 [90]"}},
		"both": {func(f *Facts, _ *Rules) {
			f.Certificate.NotAfter, f.Registration.AssuredAt = in(9), in(9).AddDate(-5, 0, 0)
		}, []string{"certificate_expires 30 [60]", "registration_ages 30 [90]"}},
		"thresholds in disorder": {func(f *Facts, r *Rules) { f.Certificate.NotAfter, r.CertificateReminders = in(5), []int{30, 7, 60} }, []string{"certificate_expires 7 [30 60]"}},
		"on line, by age": {func(f *Facts, r *Rules) {
			r.Reading, f.Registration = ReadingAge, Registration{ModeCertificate, LevelAdvanced, in(9).AddDate(-5, 0, 0)}
		}, []string{"registration_ages 30 [90]"}},
		"a threshold twice":       {func(f *Facts, r *Rules) { f.Certificate.NotAfter, r.CertificateReminders = in(5), []int{30, 30} }, []string{"certificate_expires 30 []"}},
		"rules without reminders": {func(f *Facts, r *Rules) { f.Certificate.NotAfter, r.CertificateReminders = in(5), nil }, nil},
	} {
		f, r := certified(now), DefaultRules()
		tc.change(&f, &r)
		var got []string
		for _, reminder := range Reminders(f, r) {
			got = append(got, fmt.Sprint(reminder.Kind, " ", reminder.Days, " ", reminder.Passed))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestReminderKeys(t *testing.T) {
	t.Parallel()
	reminder := Reminder{Kind: RemindCertificate, Days: 7, Ends: at(t, "2026-07-01 12:00:00"), Passed: []int{60, 30}}
	if got, want := reminder.Key(), "certificate_expires/2026-07-01T10:00:00Z/7"; got != want {
		t.Errorf("Key: got %q, want %q", got, want)
	}
	want := []string{"certificate_expires/2026-07-01T10:00:00Z/60", "certificate_expires/2026-07-01T10:00:00Z/30"}
	if diff := cmp.Diff(want, reminder.Covers()); diff != "" {
		t.Errorf("Covers (-want +got):\n%s", diff)
	}
}

// Whenever somebody looks, and whatever the clock does meanwhile, a citizen is
// told exactly once at each threshold whose days somebody looked in, of the most
// urgent alone, never again of an earlier one, and never after the end.
func TestRemindedExactlyOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := DefaultRules()
		f := drawFacts(t)
		f.Status, f.Registration.Mode, f.Registration.Level = StatusActive, ModeOffice, LevelAdvanced
		if rapid.Bool().Draw(t, "same end") || f.Certificate == nil {
			f.Certificate = &Certificate{NotAfter: r.anniversary(f.Registration.AssuredAt, 5).Add(-time.Second)}
		}
		f.Certificate.RevokedAt, f.Certificate.NotBefore = time.Time{}, time.Time{}
		ends := map[ReminderKind]time.Time{
			RemindCertificate: f.Certificate.NotAfter, RemindRegistration: r.anniversary(f.Registration.AssuredAt, 5),
		}
		thresholds := map[ReminderKind][]int{RemindCertificate: {60, 30, 7}, RemindRegistration: {90, 30, 7}}

		sent, done := map[string]int{}, map[string]bool{}
		expected := map[string]bool{}
		for _, hours := range rapid.SliceOfN(rapid.IntRange(-120*24, 48), 1, 60).Draw(t, "sweeps") {
			f.Now = ends[rapid.SampledFrom([]ReminderKind{RemindCertificate, RemindRegistration}).Draw(t, "about")].Add(time.Duration(hours) * time.Hour)
			for kind, end := range ends {
				if key := mostUrgent(f.Now, kind, end, thresholds[kind]); key != "" && !done[key] {
					expected[key] = true
				}
			}
			for _, reminder := range Reminders(f, r) {
				if f.Now.After(reminder.Ends) {
					t.Fatalf("reminded at %v of what ended at %v", f.Now, reminder.Ends)
				}
				if !done[reminder.Key()] {
					sent[reminder.Key()]++
				}
				for _, key := range append(reminder.Covers(), reminder.Key()) {
					done[key] = true
				}
			}
		}
		want := map[string]int{}
		for key := range expected {
			want[key] = 1
		}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Fatalf("sent (-want +got):\n%s", diff)
		}
	})
}

// mostUrgent counts days in another way than the rules do: by their dates.
func mostUrgent(now time.Time, kind ReminderKind, end time.Time, thresholds []int) string {
	date := func(t time.Time) time.Time {
		y, m, d := t.In(madrid()).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	if now.After(end) || kind == RemindRegistration && !now.Before(end) {
		return ""
	}
	left := int(date(end).Sub(date(now)).Hours() / 24)
	slices.Sort(thresholds)
	for _, days := range thresholds {
		if left <= days {
			return fmt.Sprintf("%s/%s/%d", kind, end.UTC().Format(time.RFC3339), days)
		}
	}
	return ""
}

// The day on which a citizen is first told to renew is one on which they can.
func TestFirstReminderFindsTheWindowOpen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, r := drawCertified(t), DefaultRules()
		due := slices.ContainsFunc(Reminders(f, r), func(m Reminder) bool { return m.Kind == RemindCertificate })
		if open := !f.Now.Before(Preflight(f, r).RenewalFrom); due && !open {
			t.Errorf("reminded at %v, before the window", f.Now)
		}
	})
}

func TestDaytime(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ at, want string }{
		"by day":                     {"2026-03-10 12:00:00", "2026-03-10 12:00:00"},
		"nine o'clock":               {"2026-03-10 09:00:00", "2026-03-10 09:00:00"},
		"a second before":            {"2026-03-10 08:59:59", "2026-03-10 09:00:00"},
		"the last second":            {"2026-03-10 20:59:59", "2026-03-10 20:59:59"},
		"nine at night":              {"2026-03-10 21:00:00", "2026-03-11 09:00:00"},
		"midnight":                   {"2026-03-10 00:00:00", "2026-03-10 09:00:00"},
		"New Year's Eve":             {"2026-12-31 23:30:00", "2027-01-01 09:00:00"},
		"before the leap day":        {"2028-02-28 22:00:00", "2028-02-29 09:00:00"},
		"the night clocks go ahead":  {"2026-03-28 22:00:00", "2026-03-29T07:00:00Z"},
		"the night clocks go back":   {"2026-10-24 22:00:00", "2026-10-25T08:00:00Z"},
		"the hour that comes twice":  {"2026-10-25T01:30:00Z", "2026-10-25T08:00:00Z"},
		"seven in London, by summer": {"2026-07-10T07:00:00Z", "2026-07-10T07:00:00Z"},
	} {
		if got, want := DefaultRules().Daytime(at(t, tc.at)), at(t, tc.want); !got.Equal(want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
