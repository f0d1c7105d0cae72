package policies

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ending is a citizen in the last days of a certificate, with a registration
// that is good for another four years.
func ending(now time.Time, days int) Facts {
	f := certified(now)
	f.Certificate.NotAfter = now.AddDate(0, 0, days)
	return f
}

func TestRenewAndReissue(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-03-10 12:00:00")
	for name, tc := range map[string]struct {
		change         func(*Facts, *Rules)
		renew, reissue *Refusal // nil if granted
	}{
		"60 days left": {func(*Facts, *Rules) {}, nil, nil},
		"61 days left": {
			func(f *Facts, _ *Rules) { *f = ending(now, 61) },
			Refuse(RenewalTooEarly, "from", "2026-03-11", "until", "2026-05-10").From(SourceSole), nil,
		},
		"the last second":            {func(f *Facts, _ *Rules) { f.Certificate.NotAfter = now }, nil, nil},
		"not counted among the live": {func(f *Facts, _ *Rules) { f.Live = 0 }, nil, nil},
		"another beside it": {
			func(f *Facts, _ *Rules) { f.Live = 2 },
			Refuse(CredentialExists, "until", "2026-05-09").From(SourceSole),
			Refuse(CredentialExists, "until", "2026-05-09").From(SourceSole),
		},
		"two may be": {func(f *Facts, r *Rules) { f.Live, r.MaxLive = 2, 2 }, nil, nil},
		"none": {
			func(f *Facts, _ *Rules) { f.Certificate, f.Live = nil, 0 },
			Refuse(CredentialMissing).From(SourceValidity), nil,
		},
		"revoked": {
			func(f *Facts, _ *Rules) { f.Certificate.RevokedAt, f.Live = now, 0 },
			Refuse(CertificateRevoked, "since", "2026-03-10").From(SourceValidity), nil,
		},
		"expired": {
			func(f *Facts, _ *Rules) { f.Certificate.NotAfter, f.Live = now.Add(-time.Second), 0 },
			Refuse(CertificateExpired, "since", "2026-03-10").From(SourceValidity), nil,
		},
		"suspended": {
			func(f *Facts, _ *Rules) { f.Certificate.Suspended = true },
			Refuse(CertificateSuspended).From(SourceSuspension), Refuse(CertificateSuspended).From(SourceSuspension),
		},
		"blocked": {
			func(f *Facts, _ *Rules) { f.Status = StatusBlocked },
			Refuse(CitizenBlocked).From(SourceRegister), Refuse(CitizenBlocked).From(SourceRegister),
		},
		"document expired": {
			func(f *Facts, _ *Rules) { f.DocumentUntil = time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC) },
			Refuse(IdentityDocumentExpiry, "until", "2026-03-09").From(SourceRegister),
			Refuse(IdentityDocumentExpiry, "until", "2026-03-09").From(SourceRegister),
		},
		"registration too old": {
			func(f *Facts, _ *Rules) { f.Registration.AssuredAt = at(t, "2021-03-10") },
			Refuse(RegistrationTooOld, "since", "2021-03-10", "years", "5").From(SourceRenewal),
			Refuse(RegistrationTooOld, "since", "2021-03-10", "years", "5").From(SourceRenewal),
		},
		"registered on line": {
			func(f *Facts, _ *Rules) { f.Registration.Mode = ModeCertificate },
			Refuse(RegistrationTelematic, "since", "2025-03-10").From(SourceRenewal),
			Refuse(RegistrationTelematic, "since", "2025-03-10").From(SourceRenewal),
		},
		"registered on line, by age": {func(f *Facts, r *Rules) { f.Registration.Mode, r.Reading = ModeCertificate, ReadingAge }, nil, nil},
		"certificate and registration end together": {
			func(f *Facts, _ *Rules) {
				f.Registration.AssuredAt = at(t, "2021-05-09 12:00:00")
				f.Certificate.NotAfter = at(t, "2026-05-09 11:59:59")
			},
			Refuse(RegistrationEnding, "until", "2026-05-09", "years", "5").From(SourceRenewal), nil,
		},
		"registration ends a second later": {
			func(f *Facts, _ *Rules) {
				f.Registration.AssuredAt = at(t, "2021-05-09 12:00:01")
				f.Certificate.NotAfter = at(t, "2026-05-09 11:59:59")
			}, nil, nil,
		},
		"too early, and the registration too old already": {
			func(f *Facts, _ *Rules) {
				*f = ending(now, 100)
				f.Registration.AssuredAt = at(t, "2019-01-01")
			},
			Refuse(RenewalTooEarly, "from", "2026-04-19", "until", "2026-06-18").From(SourceSole),
			Refuse(RegistrationTooOld, "since", "2019-01-01", "years", "5").From(SourceRenewal),
		},
	} {
		f, r := ending(now, 60), DefaultRules()
		tc.change(&f, &r)
		grant, err := Renew(f, r)
		wantDecision(t, name+": Renew", tc.renew, grant, err)
		grant, err = Reissue(f, r)
		wantDecision(t, name+": Reissue", tc.reissue, grant, err)
	}
}

