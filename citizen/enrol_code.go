package citizen

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// EnrolmentOrder is what a person types who is on the way, and asks for a code
// to the mobile in it. Mail and document are a registration's alone.
type EnrolmentOrder struct {
	Ticket        signer.Ticket
	Phone         Phone
	Email         Email
	DocumentUntil time.Time
	Locale        string
}

// SendEnrolmentCode sends a code to a mobile that is nobody's yet, or will be
// somebody else's no more. Whether it is taken is told to who has proved to
// hold it, and to nobody else.
func (e *Enrolments) SendEnrolmentCode(ctx context.Context, o EnrolmentOrder) (signer.Challenge, error) {
	now := e.Register.Now()
	row, err := e.Store.Enrolment(ctx, o.Ticket.Hash(), now)
	if err != nil {
		return signer.Challenge{}, err
	}
	if err := e.genuine(ctx, row, ProcedureRegister, ProcedurePhone); err != nil {
		return signer.Challenge{}, err
	}
	row.Phone, row.Locale = o.Phone.String(), o.Locale
	if row.Procedure == ProcedureRegister {
		if row.Kind == ByLetter { // whose date was checked with the rest of the letter's data
			if o.DocumentUntil, err = parseDay(row.DocumentUntil); err != nil {
				return signer.Challenge{}, err
			}
		}
		if err := e.Register.validDocument(o.DocumentUntil, now); err != nil {
			return signer.Challenge{}, err
		}
		if o.Email == (Email{}) {
			return signer.Challenge{}, policies.Refuse(policies.EmailInvalid)
		}
		row.Email, row.DocumentUntil = o.Email.String(), o.DocumentUntil.Format(time.DateOnly)
	}
	code, err := signer.NewCode()
	if err != nil {
		return signer.Challenge{}, err
	}
	row.SentAt, row.Pepper = now.UTC().Truncate(time.Microsecond), e.Vault.Epochs().Pepper
	row.Codes, row.Attempts, row.CodeSeconds = row.Codes+1, 0, int(e.Limits.CodeLife/time.Second)
	if row.MAC, err = e.check(ctx, row, code); err != nil {
		return signer.Challenge{}, fmt.Errorf("storing a code: %w", err)
	}
	if err := e.seal(ctx, &row); err != nil {
		return signer.Challenge{}, err
	}
	if err := e.Store.PrepareEnrolmentCode(ctx, row, e.Limits.Pace); err != nil {
		return signer.Challenge{}, err
	}
	return e.send(ctx, row, code)
}

// send hands the code over, and records what came of it.
func (e *Enrolments) send(ctx context.Context, row Enrolment, code signer.Code) (signer.Challenge, error) {
	event, payload := audit.CodeSent, row.code()
	sendErr := e.Post.Text(ctx, SecretText{
		ID: row.CodeID(), Kind: TextEnrolment, Phone: row.Phone, Locale: row.Locale, Secret: NewSecret(code.Reveal()),
	})
	if sendErr != nil {
		event, payload["reason"] = audit.CodeSendFailed, string(policies.SMSFailed)
	}
	err := e.Store.EnrolmentCodeSent(context.WithoutCancel(ctx), row, sendErr == nil, audit.Entry{
		Type: event, Operation: row.operation(), At: e.Register.Now(), Person: row.Identifier, Payload: payload,
	})
	if err != nil {
		return signer.Challenge{}, err
	}
	if refusal, refused := asRefusal(sendErr); refused {
		return signer.Challenge{}, refusal
	}
	if sendErr != nil {
		return signer.Challenge{}, fmt.Errorf("%w: %w", policies.Refuse(policies.SMSFailed), sendErr)
	}
	return signer.Challenge{
		ID: row.CodeID(), MaskedPhone: signer.MaskPhone(row.Phone),
		SentAt: row.SentAt, ExpiresAt: row.SentAt.Add(e.Limits.CodeLife), ResendAt: row.SentAt.Add(e.Limits.Pace.Interval),
		TriesLeft: e.Limits.CodeTries,
	}, nil
}

// check is the stored form of a code: of this mobile and this person alone.
func (e *Enrolments) check(ctx context.Context, row Enrolment, code signer.Code) ([]byte, error) {
	return e.Vault.CheckEnrolment(ctx, row.Pepper, code,
		fmt.Sprintf("%x", row.Hash), row.Identifier, string(row.Procedure), row.Phone, strconv.Itoa(row.Codes), exactly(row.SentAt))
}

// code are the facts of the code that was sent last, which stands nowhere itself.
func (e Enrolment) code() map[string]any {
	return map[string]any{"purpose": "enrolment", "challenge": e.CodeID(), "phone": signer.MaskPhone(e.Phone)}
}

// confirm counts an attempt, durably, and only then compares. The right code is
// used up in the transaction that it confirms.
func (e *Enrolments) confirm(ctx context.Context, t signer.Ticket, code signer.Code) (Enrolment, error) {
	now := e.Register.Now()
	row, err := e.Store.TryEnrolment(ctx, EnrolmentTry{
		Hash: t.Hash(), Since: now.Add(-e.Limits.CodeLife), Limit: e.Limits.CodeTries, Now: now,
	})
	if err != nil {
		if errors.Is(err, policies.Refuse(policies.CodeExpired)) && row.Codes > 0 {
			err = errors.Join(err, e.wrong(ctx, row, audit.CodeExpired, policies.Refuse(policies.CodeExpired)))
		}
		return row, err
	}
	if err := e.genuine(ctx, row, ProcedureRegister, ProcedurePhone); err != nil {
		return row, err
	}
	mac, err := e.check(ctx, row, code)
	if err != nil {
		return row, fmt.Errorf("checking a code: %w", err)
	}
	if hmac.Equal(mac, row.MAC) {
		return row, nil
	}
	left := e.Limits.CodeTries - row.Attempts
	if left <= 0 {
		return row, e.refuse(ctx, row, audit.CodeExhausted, policies.Refuse(policies.CodeExhausted))
	}
	wait := max(0, row.SentAt.Add(e.Limits.Pace.Interval).Sub(now))
	return row, e.refuse(ctx, row, audit.CodeFailed, policies.Refuse(policies.CodeWrong,
		"tries", strconv.Itoa(left), "seconds", strconv.Itoa(int((wait+time.Second-1)/time.Second))))
}

// refuse records a wrong code and returns the refusal.
func (e *Enrolments) refuse(ctx context.Context, row Enrolment, kind audit.EventType, r *policies.Refusal) error {
	if err := e.wrong(ctx, row, kind, r); err != nil {
		return err
	}
	return r
}

func (e *Enrolments) wrong(ctx context.Context, row Enrolment, kind audit.EventType, r *policies.Refusal) error {
	payload := row.code()
	payload["reason"] = string(r.Code)
	if kind != audit.CodeExpired {
		payload["attempt"] = row.Attempts
	}
	return e.Store.Log(ctx, audit.Entry{
		Type: kind, Operation: row.operation(), At: e.Register.Now(), Person: row.Identifier, Payload: payload,
	})
}

func asRefusal(err error) (*policies.Refusal, bool) { return errors.AsType[*policies.Refusal](err) }
