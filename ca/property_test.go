package ca

import (
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/policies"
)

// Whatever the registration, its date, the day and the switches: what policies
// grant is certified as granted unless the issuer ends before, never past the
// fifth anniversary of the registration, and never past the issuer's end.
func TestWhatIsGrantedIsCertified(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	public := ecKey(t, elliptic.P256()).Public()
	issuer := h.authority.Certificate
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		// Often in the issuer's last year, in which most grants end after it.
		begins, ends := issuer.NotBefore.Unix(), issuer.NotAfter.Unix()
		moment := rapid.OneOf(rapid.Int64Range(begins, ends), rapid.Int64Range(ends-365*24*3600, ends))
		at := time.Unix(moment.Draw(t, "now"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		rules := policies.DefaultRules()
		rules.Reading = rapid.SampledFrom([]policies.Reading{policies.ReadingStrict, policies.ReadingAge}).Draw(t, "reading")
		rules.CertificateYears = rapid.IntRange(1, 7).Draw(t, "years")
		rules.ExpiredDocument = rapid.Bool().Draw(t, "expired document")
		facts := policies.Facts{
			Now: at, Status: policies.StatusActive, DocumentUntil: at.AddDate(1, 0, 0),
			Registration: policies.Registration{
				Mode:      rapid.SampledFrom([]policies.Mode{policies.ModeOffice, policies.ModeCertificate, policies.ModeDNIe, policies.ModeVideo}).Draw(t, "mode"),
				Level:     rapid.SampledFrom([]policies.Level{policies.LevelAdvanced, policies.LevelAdvanced, policies.LevelBasic}).Draw(t, "level"),
				AssuredAt: at.Add(-time.Duration(rapid.Int64Range(0, int64(6*365*24*time.Hour)).Draw(t, "age"))),
			},
		}
		grant, err := policies.IssueCertificate(facts, rules)
		if err != nil {
			outcomes["refused"]++
			return
		}
		r := request(public)
		r.NotBefore, r.NotAfter = at, grant.NotAfter
		p, err := h.authority.Prepare(r)
		if grant.NotAfter.After(issuer.NotAfter) {
			outcomes["beyond the issuer"]++
			if !errors.Is(err, ErrRequest) {
				t.Fatalf("granted to %v, issuer ends %v: got %v, want ErrRequest", grant.NotAfter, issuer.NotAfter, err)
			}
			return
		}
		outcomes["issued"]++
		if err != nil {
			t.Fatalf("Prepare from %v to %v: %v", at, grant.NotAfter, err)
		}
		der, err := h.authority.Issue(p)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		local := facts.Registration.AssuredAt.In(madrid)
		anniversary := time.Date(local.Year()+5, local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), madrid)
		if c.NotAfter.After(anniversary) || c.NotAfter.After(issuer.NotAfter) || !c.NotAfter.Equal(grant.NotAfter.Truncate(time.Second)) || !c.NotAfter.Equal(p.NotAfter()) {
			t.Errorf("end: got %v, granted %v, anniversary %v, issuer's %v", c.NotAfter, grant.NotAfter, anniversary, issuer.NotAfter)
		}
		if c.NotBefore.After(at) || at.Sub(c.NotBefore) >= time.Second {
			t.Errorf("start: got %v, want %v to the second", c.NotBefore, at)
		}
	})
	for _, outcome := range []string{"issued", "refused", "beyond the issuer"} {
		if outcomes[outcome] == 0 {
			t.Errorf("no case was %s: got %v", outcome, outcomes)
		}
	}
}

// Five years of legal time are an hour more of UTC where the clocks were changed
// on the day in the first year and not yet in the last.
func TestFiveYearsOfLegalTime(t *testing.T) {
	t.Parallel()
	h := ecHierarchy(t)
	r := request(ecKey(t, elliptic.P256()).Public())
	r.NotBefore = time.Date(2025, time.March, 30, 1, 0, 0, 0, time.UTC)
	facts := policies.Facts{
		Now: r.NotBefore, Status: policies.StatusActive, DocumentUntil: r.NotBefore.AddDate(1, 0, 0),
		Registration: policies.Registration{Mode: policies.ModeOffice, Level: policies.LevelAdvanced, AssuredAt: r.NotBefore},
	}
	rules := policies.DefaultRules()
	rules.CertificateYears = 5
	grant, err := policies.IssueCertificate(facts, rules)
	if err != nil {
		t.Fatal(err)
	}
	r.NotAfter = grant.NotAfter
	if _, err := h.authority.Prepare(r); err != nil || !r.NotAfter.After(r.NotBefore.AddDate(5, 0, 0)) {
		t.Errorf("from %v to %v: %v", r.NotBefore, r.NotAfter, err)
	}
}
