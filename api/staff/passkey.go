package staff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// relyingParty is who passkeys are made for: they can be found without a name
// being typed, and ask whoever holds them for a PIN or a finger.
func relyingParty(c Config) (*webauthn.WebAuthn, error) {
	address, err := url.Parse(c.PublicURL)
	if err != nil || address.Hostname() == "" {
		return nil, fmt.Errorf("the public address %q is none", c.PublicURL)
	}
	found := true
	web, err := webauthn.New(&webauthn.Config{
		RPID: address.Hostname(), RPDisplayName: c.Name, RPOrigins: []string{address.Scheme + "://" + address.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &found,
			UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing passkeys: %w", err)
	}
	return web, nil
}

// The kinds of ceremony.
const (
	toLogin = "login"
	toEnrol = "enrol"
)

// ceremony is what a challenge was drawn for.
type ceremony struct {
	Kind    string               `json:"kind"`
	Session webauthn.SessionData `json:"session"`
	// Of an enrolment: for whom, and by which invitation or which visit.
	Account    string `json:"account,omitempty"`
	Invitation []byte `json:"invitation,omitempty"`
	Visit      []byte `json:"visit,omitempty"`
}

// begin keeps a ceremony and binds it to the browser.
func (d *Door) begin(c echo.Context, under ceremony) error {
	record, err := json.Marshal(under)
	if err != nil {
		return fmt.Errorf("encoding a ceremony: %w", err)
	}
	secret, hash := newSecret()
	if err := d.Store.AddChallenge(c.Request().Context(), hash, record, d.Now().Add(d.Limits.Challenge)); err != nil {
		return err
	}
	setSecret(c, d.challengeCookie(), secret, d.Limits.Challenge)
	return nil
}

// take ends the browser's ceremony: a challenge is spent before it is looked at
// (policies.SessionExpired).
func (d *Door) take(c echo.Context, kind string) (ceremony, error) {
	_, hash := secretIn(c, d.challengeCookie())
	setSecret(c, d.challengeCookie(), "", 0)
	record, err := d.Store.TakeChallenge(c.Request().Context(), hash, d.Now())
	if err != nil {
		return ceremony{}, err
	}
	var under ceremony
	if err := json.Unmarshal(record, &under); err != nil {
		return ceremony{}, fmt.Errorf("decoding a ceremony: %w", err)
	}
	if under.Kind != kind {
		return ceremony{}, policies.Refuse(policies.SessionExpired)
	}
	return under, nil
}

// member is an account as WebAuthn sees it. Its handle is drawn, as the account's
// id is, and tells nothing of the person (WebAuthn Level 3, section 14.6.1).
type member struct {
	personnel.Account
	handle []byte // of a decoy, which has no account
	stored []personnel.Passkey
	keys   []webauthn.Credential
}

// WebAuthnID implements webauthn.User.
func (m member) WebAuthnID() []byte {
	if m.handle != nil {
		return m.handle
	}
	return []byte(m.ID)
}

// WebAuthnName implements webauthn.User.
func (m member) WebAuthnName() string { return m.Name }

// WebAuthnDisplayName implements webauthn.User.
func (m member) WebAuthnDisplayName() string { return m.Name }

// WebAuthnCredentials implements webauthn.User.
func (m member) WebAuthnCredentials() []webauthn.Credential { return m.keys }

// passkey is a credential in the form in which it is kept.
func passkey(k *webauthn.Credential) (personnel.Passkey, error) {
	record, err := json.Marshal(k)
	if err != nil {
		return personnel.Passkey{}, fmt.Errorf("encoding a passkey: %w", err)
	}
	return personnel.Passkey{ID: k.ID, Record: record}, nil
}

func passkeyFacts(id []byte) map[string]any {
	sum := sha256.Sum256(id)
	return map[string]any{"passkey_sha256": hex.EncodeToString(sum[:])}
}

// member reads an account with its passkeys.
func (d *Door) member(ctx context.Context, a personnel.Account) (member, error) {
	m := member{Account: a}
	var err error
	if m.stored, err = d.Store.Passkeys(ctx, a.ID); err != nil {
		return m, fmt.Errorf("reading passkeys: %w", err)
	}
	m.keys = make([]webauthn.Credential, len(m.stored))
	for i, p := range m.stored {
		if err := json.Unmarshal(p.Record, &m.keys[i]); err != nil {
			return m, fmt.Errorf("decoding a passkey: %w", err)
		}
	}
	return m, nil
}
