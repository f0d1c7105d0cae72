package policies

import (
	"fmt"
	"time"
	_ "time/tzdata" // the rules count days in Madrid also where the system has no zone files
)

// Reading is how the five-year rule is read: its public sources differ.
type Reading string

const (
	// ReadingStrict refuses a registration that is older than the limit, and
	// any that was made on line with a certificate, until it is renewed in
	// person or with the DNIe (SourceRenewal).
	ReadingStrict Reading = "strict"
	// ReadingAge refuses only a registration that is older than the limit,
	// however it was made (the tax agency's page on Cl@ve Firma).
	ReadingAge Reading = "age"
)

// Where the rules come from, for Refusal.Source.
const (
	SourceRenewal    = "Cl@ve, «Renovación a los 5 años del registro con nivel alto o avanzado»"
	SourceLevels     = "Cl@ve, niveles de registro básico y avanzado"
	SourceRegister   = "Cl@ve, datos necesarios para el registro"
	SourceSole       = "Cl@ve Firma, emisión y renovación de certificados"
	SourceValidity   = "ETSI TS 119 431-1, SIG-6.3.1-08"
	SourcePhone      = "Rúbrica, plazo de seguridad tras un cambio de móvil"
	SourceSuspension = "Ley 6/2020, art. 5; Reglamento (UE) 910/2014, art. 28.5"
)

// Rules are the numbers and switches of the decisions. A field left zero
// refuses rather than allows.
type Rules struct {
	Reading Reading
	// RegistrationYears is the age from which a registration carries no new
	// certificate.
	RegistrationYears int
	// CertificateYears is how long a certificate is valid at most.
	CertificateYears int
	// RenewalDays is how many days before its last one a certificate may be
	// renewed, from the beginning of that day on.
	RenewalDays int
	// MaxLive is how many certificates that can sign a citizen may have; the
	// one that is being renewed does not stand in the way of its successor.
	MaxLive int
	// ExpiredDocument allows a certificate to citizens whose DNI or NIE is
	// expired or of unknown validity.
	ExpiredDocument bool
	// PhoneCoolOff is for how long after a change of mobile nothing is issued and
	// no password is set anew: who took somebody's number over has gained nothing
	// by the time that its owner has read of it.
	PhoneCoolOff time.Duration
	// CertificateReminders and RegistrationReminders are how many days before
	// a certificate ends, or a registration becomes too old, its citizen is
	// told.
	CertificateReminders  []int
	RegistrationReminders []int
	// DayBegins and DayEnds are the hours between which telephones may ring.
	DayBegins, DayEnds int
	// Zone is where days begin and end, and anniversaries fall; nil is UTC.
	Zone *time.Location
}

// DefaultRules are those of Cl@ve Firma.
func DefaultRules() Rules {
	return Rules{
		Reading: ReadingStrict,
		// SourceRenewal: "hace ya más de 5 años".
		RegistrationYears: 5,
		// Assumed; Ley 6/2020, art. 4 caps qualified certificates at five years.
		CertificateYears: 4,
		// Assumed. The first reminder comes on the day on which the window opens.
		RenewalDays: 60,
		// SourceSole: one signature certificate at a time.
		MaxLive: 1,
		// Assumed.
		PhoneCoolOff: 72 * time.Hour,
		// Assumed.
		CertificateReminders:  []int{60, 30, 7},
		RegistrationReminders: []int{90, 30, 7},
		DayBegins:             9,
		DayEnds:               21,
		Zone:                  madrid(),
	}
}

// madrid is the legal time of the peninsula and of the register's servers.
func madrid() *time.Location {
	zone, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		panic(fmt.Sprintf("zone data is embedded and yet: %v", err))
	}
	return zone
}

func (r Rules) zone() *time.Location {
	if r.Zone == nil {
		return time.UTC
	}
	return r.Zone
}

// anniversary is the moment at which calendar and clock show the same again,
// some years on. Where the month has no such day it is the month's last: a
// registration of 29 February ends on 28 February (Código Civil, art. 5.1 and
// Ley 39/2015, art. 30.4: "si en el mes de vencimiento no hubiera día
// equivalente […] el plazo expira el último día del mes").
func (r Rules) anniversary(t time.Time, years int) time.Time {
	t = t.In(r.zone())
	on := t.AddDate(years, 0, 0)
	if on.Day() != t.Day() {
		on = on.AddDate(0, 0, -on.Day())
	}
	return on
}

// dayAfter is the first moment after the day that t names. The day is read as
// it is written, without moving it between zones.
func (r Rules) dayAfter(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, r.zone())
}

// daysBefore is the beginning of the day that lies so many days before a
// moment's own. Days are counted in the calendar: one has 23 or 25 hours when
// the clocks change.
func (r Rules) daysBefore(t time.Time, days int) time.Time {
	t = t.In(r.zone())
	return time.Date(t.Year(), t.Month(), t.Day()-days, 0, 0, 0, 0, r.zone())
}

// Daytime is the next moment, t itself if it is one, at which a telephone may
// ring.
func (r Rules) Daytime(t time.Time) time.Time {
	local := t.In(r.zone())
	today := time.Date(local.Year(), local.Month(), local.Day(), r.DayBegins, 0, 0, 0, r.zone())
	switch {
	case local.Before(today):
		return today
	case local.Hour() < r.DayEnds:
		return t
	default:
		return time.Date(local.Year(), local.Month(), local.Day()+1, r.DayBegins, 0, 0, 0, r.zone())
	}
}

// day writes a moment's day for the parameters of a refusal.
func (r Rules) day(t time.Time) string { return t.In(r.zone()).Format(time.DateOnly) }