// The window opens with the 60th day before the certificate's last, whatever
// the hour of its end and whatever the clocks do in between.
func TestRenewalWindowToTheSecond(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ ends, first string }{
		"an ordinary day":         {"2026-12-31 12:00:00", "2026-11-01 00:00:00"},
		"ends at night":           {"2026-12-31 23:59:59", "2026-11-01 00:00:00"},
		"ends with the first":     {"2026-12-31 00:00:00", "2026-11-01 00:00:00"},
		"midnight, but in UTC":    {"2026-12-30T23:00:00Z", "2026-11-01 00:00:00"},
		"clocks go forward":       {"2026-04-15 12:00:00", "2026-02-14 00:00:00"},
		"clocks go back":          {"2026-11-20 12:00:00", "2026-09-21 00:00:00"},
		"opens when they change":  {"2026-05-28 12:00:00", "2026-03-29 00:00:00"},
		"ends when they change":   {"2026-10-25T00:30:00Z", "2026-08-26 00:00:00"},
		"over a leap day":         {"2028-04-29 12:00:00", "2028-02-29 00:00:00"},
		"over no leap day":        {"2027-04-29 12:00:00", "2027-02-28 00:00:00"},
		"ends on a leap day":      {"2028-02-29 12:00:00", "2027-12-31 00:00:00"},
		"over the turn of a year": {"2027-01-15 12:00:00", "2026-11-16 00:00:00"},
	} {
		first, r := at(t, tc.first), DefaultRules()
		f := certified(first)
		f.Certificate.NotAfter = at(t, tc.ends)
		if grant, err := Renew(f, r); err != nil {
			t.Errorf("%s: got %v, %v, want a grant at %v", name, grant, err, first)
		}
		if got := Preflight(f, r).RenewalFrom; !got.Equal(first) {
			t.Errorf("%s: got a window from %v, want %v", name, got, first)
		}
		f.Now = first.Add(-time.Second)
		want := Refuse(RenewalTooEarly, "from", r.day(first), "until", r.day(f.Certificate.NotAfter)).From(SourceSole)
		grant, err := Renew(f, r)
		wantDecision(t, name+", a second earlier", want, grant, err)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-03-10 12:00:00")
	fifth := at(t, "2030-03-10 12:00:00")
	codes := func(list []*Refusal) []Code {
		var out []Code
		for _, r := range list {
			out = append(out, r.Code)
		}
		return out
	}
	type dates struct{ Certificate, Renewal, Registration time.Time }
	for name, tc := range map[string]struct {
		change         func(*Facts)
		certify, renew []Code
		dates          dates
	}{
		"certified": {
			func(*Facts) {},
			[]Code{CredentialExists},
			[]Code{RenewalTooEarly},
			dates{at(t, "2029-09-10 12:00:00"), at(t, "2029-07-12 00:00:00"), fifth},
		},
		"none": {
			func(f *Facts) { f.Certificate, f.Live = nil, 0 }, nil, []Code{CredentialMissing}, dates{Registration: fifth},
		},
		"suspended": {
			func(f *Facts) { f.Certificate.Suspended, f.Live = true, 0 },
			[]Code{CertificateSuspended},
			[]Code{CertificateSuspended},
			dates{at(t, "2029-09-10 12:00:00"), at(t, "2029-07-12 00:00:00"), fifth},
		},
		"revoked": {
			func(f *Facts) { f.Certificate.RevokedAt, f.Live = now, 0 }, nil, []Code{CertificateRevoked}, dates{Registration: fifth},
		},
		"all wrong with the papers": {
			func(f *Facts) {
				f.Registration = Registration{ModeCertificate, LevelBasic, at(t, "2019-03-10")}
				f.DocumentUntil = time.Time{}
			},
			[]Code{IdentityDocumentExpiry, RegistrationLevel, RegistrationTelematic, RegistrationTooOld, CredentialExists},
			[]Code{RenewalTooEarly, IdentityDocumentExpiry, RegistrationLevel, RegistrationTelematic, RegistrationTooOld},
			dates{at(t, "2029-09-10 12:00:00"), at(t, "2029-07-12 00:00:00"), time.Time{}},
		},
		"too old": {
			func(f *Facts) { f.Registration.AssuredAt, f.Certificate, f.Live = at(t, "2020-02-29 09:00:00"), nil, 0 },
			[]Code{RegistrationTooOld},
			[]Code{CredentialMissing},
			dates{Registration: at(t, "2025-02-28 09:00:00")},
		},
		"ends with its registration": {
			func(f *Facts) { f.Certificate.NotAfter = fifth.Add(-time.Second) },
			[]Code{CredentialExists},
			[]Code{RenewalTooEarly, RegistrationEnding},
			dates{fifth.Add(-time.Second), at(t, "2030-01-09 00:00:00"), fifth},
		},
		"gone": {
			func(f *Facts) { f.Status = StatusDeregistered },
			[]Code{CitizenDeregistered, CredentialExists},
			[]Code{CitizenDeregistered, RenewalTooEarly},
			dates{},
		},
	} {
		f := certified(now)
		tc.change(&f)
		got := Preflight(f, DefaultRules())
		if diff := cmp.Diff(tc.certify, codes(got.Certify)); diff != "" {
			t.Errorf("%s: Certify (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(tc.renew, codes(got.Renew)); diff != "" {
			t.Errorf("%s: Renew (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(tc.dates, dates{got.CertificateUntil, got.RenewalFrom, got.RegistrationUntil}); diff != "" {
			t.Errorf("%s: dates (-want +got):\n%s", name, diff)
		}
	}
	for _, list := range [][]*Refusal{Stranger().Sign, Stranger().Certify, Stranger().Renew} {
		if diff := cmp.Diff([]Code{CitizenUnknown}, codes(list)); diff != "" {
			t.Errorf("Stranger (-want +got):\n%s", diff)
		}
	}
}

// Every place is one that some refusal sends to, and none sends elsewhere.
func TestWhere(t *testing.T) {
	t.Parallel()
	got, want := map[Where]bool{}, map[Where]bool{}
	for _, where := range Wheres() {
		want[where] = true
	}
	for _, code := range Codes() {
		for _, where := range Refuse(code).Where() {
			got[where] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places (-listed +used):\n%s", diff)
	}
}
