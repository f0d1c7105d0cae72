package citizen

import (
	"context"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// EnrolmentAnswer ends an enrolment: with the code where a mobile is to be
// proved, with the validity of the DNI or NIE where a registration is renewed.
type EnrolmentAnswer struct {
	Ticket        signer.Ticket
	Procedure     Procedure
	Code          signer.Code
	DocumentUntil time.Time
}

// CompleteEnrolment does what the person has been about. The enrolment is used
// up in the same transaction, so that it is done once.
func (e *Enrolments) CompleteEnrolment(ctx context.Context, a EnrolmentAnswer) (Receipt, error) {
	receipt, err := e.complete(ctx, a)
	return receipt, outwardly(err, a.Procedure)
}

func (e *Enrolments) complete(ctx context.Context, a EnrolmentAnswer) (Receipt, error) {
	switch a.Procedure {
	case ProcedureRegister, ProcedurePhone:
		row, err := e.confirm(ctx, a.Ticket, a.Code)
		if err != nil {
			return Receipt{}, err
		}
		if row.Procedure != a.Procedure {
			return Receipt{}, policies.Refuse(policies.SessionExpired)
		}
		return e.confirmed(ctx, row)
	case ProcedureRenew, ProcedureActivation:
		row, err := e.Peek(ctx, a.Ticket, a.Procedure)
		if err != nil {
			return Receipt{}, err
		}
		return e.shown(ctx, row, a)
	case ProcedureAssociate, ProcedureAccess: // which end elsewhere
	}
	return Receipt{}, policies.Refuse(policies.SessionExpired)
}

// confirmed does what takes a mobile whose code was right.
func (e *Enrolments) confirmed(ctx context.Context, row Enrolment) (Receipt, error) {
	p, err := row.person()
	if err != nil {
		return Receipt{}, err
	}
	p.Proved.Challenge, p.Proved.Factors = row.CodeID(), append(p.Proved.Factors, "possession")
	if row.Procedure == ProcedureRegister {
		return e.Register.Register(ctx, p)
	}
	change := PhoneChange{Phone: p.Phone, Order: Order{By: p.By}, Proved: p.Proved}
	return Receipt{}, e.Register.ChangePhone(ctx, p.Identifier, change)
}

// shown does what takes the certificate alone.
func (e *Enrolments) shown(ctx context.Context, row Enrolment, a EnrolmentAnswer) (Receipt, error) {
	id, err := ParseIdentifier(row.Identifier)
	if err != nil {
		return Receipt{}, err
	}
	if row.Procedure == ProcedureActivation {
		return e.Register.renewActivation(ctx, id, row.by(), row.Hash)
	}
	if row.Mode != policies.ModeDNIe {
		return Receipt{}, policies.Refuse(policies.DNIeRequired).From(policies.SourceRenewal)
	}
	return e.Register.RenewRegistration(ctx, id, Renewal{
		Mode: row.Mode, DocumentUntil: a.DocumentUntil, Evidence: row.Evidence,
		Office: row.OfficeName, Officer: row.by().String(), By: row.by(), Proved: row.proved(),
	})
}

// person is who is going to be registered, or to have another mobile.
func (e Enrolment) person() (a Application, err error) {
	if a.Identifier, err = ParseIdentifier(e.Identifier); err != nil {
		return a, err
	}
	if a.Phone, err = ParsePhone(e.Phone); err != nil {
		return a, err
	}
	a.By, a.Proved = e.by(), e.proved()
	if e.Procedure != ProcedureRegister {
		return a, nil
	}
	if a.Name, err = ParseName(e.GivenName, e.Surnames); err != nil {
		return a, err
	}
	if a.Email, err = ParseEmail(e.Email); err != nil {
		return a, err
	}
	if a.DocumentUntil, err = parseDay(e.DocumentUntil); err != nil {
		return a, err
	}
	a.Locale, a.Office, a.Officer = e.Locale, e.OfficeName, e.by().String()
	a.Mode, a.Level, a.Evidence = e.Mode, e.Level, e.Evidence
	return a, nil
}

// proved is what the log says of how it was confirmed.
func (e Enrolment) proved() Proved {
	p := Proved{Enrolment: e.Hash, Serial: e.Evidence["serial"]}
	if e.Kind == ByCertificate {
		p.Factors = []string{"certificate"}
	}
	return p
}
