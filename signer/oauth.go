package signer

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// The switches of an application: what of the FAPI 2.0 security profile is
// relaxed for it, and what else is off unless somebody says so.
const (
	// SwitchSecret admits a client secret (RFC 6749, section 2.3.1).
	SwitchSecret = "secret"
	// SwitchNoPAR admits authorisation requests that were not pushed.
	SwitchNoPAR = "no-par"
	// SwitchUnbound admits access tokens that anybody may bear.
	SwitchUnbound = "no-sender-constraint"
	// SwitchCSC1 opens version 1 of the Cloud Signature Consortium's interface.
	SwitchCSC1 = "csc-v1"
	// SwitchExplicit admits factors that pass through the application (SCAL1).
	SwitchExplicit = "explicit"
	// SwitchCredentials lets the application ask citizens to have their certificate
	// made or to give it up.
	SwitchCredentials = "credentials"
)

// Switches are all of them.
func Switches() []string {
	return []string{SwitchSecret, SwitchNoPAR, SwitchUnbound, SwitchCSC1, SwitchExplicit, SwitchCredentials}
}

// The doors for applications. What citizens grant, codes and their tokens, is had
// at DoorOAuth; a token by client credentials alone is no door's.
const (
	DoorREST  = "rest"
	DoorCSC1  = "csc-v1"
	DoorCSC2  = "csc-v2"
	DoorOAuth = "oauth"
)

// Doors are all of them.
func Doors() []string { return []string{DoorREST, DoorCSC1, DoorCSC2, DoorOAuth} }

// Formats are what Permit knows.
func Formats() []Format { return []Format{PAdES, CAdESDetached, CAdESAttached, Hash} }

// Has reports whether a switch is on.
func (c Client) Has(name string) bool { return slices.Contains(c.Switches, name) }

// Enter refuses a door that is closed to the application (policies.DoorNotAllowed).
// That of version 1 has to be opened by its switch, too. No door is open to all.
func (c Client) Enter(door string) error {
	open := door == "" || len(c.Doors) == 0 || slices.Contains(c.Doors, door)
	if !open || door == DoorCSC1 && !c.Has(SwitchCSC1) {
		return policies.Refuse(policies.DoorNotAllowed, "door", door)
	}
	return nil
}

// Permit refuses a kind of signature that is not for the application to ask for
// (policies.FormatNotAllowed, policies.LevelNotAllowed). No level is B-B; a bare
// signature over a hash has none.
func (c Client) Permit(format Format, level cades.Level) error {
	level = cmp.Or(level, cades.BB)
	switch {
	case len(c.Formats) > 0 && !slices.Contains(c.Formats, format):
		return policies.Refuse(policies.FormatNotAllowed, "format", string(format))
	case format != Hash && len(c.Levels) > 0 && !slices.Contains(c.Levels, level):
		return policies.Refuse(policies.LevelNotAllowed, "level", string(level))
	}
	return nil
}

// RegisteredClient is a client as those see it who administer it.
type RegisteredClient struct {
	Client

	Webhooks  []Webhook // where it is told
	Enabled   bool
	CreatedAt time.Time
}

// SecretOverlap is how long at most a secret is good beside the next one.
const SecretOverlap = 31 * 24 * time.Hour

// SecretHashes are the secrets that are good now, the newest first.
func (c Client) SecretHashes(now time.Time) (good [][]byte) {
	if len(c.SecretHash) == sha256.Size {
		good = append(good, c.SecretHash)
	}
	if len(c.FormerSecretHash) == sha256.Size && now.Before(c.FormerSecretUntil) {
		good = append(good, c.FormerSecretHash)
	}
	return good
}

// KeyLife is for how many years a key is good unless somebody says otherwise.
const KeyLife = 2

// ClientKey is a public key with which an application shows who it is.
type ClientKey struct {
	ID        string
	JWK       []byte // RFC 7517, public
	NotBefore time.Time
	NotAfter  time.Time
	AddedAt   time.Time
}

// ClientCertificate is a TLS certificate by which an application shows who it is.
type ClientCertificate struct {
	SHA256    []byte
	DER       []byte
	NotBefore time.Time
	NotAfter  time.Time
	AddedAt   time.Time
}

// AuthorisationSession is an authorisation request on its way. Of the addresses
// by which it is found there are hashes only.
type AuthorisationSession struct {
	Hash          []byte // SHA-256 of the session's id
	RequestURI    []byte // SHA-256 of the request URI, nil if the request was not pushed
	ApplicationID string
	RequestID     string // what the citizen signs, empty if nothing or not yet
	Subject       string // citizen's id, empty before the log-in
	Data          []byte // JSON, the authorisation server's own
	ExpiresAt     time.Time
	Ended         bool
}

// OAuthGrant is what was granted to an application.
type OAuthGrant struct {
	ID            string
	ApplicationID string
	Session       []byte // hash of the session that it came of, nil if of none
	Subject       string // citizen's id, empty: the application itself
	RequestID     string
	CredentialID  string
	Scopes        []string
	Code          []byte // SHA-256
	CodeUsedAt    time.Time
	Refreshable   bool
	Refresh       []byte // SHA-256
	SAD           []byte // encrypted
	SADExpiresAt  time.Time
	ConsentID     string // scope service of a citizen
	Data          []byte // JSON, the authorisation server's own
	CreatedAt     time.Time
	RevokedAt     time.Time
	ExpiresAt     time.Time
}

// ShownToken is what is known of an access token that somebody shows.
type ShownToken struct {
	AccessToken
	Client Client
	Grant  OAuthGrant // without data; the zero value if it came of none
	// Identifier is the DNI or NIE of the grant's citizen.
	Identifier string
}
