package policies

import "time"

// Report is what a citizen can do now, and what stands in the way of the rest:
// obstacles, what must be mended first at the head. No obstacles: it can be
// done.
type Report struct {
	// Sign is empty exactly when the decision Sign agrees. With no usable
	// certificate it includes what stands between the citizen and one: where
	// the list is only that certificate's absence, it can be issued in the
	// ceremony itself.
	Sign []*Refusal
	// Certify and Renew begin with what IssueCertificate and Renew refuse.
	Certify []*Refusal
	Renew   []*Refusal

	// CertificateUntil is the last moment of the certificate that the citizen
	// has, suspended or not, and RenewalFrom the first at which it may be
	// renewed; both are zero if there is none.
	CertificateUntil time.Time
	RenewalFrom      time.Time
	// RegistrationUntil is the moment from which the registration is too old
	// for a new certificate, ahead or past; zero if it carries none at any age.
	RegistrationUntil time.Time
}

// Preflight says beforehand what the decisions would, with the same refusals.
func Preflight(f Facts, r Rules) Report {
	if f.Status == StatusDeceased { // which is nothing to tell whoever asks
		return Stranger()
	}
	report := Report{Sign: signing(f, r), Certify: issuing(f, r), Renew: renewing(f, r)}
	if f.Status == StatusDeregistered {
		return report
	}
	if c := f.Certificate; c.keptAt(f.Now) {
		report.CertificateUntil, report.RenewalFrom = c.NotAfter, r.renewalStart(c)
	}
	if len(registeredWell(f, r)) == 0 {
		report.RegistrationUntil = r.registrationEnd(f)
	}
	return report
}

// Stranger is the report on somebody who is not registered.
func Stranger() Report {
	unknown := func() []*Refusal { return []*Refusal{Refuse(CitizenUnknown).From(SourceRegister)} }
	return Report{Sign: unknown(), Certify: unknown(), Renew: unknown()}
}

func signing(f Facts, r Rules) []*Refusal {
	obstacles := standing(f)
	missing := usable(f, r)
	if len(missing) > 0 && len(suspended(f)) == 0 {
		obstacles = append(obstacles, certifiable(f, r)...)
		obstacles = append(obstacles, settling(f, r)...)
	}
	return append(obstacles, missing...)
}

// Where is a place at which a refusal can be mended.
type Where string

// The places. The catalogue has the words for each.
const (
	AtOffice      Where = "office"      // any registration office
	OnlineDNIe    Where = "dnie"        // on line, with the DNIe and no other certificate
	AtActivation  Where = "activation"  // the service's page to activate an account
	AtPassword    Where = "password"    // the service's page to change the password
	AtCertificate Where = "certificate" // the service's page on the citizen's certificate
	AtSigning     Where = "signing"     // the signing pages of the next request
)

// Wheres is the closed list of places.
func Wheres() []Where {
	return []Where{AtOffice, OnlineDNIe, AtActivation, AtPassword, AtCertificate, AtSigning}
}

// Where lists the places at which the citizen can mend what the refusal tells
// of, the best one first; none where the page that shows it is the place.
func (r *Refusal) Where() []Where {
	switch r.Code {
	case CitizenUnknown, CitizenDeregistered, CitizenDeceased, RegistrationInPerson, CitizenBlocked, IdentityDocumentExpiry, RecordTampered,
		ActivationBlocked, PasswordLocked:
		return []Where{AtOffice}
	case RegistrationTooOld, RegistrationTelematic, RegistrationLevel, RegistrationEnding:
		// SourceRenewal: "presencialmente […] o con DNI electrónico".
		return []Where{AtOffice, OnlineDNIe}
	case CitizenInactive:
		return []Where{AtActivation}
	case PasswordExpired:
		return []Where{AtPassword}
	case CertificateSuspended, CertificateInForce, RenewalTooEarly, PhoneChangedRecently:
		return []Where{AtCertificate}
	case CredentialMissing, CertificateExpired, CertificateRevoked, CredentialExists:
		return []Where{AtSigning, AtCertificate}
	default:
		return nil
	}
}
