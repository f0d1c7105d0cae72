package policies

import (
	"strconv"
	"time"
)

// Grant is the leave to issue one certificate.
type Grant struct {
	// NotAfter is the last moment, to the second, at which the certificate
	// may be valid.
	NotAfter time.Time
}

// IssueCertificate decides whether the citizen may get a certificate now,
// their first or a further one. The error is a *Refusal.
func IssueCertificate(f Facts, r Rules) (Grant, error) {
	obstacles := append(standing(f), certifiable(f, r)...)
	obstacles = append(obstacles, surplus(f, r)...)
	if len(obstacles) > 0 {
		return Grant{}, obstacles[0]
	}
	end := r.anniversary(f.Now, r.CertificateYears)
	if limit := r.registrationEnd(f); limit.Before(end) {
		end = limit
	}
	// The last second of a validity belongs to it (RFC 5280, section
	// 4.1.2.5), so it is the one before the anniversary.
	return Grant{NotAfter: end.Add(-time.Nanosecond).Truncate(time.Second).UTC()}, nil
}

// Sign decides whether the citizen may sign now. The age of the registration
// does not count: a certificate once issued can be used until it expires. The
// error is a *Refusal.
func Sign(f Facts, r Rules) error {
	if obstacles := append(standing(f), usable(f, r)...); len(obstacles) > 0 {
		return obstacles[0]
	}
	return nil
}

// Preflight lists all that stands between the citizen and a signature now,
// what must be mended first at the head; it is empty exactly when Sign agrees.
// With no usable certificate it includes what stands between the citizen and
// one: where the list is only that certificate's absence, it can be issued in
// the ceremony itself.
func Preflight(f Facts, r Rules) []*Refusal {
	obstacles := standing(f)
	missing := usable(f, r)
	if len(missing) > 0 {
		obstacles = append(obstacles, certifiable(f, r)...)
	}
	return append(obstacles, missing...)
}

// standing is whether the citizen belongs to the service and has activated.
func standing(f Facts) []*Refusal {
	switch f.Status {
	case StatusActive:
		return nil
	case StatusDeregistered:
		return []*Refusal{Refuse(CitizenDeregistered).From(SourceRegister)}
	case StatusBlocked:
		return []*Refusal{Refuse(CitizenBlocked).From(SourceRegister)}
	default:
		return []*Refusal{Refuse(CitizenInactive).From(SourceRegister)}
	}
}

// certifiable is whether identity document and registration carry a new
// certificate.
func certifiable(f Facts, r Rules) []*Refusal {
	var obstacles []*Refusal
	if refusal := document(f, r); refusal != nil {
		obstacles = append(obstacles, refusal)
	}
	if !f.Registration.advanced() {
		obstacles = append(obstacles, Refuse(RegistrationLevel).From(SourceLevels))
	}
	if r.Reading != ReadingAge && f.Registration.Mode == ModeCertificate {
		obstacles = append(obstacles, Refuse(RegistrationTelematic, "since", r.day(f.Registration.AssuredAt)).From(SourceRenewal))
	}
	if !f.Now.Before(r.registrationEnd(f)) {
		obstacles = append(obstacles, Refuse(RegistrationTooOld,
			"since", r.day(f.Registration.AssuredAt), "years", strconv.Itoa(r.RegistrationYears)).From(SourceRenewal))
	}
	return obstacles
}

// document is whether the DNI or NIE is valid today.
func document(f Facts, r Rules) *Refusal {
	switch {
	case r.ExpiredDocument:
		return nil
	case f.DocumentUntil.IsZero():
		return Refuse(IdentityDocumentExpiry).From(SourceRegister)
	case !f.Now.Before(r.dayAfter(f.DocumentUntil)):
		return Refuse(IdentityDocumentExpiry, "until", f.DocumentUntil.Format(time.DateOnly)).From(SourceRegister)
	}
	return nil
}

// advanced is whether the registration may hold a certificate. A letter or an
// unknown way never makes an advanced one, whatever the record says.
func (g Registration) advanced() bool {
	switch g.Mode {
	case ModeOffice, ModeCertificate, ModeDNIe, ModeVideo:
		return g.Level == LevelAdvanced
	default:
		return false
	}
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

// surplus is whether the citizen has all the certificates that they may have.
func surplus(f Facts, r Rules) []*Refusal {
	live := f.Live
	if f.Certificate.validAt(f.Now) {
		live = max(live, 1)
		if !f.Now.Before(f.Certificate.NotAfter.Add(-r.RenewalWindow)) {
			live--
		}
	}
	if live < r.MaxLive {
		return nil
	}
	refusal := Refuse(CredentialExists).From(SourceSole)
	if f.Certificate.validAt(f.Now) {
		refusal = Refuse(CredentialExists, "until", r.day(f.Certificate.NotAfter)).From(SourceSole)
	}
	return []*Refusal{refusal}
}

// usable is whether there is a certificate that can sign now.
func usable(f Facts, r Rules) []*Refusal {
	c := f.Certificate
	switch {
	case c == nil || f.Now.Before(c.NotBefore):
		return []*Refusal{Refuse(CredentialMissing).From(SourceValidity)}
	case !c.RevokedAt.IsZero():
		return []*Refusal{Refuse(CertificateRevoked, "since", r.day(c.RevokedAt)).From(SourceValidity)}
	case f.Now.After(c.NotAfter):
		return []*Refusal{Refuse(CertificateExpired, "since", r.day(c.NotAfter)).From(SourceValidity)}
	}
	return nil
}
