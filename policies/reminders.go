package policies

import (
	"fmt"
	"time"
)

// ReminderKind is what a citizen is reminded of.
type ReminderKind string

// What citizens are reminded of.
const (
	RemindCertificate  ReminderKind = "certificate_expires"
	RemindRegistration ReminderKind = "registration_ages" // from then on it carries no new certificate
)

// Reminder is a notice that is due.
type Reminder struct {
	Kind ReminderKind
	// Days is the threshold that has been reached, one of the rules' numbers.
	// Less may be left: whoever tells the citizen names the day of Ends.
	Days int
	// Ends is what the citizen is reminded of: the certificate's last moment,
	// or the registration's anniversary.
	Ends time.Time
	// Passed are the earlier thresholds. They count as done with this one,
	// whether a notice was sent at them or not.
	Passed []int
}

// Key names the notice among all of one citizen: whoever keeps the keys of what
// was sent sends each once. A renewed certificate or registration has keys of
// its own.
func (r Reminder) Key() string { return r.key(r.Days) }

// Covers are the keys of the thresholds that are done with this notice.
func (r Reminder) Covers() []string {
	var keys []string
	for _, days := range r.Passed {
		keys = append(keys, r.key(days))
	}
	return keys
}

func (r Reminder) key(days int) string {
	return fmt.Sprintf("%s/%s/%d", r.Kind, r.Ends.UTC().Format(time.RFC3339), days)
}

// Reminders lists what the citizen is to be reminded of now, at most one notice
// of a kind: the most urgent of those whose day has come. Nothing is due once
// the end has come, nor for a citizen who is not active. A suspended certificate
// counts, since it may be released; a registration that carries no certificate
// does not, since nothing ends with it.
func Reminders(f Facts, r Rules) []Reminder {
	if f.Status != StatusActive {
		return nil
	}
	var due []Reminder
	if c := f.Certificate; c.keptAt(f.Now) && !f.Now.Before(c.NotBefore) {
		due = append(due, r.due(f.Now, Reminder{Kind: RemindCertificate, Ends: c.NotAfter}, r.CertificateReminders)...)
	}
	if end := r.registrationEnd(f); f.Now.Before(end) && len(registeredWell(f, r)) == 0 {
		due = append(due, r.due(f.Now, Reminder{Kind: RemindRegistration, Ends: end}, r.RegistrationReminders)...)
	}
	return due
}

// due completes a reminder by the most urgent threshold that has been reached,
// and is empty if none has.
func (r Rules) due(now time.Time, reminder Reminder, thresholds []int) []Reminder {
	reached := false
	for _, days := range thresholds {
		switch {
		case now.Before(r.daysBefore(reminder.Ends, days)):
		case !reached:
			reached, reminder.Days = true, days
		case days < reminder.Days:
			reminder.Passed, reminder.Days = append(reminder.Passed, reminder.Days), days
		case days > reminder.Days:
			reminder.Passed = append(reminder.Passed, days)
		}
	}
	if !reached {
		return nil
	}
	return []Reminder{reminder}
}
