package csc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Explicit is explicit mode: PIN (the password) and OTP (the code of an SMS) come
// from the application. It is SCAL1, and the signer refuses it where deployment or
// application have it switched off, whatever this door says.
type Explicit interface {
	SendExplicitCode(ctx context.Context, o signer.ExplicitOrder) error
	Identify(ctx context.Context, who signer.Identification) (signer.Session, error)
	AuthoriseExplicit(ctx context.Context, a signer.Answer) (signer.Authorised, error)
	// Withdraw ends a request whose factors did not hold.
	Withdraw(ctx context.Context, requestID string) error
}

// Hashes makes signature requests over hashes. *requests.Service fulfils it.
type Hashes interface {
	SubmitHashes(ctx context.Context, sub requests.HashSubmission) (signer.Request, error)
	Fix(ctx context.Context, requestID string, ticket signer.Ticket) (signer.Request, error)
}

// explicitLife is how long a request waits whose factors come along with it.
const explicitLife = 5 * time.Minute

// explicit is whether the application of a call may use the mode.
func (d *Door) explicit(c call) bool {
	return d.Explicit != nil && c.grant.Client.Has(signer.SwitchExplicit)
}

// sendCode has the citizen sent a code that the application is going to ask for.
func (d *Door) sendCode(ctx context.Context, c call, s subject) error {
	err := d.Explicit.SendExplicitCode(ctx, signer.ExplicitOrder{
		ApplicationID: c.grant.Client.ID, Identifier: s.citizen.Identifier, CredentialID: s.credential.ID,
	})
	return told(err)
}

// factors are what an application has asked its citizen for.
type factors struct {
	pin []byte
	otp string
}

func (c call) factors() (f factors, err error) {
	read := func(name, value string) error {
		switch name {
		case "PIN":
			f.pin = []byte(value)
		case "OTP":
			f.otp = value
		default:
			return invalidParameter("authData")
		}
		return nil
	}
	if c.version == 1 {
		for _, name := range []string{"PIN", "OTP"} {
			value, err := c.body.must(name)
			if err != nil {
				return f, err
			}
			if err := read(name, value); err != nil {
				return f, err
			}
		}
		return f, nil
	}
	entries, ok := c.body.objects("authData")
	if !ok {
		return f, missing("array", "authData")
	}
	for _, entry := range entries {
		name, err := entry.must("id")
		if err != nil {
			return f, err
		}
		value, err := entry.must("value")
		if err != nil {
			return f, err
		}
		if err := read(name, value); err != nil {
			return f, err
		}
	}
	if len(f.pin) == 0 || f.otp == "" {
		return f, c.version.wrongFactor(true, false)
	}
	return f, nil
}

// wrongFactor is what the versions say of a factor that does not hold.
func (v version) wrongFactor(pin, locked bool) error {
	name, code := "OTP", "invalid_otp"
	if pin {
		name, code = "PIN", "invalid_pin"
	}
	switch {
	case v > 1 && locked:
		return &fault{400, "invalid_authentication_data", "Credential locked"}
	case v > 1:
		return &fault{400, "invalid_authentication_data", "The authentication data is invalid"}
	case locked:
		return &fault{400, code, name + " locked"}
	}
	return &fault{400, code, "The " + name + " is invalid"}
}

// refusedFactor puts what the signer says of password and code into the
// documents' words.
func (v version) refusedFactor(err error) error {
	var r *policies.Refusal
	if !errors.As(err, &r) {
		return err
	}
	switch r.Code { //nolint:exhaustive // the others are not about a factor
	case policies.CredentialsWrong, policies.PasswordExpired:
		return v.wrongFactor(true, false)
	case policies.PasswordLocked, policies.PasswordPaused:
		return v.wrongFactor(true, true)
	case policies.CodeWrong, policies.CodeExpired, policies.CodeUsed:
		return v.wrongFactor(false, false)
	case policies.CodeExhausted:
		return v.wrongFactor(false, true)
	}
	return told(err)
}

// authoriseExplicitly makes a consent of factors that came with the call, over its
// hashes, and hands it on as a token that is good as SAD and for nothing else.
func (d *Door) authoriseExplicitly(ctx context.Context, c call, s subject, sub requests.HashSubmission) (answer, error) {
	f, err := c.factors()
	if err != nil {
		return answer{}, err
	}
	defer clear(f.pin)
	code, err := signer.ParseCode(f.otp)
	if err != nil {
		return answer{}, c.version.wrongFactor(false, false)
	}
	r, err := d.Hashes.SubmitHashes(ctx, sub)
	if err != nil {
		return answer{}, told(err)
	}
	// Of the address nothing is known: it would be the application's.
	a, err := d.both(ctx, signer.Identification{RequestID: r.ID, Identifier: s.citizen.Identifier, Password: f.pin}, code)
	if err != nil {
		// Nobody is going to sign it. If it cannot be taken back now, it expires.
		if err := d.Explicit.Withdraw(context.WithoutCancel(ctx), r.ID); err != nil {
			d.Logger.WarnContext(ctx, "request_not_withdrawn", "request", r.ID, "error", err)
		}
		return answer{}, c.version.refusedFactor(err)
	}
	token, err := d.Authority.Carry(ctx, Consent{
		ClientID: c.grant.Client.ID, RequestID: r.ID, CredentialID: s.credential.ID, SAD: a.SAD, ExpiresAt: a.ExpiresAt,
	})
	if err != nil {
		return answer{}, fmt.Errorf("keeping a consent: %w", err)
	}
	return ok(transaction{SAD: token, ExpiresIn: max(0, int(math.Floor(a.ExpiresAt.Sub(d.Now()).Seconds())))})
}

// both has the signer count and compare the password, then the code.
func (d *Door) both(ctx context.Context, who signer.Identification, code signer.Code) (signer.Authorised, error) {
	session, err := d.Explicit.Identify(ctx, who)
	if err != nil {
		return signer.Authorised{}, err
	}
	if _, err := d.Hashes.Fix(ctx, who.RequestID, session.Ticket); err != nil {
		return signer.Authorised{}, err
	}
	return d.Explicit.AuthoriseExplicit(ctx, signer.Answer{Ticket: session.Ticket, Code: code})
}
