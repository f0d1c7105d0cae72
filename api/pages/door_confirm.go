package pages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Step 3 of the ceremony: the code, the consent and its signature.

// confirmView is nil when no code waits for an answer.
func (d *Door) confirmView(c echo.Context, r signer.Request, v visitor) (*Confirm, error) {
	sent, err := d.codeSent(c.Request().Context(), v, signer.ForSignature, at(r.ID, "codigo"))
	if err != nil || sent == nil {
		return nil, err
	}
	page := ceremonyPage(r, at(r.ID, "confirmar"))
	page.Guard = v.guard()
	site, err := d.handsOn(c.Request().Context(), r)
	if err != nil {
		return nil, err
	}
	return &Confirm{
		Site: site, Page: page, CodeSent: *sent, Reference: r.Reference(), Documents: listed(r, false), Signer: v.signer(),
		SubmitURL: at(r.ID, "confirmar"), ReviewURL: at(r.ID, "revisar"), RefuseURL: at(r.ID, "rechazar"),
	}, nil
}

func (d *Door) confirm(c echo.Context) error {
	r, v, done, err := d.inside(c, d.visitor)
	if done || err != nil {
		return err
	}
	view, err := d.confirmView(c, r, v)
	if err != nil {
		return err
	}
	if view == nil {
		return seeOther(c, at(r.ID, "revisar"))
	}
	return d.show(c, http.StatusOK, view)
}

func (d *Door) sign(c echo.Context) error {
	r, v, done, err := d.inside(c, d.posted)
	if done || err != nil {
		return err
	}
	address, err := d.consent(c, r, v)
	if err == nil {
		return seeOther(c, address)
	}
	// Authorised and not signed, or the same form posted twice.
	if used, unknown := d.consumed(c.Request().Context(), v, signer.ForSignature); unknown == nil && used {
		return d.spent(c, r, v)
	}
	if errors.Is(err, policies.Refuse(policies.DocumentChanged)) {
		return d.reviewAgain(c, err, r.ID, v)
	}
	view, viewErr := d.confirmView(c, r, v)
	if viewErr != nil || view == nil {
		return seeOther(c, at(r.ID, "revisar"))
	}
	return d.again(c, err, view, FieldCode)
}

// signingTime bounds the wait for a signature that nobody may break off.
const signingTime = time.Minute

// Grants are the authorisations that applications ask for by OAuth 2, of which
// some are for a signature. *oauth.Server fulfils it.
type Grants interface {
	// Waiting is the address at which the application waits for the citizen of a
	// signature request, Granted the same with a code, for which it is given the
	// consent. policies.RequestUnknown says that nobody waits.
	Waiting(ctx context.Context, requestID string) (string, error)
	Granted(ctx context.Context, requestID string, sad signer.SAD, until time.Time) (string, error)
}

// handsOn is the site of the application that spends the consent to a request
// itself, empty if it is spent here. Only hashes are handed on.
func (d *Door) handsOn(ctx context.Context, r signer.Request) (string, error) {
	if d.Grants == nil || len(r.Documents) == 0 || r.Documents[0].Format != signer.Hash {
		return "", nil
	}
	address, err := d.Grants.Waiting(ctx, r.ID)
	if errors.Is(err, policies.Refuse(policies.RequestUnknown)) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("reading a return address: %w", err)
	}
	return u.Scheme + "://" + u.Host, nil
}

// consent gives both factors for an authorisation and spends it at once, or
// hands it on to who waits for it; otherwise it never leaves this process. It
// says where the citizen goes.
func (d *Door) consent(c echo.Context, r signer.Request, v visitor) (string, error) {
	code, err := signer.ParseCode(c.FormValue(FieldCode))
	if err != nil {
		return "", err
	}
	ctx := c.Request().Context()
	site, err := d.handsOn(ctx, r)
	if err != nil {
		return "", err
	}
	authorised, err := d.Module.Authorise(ctx, signer.Answer{Ticket: v.ticket, Code: code})
	if err != nil {
		return "", err
	}
	// The citizen has said yes: whether the browser still waits changes nothing.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signingTime)
	defer cancel()
	if site != "" {
		return d.Grants.Granted(ctx, r.ID, authorised.SAD, authorised.ExpiresAt)
	}
	if err := d.Module.Sign(ctx, authorised.SAD); err != nil {
		return "", err
	}
	d.Requests.AugmentSoon(ctx, v.RequestID)
	return at(r.ID, "hecho"), nil
}

// spent answers a session that has ended while its request was open. If its
// code was accepted, the signature is being made, has been made, or was broken
// off, which means that the person has to begin again.
func (d *Door) spent(c echo.Context, r signer.Request, v visitor) error {
	used, err := d.consumed(c.Request().Context(), v, signer.ForSignature)
	switch {
	case err != nil:
		return err
	case !used:
		return d.sessionEnded(c)
	}
	settled, err := d.settled(c.Request().Context(), r.ID)
	switch {
	case err != nil:
		return err
	case settled.State != signer.Pending:
		return seeOther(c, at(r.ID))
	}
	return d.show(c, http.StatusServiceUnavailable, &Interrupted{Page: ceremonyPage(r, ""), RetryURL: at(r.ID)})
}

// settled is a request whose code was accepted. While it is pending, another
// answer to the same code may be on its way from authorisation to signature,
// which takes moments.
func (d *Door) settled(ctx context.Context, id string) (signer.Request, error) {
	const looks, pause = 10, 100 * time.Millisecond
	for look := 1; ; look++ {
		r, err := d.Store.Request(ctx, id)
		if err != nil || r.State != signer.Pending || look == looks {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// consumed tells whether the ticket's code has done what it was for.
func (d *Door) consumed(ctx context.Context, v visitor, purpose signer.Purpose) (bool, error) {
	sent, err := d.Store.Challenge(ctx, v.ticket.Hash(), purpose)
	return sent != nil && sent.State == signer.CodeConsumed, err
}
