package staff

import (
	"cmp"
	"context"
	"maps"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// Why an attempt failed. The log is told, the other side is not.
const (
	causeMissing   = "missing" // nothing was shown
	causeUnknown   = "unknown"
	causeDisabled  = "disabled"
	causeExpired   = "expired"
	causeUntrusted = "untrusted" // a certificate of another authority, or for another use
	causeRevoked   = "revoked"
	causeUnclear   = "unclear"  // whether the certificate was revoked, nobody could tell
	causeWrong     = "wrong"    // a secret or a signature that is not the account's
	causeReplayed  = "replayed" // no such challenge: used, expired, or another browser's
	causeCounter   = "counter"  // the passkey has been copied (WebAuthn Level 3, section 6.1.1)
	causeMalformed = "malformed"
)

// nobody is the operation of entries about an attempt that names no account.
const nobody = "unknown"

// attempt is somebody at the door.
type attempt struct {
	by      string
	account personnel.Account // zero while unknown
	cause   string            // why it fails
	facts   map[string]any
}

func (a attempt) because(cause string) attempt {
	a.cause = cause
	return a
}

// refuse records a failed attempt and makes of it the one refusal that all have
// in common.
func (d *Door) refuse(c echo.Context, a attempt) error {
	if err := d.recordFailure(c, a); err != nil {
		return err
	}
	return policies.Refuse(d.Kind.Refused)
}

func (d *Door) recordFailure(c echo.Context, a attempt) error {
	ctx, now := c.Request().Context(), d.Now()
	omitted, admitted := d.failures.Take(now)
	if !admitted {
		d.Logger.WarnContext(ctx, "login_failed", "kind", d.Kind.Name, "by", a.by, "cause", a.cause, "address", c.RealIP())
		return nil
	}
	payload := map[string]any{"by": a.by, "cause": a.cause, "address": c.RealIP()}
	maps.Copy(payload, a.facts)
	if omitted > 0 {
		payload["omitted"] = omitted
	}
	_, err := d.Recorder.RecordAudit(ctx, audit.Entry{
		Type: d.Kind.Events.LoginFailed, Operation: cmp.Or(a.account.ID, nobody), At: now, Payload: payload,
	})
	if err != nil {
		d.failures.Omit(omitted + 1)
	}
	return err
}

// recordEntry comes before the session or the token that it tells of.
func (d *Door) recordEntry(ctx context.Context, a attempt, address string) error {
	payload := map[string]any{"name": a.account.Name, "role": a.account.Role, "by": a.by}
	if a.account.Office != "" {
		payload["office"] = a.account.Office
	}
	if address != "" {
		payload["address"] = address
	}
	maps.Copy(payload, a.facts)
	return d.record(ctx, d.Kind.Events.LoggedIn, a.account.ID, payload)
}

func (d *Door) record(ctx context.Context, kind audit.EventType, accountID string, payload map[string]any) error {
	_, err := d.Recorder.RecordAudit(ctx, audit.Entry{Type: kind, Operation: accountID, At: d.Now(), Payload: payload})
	return err
}
