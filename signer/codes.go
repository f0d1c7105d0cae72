package signer

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// SendCode implements Module.
func (s *Service) SendCode(ctx context.Context, order CodeOrder) (Challenge, error) {
	now := s.Now()
	row, err := s.Store.Ticket(ctx, order.Ticket.Hash(), now)
	if err != nil {
		return Challenge{}, err
	}
	citizen, credential, err := s.people.ByID(ctx, row.CitizenID)
	if err != nil {
		return Challenge{}, err
	}
	app, err := s.errand(ctx, row, order)
	if err != nil {
		return Challenge{}, err
	}
	message := CodeMessage{
		RequestID: row.RequestID, Purpose: order.Purpose, Phone: citizen.Phone, Locale: citizen.Locale,
		Organisation: app.Organisation, Application: app.Name,
	}
	challenge := ChallengeRow{
		TicketHash: row.Hash, Purpose: order.Purpose, RequestID: row.RequestID, Application: app.ID, CitizenID: citizen.ID, Phone: citizen.Phone,
	}
	var entries []audit.Entry

	switch order.Purpose {
	case ForActivation, ForPassword, ForRevocation, ForSuspension, ForRelease, ForDeregistration, ForEmail, ForAssociation:
		if err := s.own(ctx, row, order, credential); err != nil {
			return Challenge{}, err
		}
	case ForCertificate, ForSignature:
		if err := s.gated(ctx); err != nil {
			return Challenge{}, err
		}
		if row.Purpose == ForAffairs && order.Purpose == ForCertificate {
			if err := s.Vault.Genuine(ctx, row, order.Ticket); err != nil {
				return Challenge{}, err
			}
			if _, err := s.grant(ctx, challenge, citizen, credential, now); err != nil {
				return Challenge{}, err
			}
			break
		}
		if row.Purpose != ForSignature {
			return Challenge{}, policies.Refuse(policies.SessionExpired)
		}
		request, err := s.Store.Request(ctx, row.RequestID)
		if err != nil {
			return Challenge{}, err
		}
		if err := open(request, now); err != nil {
			return Challenge{}, err
		}
		challenge.Application = request.Application.ID
		message.Organisation, message.Application = request.Application.Organisation, request.Application.Name
		message.Title, message.Documents = request.Title, len(request.Documents)
		if order.Purpose == ForCertificate {
			_, err = s.grant(ctx, challenge, citizen, credential, now)
		} else {
			challenge.Documents, err = s.authorisable(ctx, request, row, citizen, credential, now)
			challenge.Reference = Reference(challenge.Documents)
			message.Reference = challenge.Reference
			entries = append(entries, shown(request, citizen, challenge, now))
		}
		if err != nil {
			return Challenge{}, err
		}
	default:
		return Challenge{}, fmt.Errorf("purpose %q: %w", order.Purpose, policies.Refuse(policies.RequestMalformed))
	}
	return s.send(ctx, citizen, challenge, message, entries)
}

// errand is the application that has asked for the affair that a code is for, the
// zero value where none has (DoorNotAllowed).
func (s *Service) errand(ctx context.Context, row TicketRow, order CodeOrder) (Client, error) {
	if order.ApplicationID == "" {
		return Client{}, nil
	}
	if row.Purpose != ForAffairs || order.Purpose != ForCertificate && order.Purpose != ForRevocation {
		return Client{}, policies.Refuse(policies.RequestMalformed)
	}
	return s.switched(ctx, order.ApplicationID, SwitchCredentials)
}

// own reports why no code for an affair of the citizen's own may be sent, nil if
// one may.
func (s *Service) own(ctx context.Context, row TicketRow, order CodeOrder, k *Credential) error {
	ticket := ForAffairs
	switch order.Purpose { //nolint:exhaustive // of the others an affair's
	case ForActivation:
		ticket = ForActivation
	case ForDeregistration, ForEmail, ForAssociation:
		ticket = ForAccess
	}
	if row.Purpose != ticket || ticket == ForAccess && !row.changes() {
		return policies.Refuse(policies.SessionExpired)
	}
	if err := s.Vault.Genuine(ctx, row, order.Ticket); err != nil {
		return err
	}
	return Changeable(order.Purpose, k, s.Now())
}

// authorisable is what a code for a signature may stand for: the documents as
// fixed for this very ticket, if the rules let the citizen sign.
func (s *Service) authorisable(ctx context.Context, r Request, t TicketRow, c Citizen, k *Credential, now time.Time) ([]Bound, error) {
	if err := s.maySign(ctx, r.matter(), c, k, now); err != nil {
		return nil, err
	}
	if t.Replaces {
		return nil, policies.Refuse(policies.CredentialMissing)
	}
	bound := make([]Bound, len(r.Documents))
	for i, d := range r.Documents {
		if d.Digest == nil || !hmac.Equal(d.FixedFor, t.Hash) {
			return nil, policies.Refuse(policies.SessionExpired)
		}
		if _, err := ParseDigest(d.Hash, d.Digest); err != nil {
			return nil, err
		}
		bound[i] = Bind(d)
	}
	return bound, nil
}

func shown(r Request, c Citizen, ch ChallengeRow, now time.Time) audit.Entry {
	return audit.Entry{
		Type: audit.SignShown, Operation: r.ID, At: now, Person: c.Identifier,
		Payload: facts{
			"application": r.Application.ID, "title": r.Title, "reference": ch.Reference, "documents": r.tell(Document.shown),
		},
	}
}

