package signer

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// PasswordLimits bound guesses at one citizen's password. Wrong ones pause
// further ones, for longer each time. A lock is lifted by a new password alone,
// so it takes wrong ones from a network from which the citizen has come: guesses
// from elsewhere pause those from elsewhere, and lock nobody.
//
// What is told does not depend on any of that, nor on whether there is such a
// citizen: only the right password learns of a lock.
type PasswordLimits struct {
	Tries    int           // wrong ones from one side pause that side; from a familiar network they lock
	Pause    time.Duration // the first pause; it doubles
	MaxPause time.Duration
	// Hard is where guesses lock wherever they come from: NIST SP 800-63B-4,
	// section 3.2.2, allows no more than 100 consecutive failures.
	Hard int
	// Familiar is how long a network is remembered.
	Familiar time.Duration
}

// turnAway is the refusal of a guess that is not even compared.
func (l PasswordLimits) turnAway(t Tally, now time.Time) (*policies.Refusal, audit.EventType) {
	switch {
	case t.Failures > l.Hard:
		return policies.Refuse(policies.PasswordLocked), audit.AuthLocked
	case t.RetryAt.After(now):
		return policies.Refuse(policies.PasswordPaused).After(t.RetryAt.Sub(now)), audit.AuthPaused
	}
	return nil, ""
}

// wrong is the refusal of a guess that was compared.
func (l PasswordLimits) wrong(t Tally) *policies.Refusal {
	switch left := l.Tries - t.Failures; {
	case left > 0:
		return policies.Refuse(policies.CredentialsWrong, "tries", fmt.Sprint(left))
	case t.Failures >= l.Hard:
		return policies.Refuse(policies.PasswordLocked)
	default:
		return policies.Refuse(policies.PasswordPaused).After(l.PauseAfter(t.Failures))
	}
}

// PauseAfter is how long no guess is compared after so many wrong ones.
func (l PasswordLimits) PauseAfter(failures int) time.Duration {
	if failures < l.Tries || failures >= l.Hard {
		return 0 // not yet, or locked instead
	}
	return min(l.MaxPause, l.Pause<<min(failures-l.Tries, 16))
}

// Source is the network that an address belongs to, as far as one household's
// or office's connection keeps it: 24 bits of IPv4, 64 of IPv6. It is empty for
// what is no address.
func Source(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	bits := 64
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	network, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return network.String()
}
