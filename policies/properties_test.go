package policies

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawFacts makes any citizen at any time of 1990 to 2060.
func drawFacts(t *rapid.T) Facts {
	moment := func(name string) time.Time {
		return time.Unix(rapid.Int64Range(631152000, 2840140800).Draw(t, name), rapid.Int64Range(0, 999_999_999).Draw(t, name+" ns"))
	}
	f := Facts{
		Now:    moment("now"),
		Status: rapid.SampledFrom([]Status{StatusRegistered, StatusActive, StatusActive, StatusActive, StatusBlocked, StatusDeregistered}).Draw(t, "status"),
		Registration: Registration{
			Mode:      rapid.SampledFrom([]Mode{ModeOffice, ModeCertificate, ModeDNIe, ModeLetter, ModeVideo}).Draw(t, "mode"),
			Level:     rapid.SampledFrom([]Level{LevelBasic, LevelAdvanced, LevelAdvanced}).Draw(t, "level"),
			AssuredAt: moment("assured"),
		},
		DocumentUntil: moment("document"),
		Live:          rapid.IntRange(0, 2).Draw(t, "live"),
	}
	if rapid.IntRange(0, 3).Draw(t, "another mobile") == 0 {
		f.PhoneChangedAt = moment("mobile")
	}
	if rapid.Bool().Draw(t, "certificate") {
		f.Certificate = &Certificate{NotBefore: moment("from"), NotAfter: moment("until")}
		f.Certificate.Suspended = rapid.Bool().Draw(t, "suspended")
		if rapid.Bool().Draw(t, "revoked") {
			f.Certificate.RevokedAt, f.Certificate.Suspended = moment("revocation"), false
		}
	}
	return f
}

func drawRules(t *rapid.T) Rules {
	r := DefaultRules()
	r.Reading = rapid.SampledFrom([]Reading{ReadingStrict, ReadingAge}).Draw(t, "reading")
	r.ExpiredDocument = rapid.Bool().Draw(t, "any document")
	return r
}

// A grant never outlives the four years nor the fifth anniversary, and is
// never already over.
func TestGrantIsCapped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, r := drawFacts(t), drawRules(t)
		grant, err := IssueCertificate(f, r)
		if err != nil {
			return
		}
		if year := f.Now.In(madrid()).AddDate(4, 0, 0); grant.NotAfter.After(year) {
			t.Errorf("at %v: got %v, want it before %v", f.Now, grant.NotAfter, year)
		}
		if fifth := f.Registration.AssuredAt.In(madrid()).AddDate(5, 0, 0); grant.NotAfter.After(fifth) {
			t.Errorf("assured at %v: got %v, want it before %v", f.Registration.AssuredAt, grant.NotAfter, fifth)
		}
		if grant.NotAfter.Before(f.Now.Add(-time.Second)) || grant.NotAfter.Nanosecond() != 0 {
			t.Errorf("at %v: got %v, want whole seconds ahead", f.Now, grant.NotAfter)
		}
	})
}

// Waiting alone never makes a registration good again.
func TestRefusedForAgeIsRefusedLater(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, r := drawFacts(t), drawRules(t)
		if f.Registration.AssuredAt.After(f.Now) {
			f.Registration.AssuredAt = f.Now
		}
		f.Certificate, f.Live, f.PhoneChangedAt = nil, 0, time.Time{}
		_, now := IssueCertificate(f, r)
		f.Now = f.Now.Add(time.Duration(rapid.Int64Range(0, int64(20*365*24*time.Hour)).Draw(t, "wait")))
		if _, later := IssueCertificate(f, r); now != nil && later == nil {
			t.Errorf("refused (%v), and granted later at %v", now, f.Now)
		}
	})
}

// A later identity proof never makes anything worse.
func TestYoungerRegistrationIsNoWorse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, r := drawFacts(t), drawRules(t)
		before, err := IssueCertificate(f, r)
		if err != nil {
			return
		}
		f.Registration.AssuredAt = f.Registration.AssuredAt.Add(time.Duration(rapid.Int64Range(0, int64(5*365*24*time.Hour)).Draw(t, "younger")))
		after, err := IssueCertificate(f, r)
		if err != nil || after.NotAfter.Before(before.NotAfter) {
			t.Errorf("assured at %v: got %v, %v, want %v or later", f.Registration.AssuredAt, after, err, before)
		}
	})
}

// What the strict reading grants, the other grants alike.
func TestStrictReadingIsStricter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, r := drawFacts(t), drawRules(t)
		r.Reading = ReadingStrict
		strict, err := IssueCertificate(f, r)
		if err != nil {
			return
		}
		r.Reading = ReadingAge
		if byAge, err := IssueCertificate(f, r); err != nil || byAge != strict {
			t.Errorf("got %v, %v, want %v", byAge, err, strict)
		}
	})
}