// send stores a fresh code and hands it to the courier. The code itself exists
// only in this call and in the SMS.
func (s *Service) send(ctx context.Context, c Citizen, ch ChallengeRow, m CodeMessage, entries []audit.Entry) (Challenge, error) {
	code, err := newCode()
	if err != nil {
		return Challenge{}, err
	}
	now := s.Now()
	ch.ID, ch.State, ch.CreatedAt, ch.ExpiresAt = rand.Text(), CodePrepared, now.Truncate(time.Microsecond), now.Add(s.Limits.CodeLife)
	ch.Pepper = s.Vault.Epochs().Pepper
	if ch.MAC, err = s.Vault.checkCode(ctx, ch, code); err != nil {
		return Challenge{}, fmt.Errorf("storing a code: %w", err)
	}
	if err := s.Store.PrepareChallenge(ctx, ch, s.Limits.CodePace, entries...); err != nil {
		return Challenge{}, err
	}
	s.Step("code/prepared")

	m.ID, m.Code = ch.ID, code
	outcome, event := CodeSent, audit.CodeSent
	payload := ch.facts()
	payload["reference"] = ch.Reference
	sendErr := s.Courier.SendCode(ctx, m)
	if sendErr != nil {
		outcome, event = CodeFailed, audit.CodeSendFailed
		payload["reason"] = string(policies.SMSFailed)
		s.Logger.WarnContext(ctx, "sms_not_accepted", "challenge", ch.ID, "error", sendErr)
	}
	s.Step("code/sent")
	err = s.Store.ChallengeSent(context.WithoutCancel(ctx), ch.ID, outcome, audit.Entry{
		Type: event, Operation: operation(ch), At: s.Now(), Person: c.Identifier, Payload: payload,
	})
	if err != nil {
		return Challenge{}, err
	}
	if refusal, ok := errors.AsType[*policies.Refusal](sendErr); ok {
		return Challenge{}, refusal // a limit: it says how long to wait
	}
	if sendErr != nil {
		return Challenge{}, policies.Refuse(policies.SMSFailed)
	}
	return Challenge{
		ID: ch.ID, Reference: ch.Reference, MaskedPhone: MaskPhone(ch.Phone),
		SentAt: ch.CreatedAt, ExpiresAt: ch.ExpiresAt, ResendAt: ch.CreatedAt.Add(s.Limits.CodePace.Interval),
		TriesLeft: s.Limits.CodeTries,
	}, nil
}

// CheckCode counts an attempt, durably, and only then compares. The right code
// is not consumed here but in the transaction that it authorises.
func (s *Service) CheckCode(ctx context.Context, t TicketRow, purpose Purpose, code Code) (ChallengeRow, error) {
	now := s.Now()
	ch, err := s.Store.TryChallenge(ctx, Try{TicketHash: t.Hash, Purpose: purpose, Limit: s.Limits.CodeTries, Now: now})
	if errors.Is(err, policies.Refuse(policies.CodeExpired)) && ch.ID != "" {
		err = errors.Join(err, s.Store.Log(ctx, audit.Entry{
			Type: audit.CodeExpired, Operation: operation(ch), At: now, Person: ch.Identifier,
			Payload: ch.refused(policies.CodeExpired),
		}))
	}
	if err != nil {
		return ChallengeRow{}, err
	}
	s.Step("code/counted")
	mac, err := s.Vault.checkCode(ctx, ch, code)
	if err != nil {
		return ChallengeRow{}, fmt.Errorf("checking a code: %w", err)
	}
	if hmac.Equal(mac, ch.MAC) {
		return ch, nil
	}

	left := s.Limits.CodeTries - ch.Attempts
	refusal := policies.Refuse(policies.CodeWrong, "tries", fmt.Sprint(left), "seconds", seconds(ch.CreatedAt.Add(s.Limits.CodePace.Interval).Sub(now)))
	kind := audit.CodeFailed
	if left <= 0 {
		refusal, kind = policies.Refuse(policies.CodeExhausted), audit.CodeExhausted
	}
	err = s.Store.WrongCode(ctx, ch, s.Limits.CodeTries, audit.Entry{
		Type: kind, Operation: operation(ch), At: now, Person: ch.Identifier,
		Payload: ch.refused(refusal.Code),
	})
	if err != nil {
		return ChallengeRow{}, err
	}
	return ChallengeRow{}, refusal
}

// checkCode is the stored form of a code: an HSM HMAC over it and everything
// that it stands for. In a row that was altered no code is right, not even one
// that its sender knows.
func (v *Vault) checkCode(ctx context.Context, ch ChallengeRow, code Code) ([]byte, error) {
	fields := []string{
		"code", ch.ID, hexOf(ch.TicketHash), string(ch.Purpose), ch.RequestID, ch.CitizenID, ch.Phone, ch.Reference,
		instant(ch.CreatedAt), instant(ch.ExpiresAt),
	}
	if ch.errand() {
		fields = append(fields, "errand", ch.Application)
	}
	fields = append(fields, boundFields(ch.Documents)...)
	return v.keys.MAC(ctx, Pepper.Label(ch.Pepper), bind(append(fields, code.digits)...))
}

// operation is what the log files a code under: its request, or its citizen
// where there is no request.
func operation(ch ChallengeRow) string { return cmp.Or(ch.RequestID, ch.CitizenID) }

// MaskPhone leaves the last three digits.
func MaskPhone(phone string) string {
	if len(phone) < 3 {
		return "···"
	}
	return "··· ··· " + phone[len(phone)-3:]
}

// seconds is a wait as people are told it.
func seconds(wait time.Duration) string {
	return fmt.Sprint(max(0, int((wait+time.Second-1)/time.Second)))
}
