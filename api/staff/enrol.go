package staff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// Invited is for whom the secret of a link lets a passkey be added, and until
// when (policies.InvitationInvalid).
func (d *Door) Invited(c echo.Context, secret string) (personnel.Invitation, error) {
	if err := d.admit(c); err != nil {
		return personnel.Invitation{}, err
	}
	return d.invitation(c, hashOf(secret), d.Store.Invitation)
}

// invitation reads one; that it is none is recorded.
func (d *Door) invitation(c echo.Context, hash []byte, read func(context.Context, []byte, time.Time) (personnel.Invitation, error)) (personnel.Invitation, error) {
	i, err := read(c.Request().Context(), hash, d.Now())
	if errors.Is(err, policies.Refuse(policies.InvitationInvalid)) {
		return i, errors.Join(err, d.recordFailure(c, attempt{by: byInvitation, cause: causeUnknown}))
	}
	return i, err
}

// BeginEnrolment draws a challenge for a passkey to be made: by an invitation
// or, if that is empty, by somebody who is in (policies.InvitationInvalid,
// policies.SessionExpired). What it returns is the argument of
// navigator.credentials.create.
func (d *Door) BeginEnrolment(c echo.Context, invitation string) (*protocol.CredentialCreation, error) {
	under, account, err := d.mayEnrol(c, invitation)
	if err != nil {
		return nil, err
	}
	m, err := d.member(c.Request().Context(), account)
	if err != nil {
		return nil, err
	}
	options, session, err := d.web.BeginRegistration(m, webauthn.WithExclusions(webauthn.Credentials(m.keys).CredentialDescriptors()))
	if err != nil {
		return nil, fmt.Errorf("beginning an enrolment: %w", err)
	}
	under.Session = *session
	return options, d.begin(c, under)
}

func (d *Door) mayEnrol(c echo.Context, invitation string) (ceremony, personnel.Account, error) {
	if invitation == "" {
		v, err := d.Visit(c)
		return ceremony{Kind: toEnrol, Account: v.Account.ID, Visit: v.Hash}, v.Account, err
	}
	i, err := d.Invited(c, invitation)
	return ceremony{Kind: toEnrol, Account: i.Account.ID, Invitation: i.Hash}, i.Account, err
}

// FinishEnrolment takes the browser's answer, a PublicKeyCredential as JSON, and
// adds its passkey to the account. It says whether that was by an invitation.
func (d *Door) FinishEnrolment(c echo.Context, answer []byte) (invited bool, err error) {
	if err := d.admit(c); err != nil {
		return false, err
	}
	under, err := d.take(c, toEnrol)
	if err != nil {
		return false, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return false, fmt.Errorf("%w: %w", policies.Refuse(policies.RequestMalformed), err)
	}
	made, err := d.web.CreateCredential(member{ID: under.Account}, under.Session, parsed)
	if err != nil {
		return false, fmt.Errorf("%w: %w", policies.Refuse(policies.RequestMalformed), err)
	}
	account, by, err := d.spend(c, under)
	if err != nil {
		return false, err
	}
	facts := passkeyFacts(made.ID)
	facts["name"], facts["by"] = account.Name, by
	if err := d.record(c.Request().Context(), d.Kind.Events.Enrolled, account.ID, facts); err != nil {
		return false, err
	}
	kept, err := passkey(made)
	if err != nil {
		return false, err
	}
	return by == byInvitation, d.Store.AddPasskey(c.Request().Context(), account.ID, kept, d.Now())
}

// spend takes what an enrolment began with: an invitation is used now, a visit
// goes on.
func (d *Door) spend(c echo.Context, under ceremony) (personnel.Account, string, error) {
	if under.Invitation != nil {
		i, err := d.invitation(c, under.Invitation, d.Store.TakeInvitation)
		return i.Account, byInvitation, err
	}
	v, err := d.Visit(c)
	if err == nil && !bytes.Equal(v.Hash, under.Visit) {
		err = policies.Refuse(policies.SessionExpired)
	}
	return v.Account, "session", err
}