// A reissue never minds the certificate that gives way: its answer is that of a
// citizen who never had one, save that a suspended one is not the service's to
// replace.
func TestReissueIsBlindToItsPredecessor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, r := drawFacts(t), drawRules(t)
		f.Live = 0
		got, err := Reissue(f, r)
		if errors.Is(err, Refuse(CertificateSuspended)) {
			if !f.Certificate.Suspended || f.Now.After(f.Certificate.NotAfter) {
				t.Errorf("got %v for %+v", err, f.Certificate)
			}
			return
		}
		f.Certificate = nil
		want, first := IssueCertificate(f, r)
		if got != want || (err == nil) != (first == nil) || err != nil && !errors.Is(err, first) {
			t.Errorf("got %v, %v, want %v, %v as of a first one", got, err, want, first)
		}
	})
}

// Who renews gains time; and nobody may do so before the window nor without a
// certificate that can sign.
func TestRenewalGains(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, r := drawCertified(t), drawRules(t)
		grant, err := Renew(f, r)
		if err != nil {
			return
		}
		if Sign(f, r) != nil {
			t.Errorf("renewed without a certificate that can sign: %+v", f.Certificate)
		}
		if !grant.NotAfter.After(f.Certificate.NotAfter) {
			t.Errorf("got a certificate until %v in the place of one until %v", grant.NotAfter, f.Certificate.NotAfter)
		}
		if left := f.Certificate.NotAfter.Sub(f.Now); left > 61*24*time.Hour+time.Hour {
			t.Errorf("renewed %v before the end", left)
		}
	})
}

// drawCertified makes a citizen with a certificate that is likely in force, and
// in its last months.
func drawCertified(t *rapid.T) Facts {
	f := drawFacts(t)
	if rapid.IntRange(0, 9).Draw(t, "anybody") == 0 {
		return f
	}
	span := func(name string, limit time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(limit)).Draw(t, name))
	}
	f.Status, f.Live, f.DocumentUntil = StatusActive, 1, f.Now.AddDate(1, 0, 0)
	f.Registration = Registration{ModeOffice, LevelAdvanced, f.Now.Add(-span("age", 5*365*24*time.Hour))}
	f.Certificate = &Certificate{NotBefore: f.Now.Add(-span("used", 365*24*time.Hour)), NotAfter: f.Now.Add(span("left", 90*24*time.Hour))}
	return f
}

// Preflight and the decisions never contradict each other.
func TestPreflightAgrees(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, r := drawFacts(t), drawRules(t)
		if rapid.Bool().Draw(t, "likely") {
			f = drawCertified(t)
		}
		report := Preflight(f, r)
		sign := Sign(f, r)
		if (sign == nil) != (len(report.Sign) == 0) {
			t.Errorf("Sign: %v, Preflight: %v", sign, report.Sign)
		}
		if sign != nil && !contains(report.Sign, sign) {
			t.Errorf("Preflight %v lacks %v", report.Sign, sign)
		}
		_, issue := IssueCertificate(f, r)
		_, renew := Renew(f, r)
		for name, tc := range map[string]struct {
			err  error
			list []*Refusal
		}{"IssueCertificate": {issue, report.Certify}, "Renew": {renew, report.Renew}} {
			if (tc.err == nil) != (len(tc.list) == 0) || tc.err != nil && !errors.Is(tc.err, tc.list[0]) {
				t.Errorf("Preflight begins with %v, %s says %v", tc.list, name, tc.err)
			}
		}
		// A certificate that is only missing can be issued in the ceremony.
		if len(usable(f, r)) > 0 && len(suspended(f)) == 0 && len(report.Sign) == 1 && issue != nil && !errors.Is(issue, Refuse(CredentialExists)) &&
			!errors.Is(issue, report.Sign[0]) {
			t.Errorf("Sign lacks only %v, IssueCertificate says %v", report.Sign, issue)
		}
		if renew == nil && (f.Now.Before(report.RenewalFrom) || f.Now.After(report.CertificateUntil)) {
			t.Errorf("renewed at %v, not from %v until %v", f.Now, report.RenewalFrom, report.CertificateUntil)
		}
		if issue == nil && !f.Now.Before(report.RegistrationUntil) {
			t.Errorf("issued at %v, registration until %v", f.Now, report.RegistrationUntil)
		}
		for _, list := range [][]*Refusal{report.Sign, report.Certify, report.Renew} {
			for _, o := range list {
				if o.Source == "" || len(o.Where()) == 0 {
					t.Errorf("%v names no source or no place: %q, %v", o, o.Source, o.Where())
				}
			}
		}
	})
}

func contains(list []*Refusal, err error) bool {
	for _, o := range list {
		if errors.Is(err, o) {
			return true
		}
	}
	return false
}
