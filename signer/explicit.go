package signer

import (
	"context"
	"crypto/sha256"

	"github.com/rubrica-firma/rubrica/policies"
)

// Explicit mode: password and code come from an application, where they might be
// kept or used for something else. TS 119 432, V1.3.1 calls it not suitable for
// SCAL2, so it is SCAL1 (EN 419 241-1, 5.4), off in a deployment and off for an
// application unless both are switched on. This module asks for both itself: the
// public side may say what it likes.

// ExplicitOrder asks for a code that is going to be typed at an application.
type ExplicitOrder struct {
	ApplicationID string
	Identifier    string // the citizen's DNI or NIE
	CredentialID  string // which has to be that citizen's
}

// admitExplicit refuses explicit mode unless deployment and application have it
// switched on (DoorNotAllowed).
func (s *Service) admitExplicit(ctx context.Context, applicationID string) (Client, error) {
	if !s.Explicit {
		return Client{}, policies.Refuse(policies.DoorNotAllowed, "door", SwitchExplicit)
	}
	return s.switched(ctx, applicationID, SwitchExplicit)
}

// switched is an application that has a switch on (DoorNotAllowed).
func (s *Service) switched(ctx context.Context, applicationID, name string) (Client, error) {
	c, enabled, err := s.Store.Application(ctx, applicationID)
	if err == nil && (!enabled || !c.Has(name)) {
		err = policies.Refuse(policies.DoorNotAllowed, "door", name)
	}
	return c, err
}

// SendExplicitCode sends the citizen a code that is good for this application and
// this credential alone. What is going to be signed is not known yet: the SMS
// names the application, and no check word.
func (s *Service) SendExplicitCode(ctx context.Context, o ExplicitOrder) error {
	if err := s.gated(ctx); err != nil {
		return err
	}
	app, err := s.admitExplicit(ctx, o.ApplicationID)
	if err != nil {
		return err
	}
	c, k, err := s.people.ByIdentifier(ctx, o.Identifier)
	if err != nil {
		return err
	}
	if k == nil || k.ID != o.CredentialID {
		return policies.Refuse(policies.CredentialMissing)
	}
	if err := s.maySign(ctx, matter{operation: c.ID, application: app.ID}, c, k, s.Now()); err != nil {
		return err
	}
	_, err = s.send(ctx, c, ChallengeRow{
		TicketHash: explicitly(app.ID, k.ID), Purpose: ForSignature, CitizenID: c.ID, Phone: c.Phone, Application: app.ID,
	}, CodeMessage{
		Purpose: ForSignature, Phone: c.Phone, Locale: c.Locale, Organisation: app.Organisation, Application: app.Name,
	}, nil)
	return err
}

// explicitly is what such a code stands for, in the place of a ticket: nobody has
// one when it is sent.
func explicitly(applicationID, credentialID string) []byte {
	sum := sha256.Sum256(bind("rubrica explicit v1", applicationID, credentialID))
	return sum[:]
}

// AuthoriseExplicit is Authorise with a code of SendExplicitCode. The ticket is
// Identify's, of the request: password and code are counted as they are on the
// pages, before they are compared. The log says that it was SCAL1.
func (s *Service) AuthoriseExplicit(ctx context.Context, answer Answer) (Authorised, error) {
	return s.authorise(ctx, answer, func(row TicketRow) (ChallengeRow, error) {
		r, err := s.Store.Request(ctx, row.RequestID)
		if err != nil {
			return ChallengeRow{}, err
		}
		if _, err := s.admitExplicit(ctx, r.Application.ID); err != nil {
			return ChallengeRow{}, err
		}
		row.Hash = explicitly(r.Application.ID, row.CredentialID)
		challenge, err := s.CheckCode(ctx, row, ForSignature, answer.Code)
		challenge.Explicit = true
		return challenge, err
	})
}
