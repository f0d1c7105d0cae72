package pages

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

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
	return &Confirm{
		Page: page, CodeSent: *sent, Reference: r.Reference(), Documents: listed(r, false), Signer: v.signer(),
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
	err = d.consent(c, v)
	if err == nil {
		return seeOther(c, at(r.ID, "hecho"))
	}
	// Authorised and not signed, or the same form posted twice.
	if used, unknown := d.consumed(c.Request().Context(), v, signer.ForSignature); unknown == nil && used {
		return d.spent(c, r, v)
	}
	view, viewErr := d.confirmView(c, r, v)
	if viewErr != nil || view == nil {
		return seeOther(c, at(r.ID, "revisar"))
	}
	return d.again(c, err, view, FieldCode)
}

// signingTime bounds the wait for a signature that nobody may break off.
const signingTime = time.Minute

// consent gives both factors for an authorisation and spends it at once. It
// never leaves this process.
func (d *Door) consent(c echo.Context, v visitor) error {
	code, err := signer.ParseCode(c.FormValue(FieldCode))
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	authorised, err := d.Module.Authorise(ctx, signer.Answer{Ticket: v.ticket, Code: code})
	if err != nil {
		return err
	}
	// The citizen has said yes: whether the browser still waits changes nothing.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signingTime)
	defer cancel()
	if err := d.Module.Sign(ctx, authorised.SAD); err != nil {
		return err
	}
	d.Requests.AugmentSoon(ctx, v.RequestID)
	return nil
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
