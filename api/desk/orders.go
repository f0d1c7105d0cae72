package desk

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// ParseList reads DNIs and NIEs as an officer pastes them: one a line, or with
// blanks, commas or semicolons between them. Twice the same counts once. What is
// none is refused, and named (policies.IdentifierInvalid, with "text").
func ParseList(text string, limit int) ([]string, error) {
	var list []string
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == ';' }) {
		id, err := citizen.ParseIdentifier(word)
		if err != nil {
			return nil, policies.Refuse(policies.QueryInvalid, "reason", "list", "text", string([]rune(word)[:min(len([]rune(word)), 20)]))
		}
		if !slices.Contains(list, id.String()) {
			list = append(list, id.String())
		}
	}
	if len(list) == 0 || len(list) > limit {
		return nil, policies.Refuse(policies.QueryInvalid, "reason", "list_size")
	}
	return list, nil
}

// Ask writes a dangerous act down until a second officer confirms it. Several
// identifiers make it a mass revocation.
func (s *Service) Ask(ctx context.Context, a Asking, act Act, identifiers ...string) (citizen.DeskOrder, error) {
	if err := a.admit(); err != nil {
		return citizen.DeskOrder{}, err
	}
	if !act.needsSecond() {
		return citizen.DeskOrder{}, policies.Refuse(policies.RequestMalformed, "field", "act")
	}
	if act.Identifier != "" {
		identifiers = []string{act.Identifier}
	}
	now := s.Now().Truncate(time.Microsecond)
	o := citizen.DeskOrder{
		ID: rand.Text(), Office: a.Officer.Office, Act: act.Kind, Identifiers: identifiers, Phone: act.Phone, CRLWord: act.CRLWord, Reason: a.Reason,
		AskedBy: a.Officer.ID, AskedName: a.Officer.Name, AskedAt: now, ExpiresAt: now.Add(s.Limits.OrderLife), State: citizen.OrderWaiting,
	}
	about := subject{operation: act.CitizenID}
	if len(identifiers) == 1 {
		about.person = identifiers[0]
	}
	err := s.record(ctx, a, audit.DeskOrdered, about, map[string]any{
		"act": string(act.Kind), "order": o.ID, "people": len(identifiers), "expires": o.ExpiresAt.UTC().Format(time.RFC3339),
	})
	if err != nil {
		return citizen.DeskOrder{}, err
	}
	return o, s.Store.AddOrder(ctx, o)
}

// Orders are those of the officer's office that wait, and those decided lately.
func (s *Service) Orders(ctx context.Context, a Asking) ([]citizen.DeskOrder, error) {
	if err := a.admit(); err != nil {
		return nil, err
	}
	if err := s.looked(ctx, a, "orders"); err != nil {
		return nil, err
	}
	now := s.Now()
	return s.Store.Orders(ctx, a.Officer.Office, now, now.Add(-s.Limits.Decided))
}

// Order opens one (policies.NotFound).
func (s *Service) Order(ctx context.Context, a Asking, id string) (citizen.DeskOrder, error) {
	if err := a.admit(); err != nil {
		return citizen.DeskOrder{}, err
	}
	o, err := s.Store.Order(ctx, a.Officer.Office, id)
	if err != nil {
		return o, err
	}
	return o, s.looked(ctx, a, "order", "subject", id)
}

// MayConfirm is whether an officer may confirm what another asked for.
func MayConfirm(o Officer, order citizen.DeskOrder, now time.Time) bool {
	return o.Role == RoleSupervisor && o.ID != order.AskedBy && order.State == citizen.OrderWaiting && now.Before(order.ExpiresAt)
}

// MayGoOn is whether an officer may go on with a confirmed order of which not
// every outcome is known.
func MayGoOn(o Officer, order citizen.DeskOrder) bool {
	return o.Role == RoleSupervisor && o.ID != order.AskedBy && order.State == citizen.OrderConfirmed && len(order.Missing()) > 0
}

// Confirm has a waiting order carried out, or what is left of a confirmed one,
// and returns it with what became of it. Of several who confirm at once, one does
// (policies.DeskTaken). What a crash or a lost answer leaves open is asked for
// again by confirming again, once the turn is over in which it was.
func (s *Service) Confirm(ctx context.Context, a Asking, id string) (citizen.DeskOrder, error) {
	// Who confirmed stays answerable for all of it, though the browser may leave.
	ctx = context.WithoutCancel(ctx)
	o, err := s.decidable(ctx, a, id)
	switch {
	case err != nil:
		return o, err
	case a.Officer.Role != RoleSupervisor || a.Officer.ID == o.AskedBy:
		return o, policies.Refuse(policies.SecondOfficerNeeded)
	case !MayGoOn(a.Officer, o) && !MayConfirm(a.Officer, o, s.Now()):
		return o, policies.Refuse(policies.DeskTaken)
	}
	err = s.inTurn(ctx, id, func(t citizen.Turn) error {
		o, err = s.confirm(ctx, a, t)
		return err
	})
	return o, err
}

