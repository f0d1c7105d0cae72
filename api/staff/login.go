package staff

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// BeginLogin draws a challenge for any passkey of this door. What it returns is
// the argument of navigator.credentials.get, to be encoded as JSON.
func (d *Door) BeginLogin(c echo.Context) (*protocol.CredentialAssertion, error) {
	if err := d.admit(c); err != nil {
		return nil, err
	}
	options, session, err := d.web.BeginDiscoverableLogin()
	if err != nil {
		return nil, fmt.Errorf("beginning a login: %w", err)
	}
	return options, d.begin(c, ceremony{Kind: toLogin, Session: *session})
}

// FinishLogin takes the browser's answer, a PublicKeyCredential as JSON, and
// begins a session (the kind's refusal).
func (d *Door) FinishLogin(c echo.Context, answer []byte) (personnel.Account, error) {
	if err := d.admit(c); err != nil {
		return personnel.Account{}, err
	}
	a := attempt{by: byPasskey}
	under, err := d.take(c, toLogin)
	if errors.Is(err, policies.Refuse(policies.SessionExpired)) {
		return personnel.Account{}, d.refuse(c, a.because(causeReplayed))
	}
	if err != nil {
		return personnel.Account{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return personnel.Account{}, d.refuse(c, a.because(causeMalformed))
	}
	a.facts = passkeyFacts(parsed.RawID)
	m, err := d.claimed(c.Request().Context(), parsed)
	if err != nil {
		return personnel.Account{}, err
	}
	a.account = m.Account
	err = d.compare(c.Request().Context(), m, under, parsed)
	if cause, ok := errors.AsType[failure](err); ok {
		return personnel.Account{}, d.refuse(c, a.because(string(cause)))
	}
	if err != nil {
		return personnel.Account{}, err
	}
	return m.Account, d.enter(c, a, nil)
}

// claimed is whose passkey it says to be; without such an account, a decoy.
func (d *Door) claimed(ctx context.Context, parsed *protocol.ParsedCredentialAssertionData) (member, error) {
	account, err := d.Store.Account(ctx, string(parsed.Response.UserHandle))
	if d.unknown(err) {
		return decoy(parsed.RawID, parsed.Response.UserHandle), nil
	}
	if err != nil {
		return member{}, fmt.Errorf("reading an account: %w", err)
	}
	return d.member(ctx, account)
}

// failure is the cause for which a passkey is refused.
type failure string

func (f failure) Error() string { return string(f) }

// compare verifies that it was the member's passkey, and advances its counter.
func (d *Door) compare(ctx context.Context, m member, under ceremony, parsed *protocol.ParsedCredentialAssertionData) error {
	_, used, err := d.web.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return m, nil }, under.Session, parsed)
	switch {
	case m.handle != nil:
		return failure(causeUnknown)
	case err != nil:
		return failure(causeWrong)
	case used.Authenticator.CloneWarning:
		return failure(causeCounter)
	case m.Disabled():
		return failure(causeDisabled)
	}
	is, err := passkey(used)
	if err != nil {
		return err
	}
	for _, was := range m.stored {
		if bytes.Equal(was.ID, is.ID) {
			err = d.Store.UsePasskey(ctx, was, is, d.Now())
		}
	}
	if d.unknown(err) {
		return failure(causeCounter) // used in the same moment
	}
	return err
}

// decoy has a passkey that nobody holds, so that an unknown one is compared as
// long as a known one. Its key is the generator of P-256, whose private part is 1:
// whoever signs with it is still unknown.
func decoy(id, handle []byte) member {
	return member{handle: append([]byte{}, handle...), keys: []webauthn.Credential{{ID: id, PublicKey: decoyKey()}}}
}

// decoyKey is a COSE_Key (RFC 9053, section 7.1.1): EC2, ES256, P-256, x, y.
func decoyKey() []byte {
	const (
		x = "\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96"
		y = "\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5"
	)
	return []byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + x + "\x22\x58\x20" + y)
}
