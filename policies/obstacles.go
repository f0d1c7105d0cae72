package policies

import (
	"strconv"
	"time"
)

// belonging is why somebody is not one of the service's, nil if they are.
func belonging(s Status) *Refusal {
	switch s {
	case StatusRegistered, StatusActive:
		return nil
	case StatusBlocked:
		return Refuse(CitizenBlocked).From(SourceRegister)
	case StatusDeregistered:
		return Refuse(CitizenDeregistered).From(SourceRegister)
	case StatusDeceased:
		return Refuse(CitizenDeceased).From(SourceRegister)
	default:
		return Refuse(CitizenInactive).From(SourceRegister)
	}
}

// standing is whether the citizen belongs to the service and has activated.
func standing(f Facts) []*Refusal {
	if refusal := belonging(f.Status); refusal != nil {
		return []*Refusal{refusal}
	}
	if f.Status != StatusActive {
		return []*Refusal{Refuse(CitizenInactive).From(SourceRegister)}
	}
	return nil
}

// usable is whether there is a certificate that can sign now.
func usable(f Facts, r Rules) []*Refusal {
	c := f.Certificate
	switch {
	case c == nil:
		return []*Refusal{Refuse(CredentialMissing).From(SourceValidity)}
	case !c.RevokedAt.IsZero():
		return []*Refusal{Refuse(CertificateRevoked, "since", r.day(c.RevokedAt)).From(SourceValidity)}
	case f.Now.After(c.NotAfter):
		return []*Refusal{Refuse(CertificateExpired, "since", r.day(c.NotAfter)).From(SourceValidity)}
	case c.Suspended:
		return suspended(f)
	case f.Now.Before(c.NotBefore):
		return []*Refusal{Refuse(CredentialMissing).From(SourceValidity)}
	}
	return nil
}

// suspended is whether the citizen has a certificate that waits to be released
// or revoked. It is still theirs, so no other takes its place meanwhile.
func suspended(f Facts) []*Refusal {
	if f.Certificate.keptAt(f.Now) && f.Certificate.Suspended {
		return []*Refusal{Refuse(CertificateSuspended).From(SourceSuspension)}
	}
	return nil
}

// certifiable is whether identity document and registration carry a new
// certificate.
func certifiable(f Facts, r Rules) []*Refusal {
	var obstacles []*Refusal
	if refusal := document(f, r); refusal != nil {
		obstacles = append(obstacles, refusal)
	}
	return append(obstacles, registered(f, r)...)
}

// settling is whether the citizen's mobile has been theirs for long enough:
// before, a code by SMS may not reach who it is for.
func settling(f Facts, r Rules) []*Refusal {
	until := f.PhoneChangedAt.Add(r.PhoneCoolOff)
	switch {
	case f.PhoneChangedAt.IsZero(), r.PhoneCoolOff > 0 && !f.Now.Before(until):
		return nil
	case r.PhoneCoolOff <= 0:
		return []*Refusal{Refuse(PhoneChangedRecently).From(SourcePhone)}
	}
	// The day from whose beginning on it holds no more.
	free := r.day(until.Add(24*time.Hour - time.Nanosecond))
	return []*Refusal{Refuse(PhoneChangedRecently, "until", free).From(SourcePhone).After(until.Sub(f.Now))}
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

// registered is whether the registration carries a new certificate now.
func registered(f Facts, r Rules) []*Refusal {
	obstacles := registeredWell(f, r)
	if !f.Now.Before(r.registrationEnd(f)) {
		obstacles = append(obstacles, Refuse(RegistrationTooOld,
			"since", r.day(f.Registration.AssuredAt), "years", strconv.Itoa(r.RegistrationYears)).From(SourceRenewal))
	}
	return obstacles
}

// registeredWell is whether the registration, while young enough, carries a
// certificate at all.
func registeredWell(f Facts, r Rules) []*Refusal {
	var obstacles []*Refusal
	if !f.Registration.advanced() {
		obstacles = append(obstacles, Refuse(RegistrationLevel).From(SourceLevels))
	}
	if r.Reading != ReadingAge && f.Registration.Mode == ModeCertificate {
		obstacles = append(obstacles, Refuse(RegistrationTelematic, "since", r.day(f.Registration.AssuredAt)).From(SourceRenewal))
	}
	return obstacles
}

// CertifiableModes are the ways to register that carry a certificate while the
// registration is young enough, at the advanced level.
func (r Rules) CertifiableModes() []Mode {
	modes := []Mode{ModeOffice, ModeDNIe, ModeVideo}
	if r.Reading == ReadingAge {
		modes = append(modes, ModeCertificate)
	}
	return modes
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

// surplus is whether the citizen has all the certificates that they may have,
// not counting as many as give way to the new one.
func surplus(f Facts, r Rules, giveWay int) []*Refusal {
	live := f.Live
	if f.Certificate.validAt(f.Now) {
		live = max(live, 1) - giveWay
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

// early is whether the certificate in force is not yet in its last days.
func early(f Facts, r Rules) []*Refusal {
	from := r.renewalStart(f.Certificate)
	if !f.Now.Before(from) {
		return nil
	}
	return []*Refusal{Refuse(RenewalTooEarly, "from", r.day(from), "until", r.day(f.Certificate.NotAfter)).From(SourceSole)}
}

// fruitless is whether the registration would end a new certificate no later
// than the one in force, which both of them may be cut short by. A registration
// that carries none has been told of already.
func fruitless(f Facts, r Rules) []*Refusal {
	if len(registered(f, r)) > 0 || r.certificateEnd(f).After(f.Certificate.NotAfter) {
		return nil
	}
	return []*Refusal{Refuse(RegistrationEnding,
		"until", r.day(r.registrationEnd(f)), "years", strconv.Itoa(r.RegistrationYears)).From(SourceRenewal)}
}