// inTurn has one officer at a time deal with an order. Where nobody knows what
// came of an act, the turn ends by itself: the signer may be at it still.
func (s *Service) inTurn(ctx context.Context, orderID string, deal func(citizen.Turn) error) error {
	t := s.turn(orderID)
	if err := s.Store.TakeOrder(ctx, t); err != nil {
		return err
	}
	err := deal(t)
	if _, refused := asRefusal(err); err == nil || refused {
		return errors.Join(err, s.Store.LeaveOrder(ctx, t))
	}
	return err
}

// confirm carries out an order as it stands now that nobody else is at it.
func (s *Service) confirm(ctx context.Context, a Asking, t citizen.Turn) (citizen.DeskOrder, error) {
	o, err := s.Store.Order(ctx, a.Officer.Office, t.Subject)
	if err != nil {
		return o, err
	}
	if !MayGoOn(a.Officer, o) {
		if o, err = s.decide(ctx, a, t, decision{o, citizen.OrderConfirmed}); err != nil {
			return o, err
		}
	}
	asker := Asking{Officer: Officer{ID: o.AskedBy, Name: o.AskedName, Role: a.Officer.Role, By: a.Officer.By, Office: o.Office}, Reason: o.Reason}
	for _, identifier := range o.Missing() {
		outcome, err := s.conclude(ctx, asker, a.Officer, o, identifier)
		if err != nil {
			return o, err
		}
		t.Now = s.Now()
		t.Until = t.Now.Add(s.Limits.Turn)
		if err := s.Store.Conclude(ctx, t, identifier, outcome); err != nil {
			return o, err
		}
		o.Outcome[identifier] = outcome
	}
	return o, nil
}

// decidable reads an order for somebody who is going to decide.
func (s *Service) decidable(ctx context.Context, a Asking, id string) (citizen.DeskOrder, error) {
	if err := a.admit(); err != nil {
		return citizen.DeskOrder{}, err
	}
	return s.Store.Order(ctx, a.Officer.Office, id)
}

// decision is what an order is to become.
type decision struct {
	order citizen.DeskOrder
	state citizen.OrderState
}

func (s *Service) decide(ctx context.Context, a Asking, t citizen.Turn, d decision) (citizen.DeskOrder, error) {
	o, about := d.order, subject{}
	if o.State != citizen.OrderWaiting || !s.Now().Before(o.ExpiresAt) {
		return o, policies.Refuse(policies.DeskTaken)
	}
	if len(o.Identifiers) == 1 {
		about.person = o.Identifiers[0]
	}
	err := s.record(ctx, a, audit.DeskDecided, about, map[string]any{
		"decision": string(d.state), "of": "order", "subject": o.ID, "act": string(o.Act),
	})
	if err != nil {
		return o, err
	}
	decided := o
	decided.State, decided.DecidedBy, decided.DecidedName, decided.DecidedAt = d.state, a.Officer.ID, a.Officer.Name, s.Now().Truncate(time.Microsecond)
	if err := s.Store.Decide(ctx, t, decided); err != nil {
		return o, err
	}
	if decided.Outcome == nil {
		decided.Outcome = make(map[string]string)
	}
	return decided, nil
}

// conclude carries an order out for one of its people. A refusal is an outcome;
// of anything else nobody knows what came of it.
func (s *Service) conclude(ctx context.Context, asker Asking, second Officer, o citizen.DeskOrder, identifier string) (string, error) {
	act := Act{Kind: o.Act, Identifier: identifier, Phone: o.Phone, CRLWord: o.CRLWord, WithoutDocument: true}
	if o.Act == citizen.ActMassRevocation {
		act.Kind = citizen.ActRevoke
	}
	wanted := act.said(asker)
	wanted.ConfirmedBy = signature(second)
	// The turn outlasts the act.
	ctx, cancel := context.WithTimeout(ctx, s.Limits.Turn/2)
	defer cancel()
	_, err := s.perform(ctx, asker, wanted, about{order: o.ID, second: second.ID})
	if refusal, ok := asRefusal(err); ok {
		return string(refusal.Code), nil
	}
	return citizen.Done, err
}

// Reject ends a waiting order. Who asked for it may take it back.
func (s *Service) Reject(ctx context.Context, a Asking, id string) error {
	o, err := s.decidable(ctx, a, id)
	if err != nil {
		return err
	}
	if a.Officer.Role != RoleSupervisor && a.Officer.ID != o.AskedBy {
		return policies.Refuse(policies.RoleMissing, "role", RoleSupervisor)
	}
	return s.inTurn(ctx, id, func(t citizen.Turn) error {
		if o, err = s.decidable(ctx, a, id); err == nil {
			_, err = s.decide(ctx, a, t, decision{o, citizen.OrderRejected})
		}
		return err
	})
}
