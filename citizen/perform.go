package citizen

import (
	"context"
	"errors"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Perform carries out what an office signed, once. It is the only way in which
// a citizen comes to be registered, or an office changes anything of one.
func (s *Service) Perform(ctx context.Context, a Act) (Receipt, error) {
	statement, err := s.Desk.Accept(ctx, a)
	if err == nil {
		err = s.seconded(ctx, statement)
	}
	var receipt Receipt
	if err == nil {
		receipt, err = s.carryOut(ctx, statement)
	}
	if refusal := (*policies.Refusal)(nil); errors.As(err, &refusal) {
		if err := s.Store.Log(ctx, refusedAct(a, statement, refusal, s.Now())); err != nil {
			return Receipt{}, err
		}
	}
	return receipt, err
}

// Performer carries out acts of one kind that the Desk has accepted. What it
// refuses, the log is told by who calls it.
type Performer func(ctx context.Context, s Statement) (Receipt, error)

func (s *Service) carryOut(ctx context.Context, statement Statement) (Receipt, error) {
	if perform, ok := s.Acts[statement.Kind]; ok {
		return perform(ctx, statement)
	}
	return statement.carryOut(ctx, s)
}

// Revocations of one office within an hour that take no second officer.
const (
	fewRevocations  = 10
	revocationsPast = time.Hour
)

// seconded wants a second officer for what does much harm at once: a mobile
// exchanged for somebody who shows no document, a death taken back, and
// revocations in numbers.
func (s *Service) seconded(ctx context.Context, statement Statement) error {
	refusal := policies.Refuse(policies.SecondOfficerNeeded)
	switch {
	case statement.Second == statement.Officer:
		return refusal
	case statement.Second != "":
		return nil
	case statement.WithoutDocument, statement.Kind == ActCorrectDeath:
		return refusal
	case statement.Kind != ActRevoke:
		return nil
	}
	n, err := s.Store.OfficeActs(ctx, statement.Office, ActRevoke, s.Now().Add(-revocationsPast))
	if err == nil && n > fewRevocations {
		err = refusal
	}
	return err
}

// refusedAct is the entry for an act that was not carried out. What nobody
// signed says nothing of anybody.
func refusedAct(a Act, s Statement, r *policies.Refusal, now time.Time) audit.Entry {
	facts := map[string]any{"office": a.Office[:min(len(a.Office), maxOfficer)], "reason": string(r.Code)}
	if detail := r.Params["reason"]; detail != "" {
		facts["detail"] = detail
	}
	e := audit.Entry{Type: audit.OfficeActRefused, Operation: "office-act", At: now, Payload: facts}
	if s.ID != "" {
		e.Operation, e.Person = s.ID, s.Identifier.String()
		facts["act"] = string(s.Kind)
		s.By().into(facts)
	}
	return e
}

// registrar is what the acts of an office do. *Service fulfils it.
type registrar interface {
	Register(ctx context.Context, a Application) (Receipt, error)
	RenewActivation(ctx context.Context, id Identifier, by By) (Receipt, error)
	Block(ctx context.Context, id Identifier, o Order) error
	Unblock(ctx context.Context, id Identifier, o Order) error
	Revoke(ctx context.Context, id Identifier, o Order, reason int) error
	Suspend(ctx context.Context, id Identifier, o Order) error
	Release(ctx context.Context, id Identifier, o Order) error
	Deregister(ctx context.Context, id Identifier, o Order) error
	ReportDeath(ctx context.Context, id Identifier, o Order) error
	CorrectDeath(ctx context.Context, id Identifier, o Order) error
	RenewRegistration(ctx context.Context, id Identifier, r Renewal) (Receipt, error)
	ChangePhone(ctx context.Context, id Identifier, c PhoneChange) error
	ChangeEmail(ctx context.Context, id Identifier, c EmailChange) error
}

func (s Statement) carryOut(ctx context.Context, r registrar) (Receipt, error) {
	order := Order{By: s.By(), Reason: s.Reason}
	switch s.Kind {
	case ActRegister:
		a := s.Application
		a.Office, a.Officer, a.By = s.OfficeName, order.By.String(), order.By
		return r.Register(ctx, a)
	case ActRenewActivation:
		return r.RenewActivation(ctx, s.Identifier, order.By)
	case ActBlock:
		return Receipt{}, r.Block(ctx, s.Identifier, order)
	case ActUnblock:
		return Receipt{}, r.Unblock(ctx, s.Identifier, order)
	case ActRevoke:
		return Receipt{}, r.Revoke(ctx, s.Identifier, order, s.CRLReason)
	case ActSuspend:
		return Receipt{}, r.Suspend(ctx, s.Identifier, order)
	case ActRelease:
		return Receipt{}, r.Release(ctx, s.Identifier, order)
	case ActDeregister:
		return Receipt{}, r.Deregister(ctx, s.Identifier, order)
	case ActReportDeath:
		order.Evidence = s.Evidence
		return Receipt{}, r.ReportDeath(ctx, s.Identifier, order)
	case ActCorrectDeath:
		return Receipt{}, r.CorrectDeath(ctx, s.Identifier, order)
	case ActRenewRegistration:
		renewal := s.Renewal
		renewal.Office, renewal.Officer, renewal.By = s.OfficeName, order.By.String(), order.By
		return r.RenewRegistration(ctx, s.Identifier, renewal)
	case ActChangePhone:
		return Receipt{}, r.ChangePhone(ctx, s.Identifier, PhoneChange{Phone: s.Phone, Order: order})
	case ActChangeEmail:
		return Receipt{}, r.ChangeEmail(ctx, s.Identifier, EmailChange{Email: s.Email, Order: order})
	case ActMassRevocation: // is no act: those that it comes to are
	case ActPresentCertificate, ActPrintLetter, ActCloseIncident, ActChangeApplication: // whoever does these is in Config.Acts
	}
	return Receipt{}, malformedAct("/act")
}
