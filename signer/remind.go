package signer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// ReminderMessage is the content of an SMS that reminds.
type ReminderMessage struct {
	ID     string // the same for the same reminder: the gateway may drop a duplicate
	Phone  string
	Locale string
	Kind   policies.ReminderKind
	Ends   time.Time
}

// Reminding is a reminder that is going to be sent: by mail and, when telephones
// may ring, by SMS.
type Reminding struct {
	CitizenID string
	policies.Reminder
	Text time.Time // not before it the SMS
}

// remindersPage is how many citizens are looked at in one turn.
const remindersPage = 200

// Remind enqueues what is due, each reminder once whoever else sweeps.
func (s *Service) Remind(ctx context.Context) error {
	now := s.Now()
	candidates, err := s.Store.Remindable(ctx, now, s.Rules, remindersPage)
	if err != nil {
		return fmt.Errorf("looking for what is due: %w", err)
	}
	var failures []error
	for _, id := range candidates {
		if err := s.remind(ctx, id, now); err != nil {
			failures = append(failures, fmt.Errorf("reminding a citizen: %w", err))
		}
	}
	return errors.Join(failures...)
}

func (s *Service) remind(ctx context.Context, citizenID string, now time.Time) error {
	c, k, err := s.people.ByID(ctx, citizenID)
	if err != nil {
		return err
	}
	for _, r := range policies.Reminders(Facts(c, k, now), s.Rules) {
		err := s.Store.Remind(ctx, Reminding{CitizenID: c.ID, Reminder: r, Text: s.Rules.Daytime(now)}, audit.Entry{
			Type: audit.CitizenReminded, Operation: c.ID, At: now, Person: c.Identifier,
			Payload: map[string]any{"of": string(r.Kind), "days": r.Days, "ends": r.Ends.UTC().Format(time.RFC3339)},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// LaterError is that no telephone may ring before a moment.
type LaterError struct{ At time.Time }

func (e *LaterError) Error() string { return "no SMS before " + e.At.Format(time.RFC3339) }

// Text sends the SMS of a notice. A reminder that no longer holds is dropped:
// the citizen has renewed or is gone, the time has passed, or a more urgent one
// is due. One that was late into the night is a *LaterError.
func (s *Service) Text(ctx context.Context, n Notice) error {
	c, k, err := s.people.ByID(ctx, n.CitizenID)
	if err != nil {
		return err
	}
	if _, told := n.Ways(c.Notices); told {
		return s.tell(ctx, n, c)
	}
	now := s.Now()
	if at := s.Rules.Daytime(now); at.After(now) {
		return &LaterError{At: at}
	}
	for _, r := range policies.Reminders(Facts(c, k, now), s.Rules) {
		if string(r.Kind) != n.Kind || r.Days != n.Days || !r.Ends.Equal(n.Ends) {
			continue
		}
		id := sha256.Sum256([]byte(c.ID + " " + n.Kind + " " + instant(n.Ends) + fmt.Sprint(n.Days)))
		return s.Courier.Remind(ctx, ReminderMessage{
			ID: "reminder-" + hex.EncodeToString(id[:16]), Phone: c.Phone, Locale: c.Locale, Kind: r.Kind, Ends: r.Ends,
		})
	}
	return nil
}

// KeepReminding looks for what is due now and then every interval until ctx ends.
func (s *Service) KeepReminding(ctx context.Context, interval time.Duration) {
	s.keep(ctx, interval, "reminding_failed", s.Remind)
}
