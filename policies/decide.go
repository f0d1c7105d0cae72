package policies

import "time"

// Grant is the leave to issue one certificate.
type Grant struct {
	// NotAfter is the last moment, to the second, at which the certificate
	// may be valid.
	NotAfter time.Time
}

// IssueCertificate decides whether the citizen may get a certificate now,
// their first or a further one beside or after those they have. The error is a
// *Refusal.
func IssueCertificate(f Facts, r Rules) (Grant, error) { return r.grant(f, issuing(f, r)) }

// Renew decides whether the certificate that is in force may be followed by
// another now. A grant ends later than that certificate does. The error is a
// *Refusal.
func Renew(f Facts, r Rules) (Grant, error) { return r.grant(f, renewing(f, r)) }

// Reissue decides whether the citizen may get a certificate in the place of
// one that was revoked or has expired, or whose key has to be replaced because
// it is kept in a way that the service has left: a certificate in force does
// not stand in the way of its successor, however far its end. The error is a
// *Refusal.
func Reissue(f Facts, r Rules) (Grant, error) { return r.grant(f, reissuing(f, r)) }

// Sign decides whether the citizen may sign now. The age of the registration
// does not count: a certificate once issued can be used until it expires. The
// error is a *Refusal.
func Sign(f Facts, r Rules) error {
	if obstacles := append(standing(f), usable(f, r)...); len(obstacles) > 0 {
		return obstacles[0]
	}
	return nil
}

// SetPassword decides whether whoever has an activation code and the mobile may
// choose a password. A first one opens nothing that was there before. The error
// is a *Refusal.
func SetPassword(f Facts, r Rules) error {
	if obstacles := settling(f, r); len(obstacles) > 0 && f.Status != StatusRegistered {
		return obstacles[0]
	}
	return nil
}

// Register decides whether somebody with that status may be registered; the
// empty one is who never was. Somebody who left may come back, and nobody comes
// back in the name of somebody who has died. The error is a *Refusal.
func Register(s Status) error {
	switch s {
	case "", StatusDeregistered:
		return nil
	case StatusDeceased:
		return Refuse(CitizenDeceased).From(SourceRegister)
	default:
		return Refuse(CitizenExists).From(SourceRegister)
	}
}

// Belong decides whether somebody with that status may be identified, renew the
// registration, or have anything of it changed: a password is not asked for. The
// error is a *Refusal.
func Belong(s Status) error {
	if refusal := belonging(s); refusal != nil {
		return refusal
	}
	return nil
}

func (r Rules) grant(f Facts, obstacles []*Refusal) (Grant, error) {
	if len(obstacles) > 0 {
		return Grant{}, obstacles[0]
	}
	return Grant{NotAfter: r.certificateEnd(f)}, nil
}

func issuing(f Facts, r Rules) []*Refusal {
	obstacles := append(standing(f), suspended(f)...)
	obstacles = append(obstacles, certifiable(f, r)...)
	obstacles = append(obstacles, surplus(f, r, 0)...)
	return append(obstacles, settling(f, r)...)
}

func reissuing(f Facts, r Rules) []*Refusal {
	obstacles := append(standing(f), suspended(f)...)
	obstacles = append(obstacles, certifiable(f, r)...)
	obstacles = append(obstacles, surplus(f, r, 1)...)
	return append(obstacles, settling(f, r)...)
}

// renewing tells of nothing else where there is nothing to renew: what stands
// in the way of another certificate is issuing's to say.
func renewing(f Facts, r Rules) []*Refusal {
	obstacles := standing(f)
	if missing := usable(f, r); len(missing) > 0 {
		return append(obstacles, missing...)
	}
	obstacles = append(obstacles, early(f, r)...)
	obstacles = append(obstacles, certifiable(f, r)...)
	obstacles = append(obstacles, fruitless(f, r)...)
	obstacles = append(obstacles, surplus(f, r, 1)...)
	return append(obstacles, settling(f, r)...)
}

// certificateEnd is the last second of a certificate issued now.
func (r Rules) certificateEnd(f Facts) time.Time {
	end := r.anniversary(f.Now, r.CertificateYears)
	if limit := r.registrationEnd(f); limit.Before(end) {
		end = limit
	}
	// The last second of a validity belongs to it (RFC 5280, section
	// 4.1.2.5), so it is the one before the anniversary.
	return end.Add(-time.Nanosecond).Truncate(time.Second).UTC()
}

// registrationEnd is the moment from which the registration is too old. One
// that lies ahead of the clock counts from now: a wrong clock gives nobody
// more time.
func (r Rules) registrationEnd(f Facts) time.Time {
	from := f.Registration.AssuredAt
	if from.After(f.Now) {
		from = f.Now
	}
	return r.anniversary(from, r.RegistrationYears)
}

// renewalStart is the moment from which a certificate may be renewed.
func (r Rules) renewalStart(c *Certificate) time.Time { return r.daysBefore(c.NotAfter, r.RenewalDays) }
