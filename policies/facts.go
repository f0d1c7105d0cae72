package policies

import "time"

// Facts are what is known of a citizen at one moment. Nothing but these, and
// the Rules, enters a decision.
type Facts struct {
	Now          time.Time
	Status       Status
	Registration Registration
	// DocumentUntil is the last day on which the DNI or NIE is valid; only
	// its day counts. Zero means that nobody could tell.
	DocumentUntil time.Time
	// PhoneChangedAt is when the citizen's mobile took another's place, zero if
	// it is the one of the registration.
	PhoneChangedAt time.Time
	// Certificate is the citizen's newest, nil if there never was one.
	Certificate *Certificate
	// Live counts the certificates that can sign now, Certificate among them.
	Live int
}

// Status is where a citizen stands.
type Status string

// The states of a citizen.
const (
	StatusRegistered   Status = "registered" // no password yet
	StatusActive       Status = "active"
	StatusBlocked      Status = "blocked"
	StatusDeregistered Status = "deregistered"
	StatusDeceased     Status = "deceased"
)

// Mode is the way in which an identity was proved.
type Mode string

// The ways to register or to renew a registration.
const (
	ModeOffice      Mode = "office"
	ModeCertificate Mode = "certificate" // on line, with a qualified certificate other than the DNIe's
	ModeDNIe        Mode = "dnie"
	ModeLetter      Mode = "letter" // on line, with the code of an invitation letter
	ModeVideo       Mode = "video"
)

// Level is how sure the identity is.
type Level string

// The levels of a registration. Only the advanced one may hold a certificate.
const (
	LevelBasic    Level = "basic"
	LevelAdvanced Level = "advanced"
)

// Registration is the latest act that proved the citizen's identity: the first
// one, or the one that renewed it.
type Registration struct {
	Mode      Mode
	Level     Level
	AssuredAt time.Time
}

// Certificate is what decides whether a certificate can sign. Its validity
// runs from NotBefore to NotAfter, both included (RFC 5280, section 4.1.2.5).
type Certificate struct {
	NotBefore time.Time
	NotAfter  time.Time
	RevokedAt time.Time // zero if it is not revoked
	// Suspended is a revocation that may be lifted (certificateHold, RFC 5280,
	// section 5.3.1). RevokedAt is zero meanwhile.
	Suspended bool
}

// validAt is whether the certificate can sign at that moment.
func (c *Certificate) validAt(now time.Time) bool {
	return c.keptAt(now) && !c.Suspended && !now.Before(c.NotBefore)
}

// keptAt is whether the certificate is the citizen's at that moment: neither
// revoked nor expired. A suspended one is.
func (c *Certificate) keptAt(now time.Time) bool {
	return c != nil && c.RevokedAt.IsZero() && !now.After(c.NotAfter)
}
