package policies

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func at(tb testing.TB, s string) time.Time {
	tb.Helper()
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", time.DateOnly} {
		if moment, err := time.ParseInLocation(layout, s, madrid()); err == nil {
			return moment
		}
	}
	tb.Fatalf("no time: %q", s)
	return time.Time{}
}

// person is an active citizen, registered at an office, without certificate.
func person(now time.Time) Facts {
	return Facts{
		Now:           now,
		Status:        StatusActive,
		Registration:  Registration{Mode: ModeOffice, Level: LevelAdvanced, AssuredAt: now.AddDate(-1, 0, 0)},
		DocumentUntil: now.AddDate(3, 0, 0),
	}
}

func certified(now time.Time) Facts {
	f := person(now)
	f.Certificate = &Certificate{NotBefore: now.AddDate(0, -6, 0), NotAfter: now.AddDate(3, 6, 0)}
	f.Live = 1
	return f
}

func TestIssueCertificate(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-03-10 12:00:00")
	for name, tc := range map[string]struct {
		change func(*Facts, *Rules)
		want   *Refusal // nil if granted
	}{
		"office, last year":         {func(*Facts, *Rules) {}, nil},
		"DNIe, last year":           {func(f *Facts, _ *Rules) { f.Registration.Mode = ModeDNIe }, nil},
		"reviewed video, last year": {func(f *Facts, _ *Rules) { f.Registration.Mode = ModeVideo }, nil},
		"not activated": {
			func(f *Facts, _ *Rules) { f.Status = StatusRegistered },
			Refuse(CitizenInactive).From(SourceRegister),
		},
		"blocked": {
			func(f *Facts, _ *Rules) { f.Status = StatusBlocked },
			Refuse(CitizenBlocked).From(SourceRegister),
		},
		"status unknown": {
			func(f *Facts, _ *Rules) { f.Status = "" },
			Refuse(CitizenInactive).From(SourceRegister),
		},
		"deregistered": {
			func(f *Facts, _ *Rules) { f.Status = StatusDeregistered },
			Refuse(CitizenDeregistered).From(SourceRegister),
		},
		"document valid until today": {func(f *Facts, _ *Rules) { f.DocumentUntil = time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC) }, nil},
		"document expired yesterday": {
			func(f *Facts, _ *Rules) { f.DocumentUntil = time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC) },
			Refuse(IdentityDocumentExpiry, "until", "2026-03-09").From(SourceRegister),
		},
		"document of unknown validity": {
			func(f *Facts, _ *Rules) { f.DocumentUntil = time.Time{} },
			Refuse(IdentityDocumentExpiry).From(SourceRegister),
		},
		"document not asked for": {func(f *Facts, r *Rules) { f.DocumentUntil, r.ExpiredDocument = time.Time{}, true }, nil},
		"basic level": {
			func(f *Facts, _ *Rules) { f.Registration.Level = LevelBasic },
			Refuse(RegistrationLevel).From(SourceLevels),
		},
		"letter, whatever its level": {
			func(f *Facts, _ *Rules) { f.Registration.Mode = ModeLetter },
			Refuse(RegistrationLevel).From(SourceLevels),
		},
		"unknown mode": {
			func(f *Facts, _ *Rules) { f.Registration.Mode = "fax" },
			Refuse(RegistrationLevel).From(SourceLevels),
		},
		"certificate, strict": {
			func(f *Facts, _ *Rules) { f.Registration.Mode = ModeCertificate },
			Refuse(RegistrationTelematic, "since", "2025-03-10").From(SourceRenewal),
		},
		"certificate, by age": {func(f *Facts, r *Rules) { f.Registration.Mode, r.Reading = ModeCertificate, ReadingAge }, nil},
		"certificate, reading forgotten": {
			func(f *Facts, r *Rules) { f.Registration.Mode, r.Reading = ModeCertificate, "" },
			Refuse(RegistrationTelematic, "since", "2025-03-10").From(SourceRenewal),
		},
		"office, six years": {
			func(f *Facts, _ *Rules) { f.Registration.AssuredAt = at(t, "2020-03-10") },
			Refuse(RegistrationTooOld, "since", "2020-03-10", "years", "5").From(SourceRenewal),
		},
		"certificate, six years, by age": {func(f *Facts, r *Rules) {
			f.Registration, r.Reading = Registration{ModeCertificate, LevelAdvanced, at(t, "2020-03-10")}, ReadingAge
		}, Refuse(RegistrationTooOld, "since", "2020-03-10", "years", "5").From(SourceRenewal)},
		"never assured": {
			func(f *Facts, _ *Rules) { f.Registration.AssuredAt = time.Time{} },
			Refuse(RegistrationTooOld, "since", "0000-12-31", "years", "5").From(SourceRenewal),
		},
		"no rules": {
			func(_ *Facts, r *Rules) { *r = Rules{} },
			Refuse(RegistrationTooOld, "since", "2025-03-10", "years", "0").From(SourceRenewal),
		},
		"certificate at hand": {
			func(f *Facts, _ *Rules) { *f = certified(now) },
			Refuse(CredentialExists, "until", "2029-09-10").From(SourceSole),
		},
		"certificate at hand, not counted": {
			func(f *Facts, _ *Rules) { *f = certified(now); f.Live = 0 },
			Refuse(CredentialExists, "until", "2029-09-10").From(SourceSole),
		},
		"certificate in its last day": {
			func(f *Facts, _ *Rules) { *f = certified(now); f.Certificate.NotAfter = now },
			Refuse(CredentialExists, "until", "2026-03-10").From(SourceSole),
		},
		"suspended": {
			func(f *Facts, _ *Rules) { *f = certified(now); f.Certificate.Suspended, f.Live = true, 0 },
			Refuse(CertificateSuspended).From(SourceSuspension),
		},
		"suspended, though two may be": {
			func(f *Facts, r *Rules) { *f = certified(now); f.Certificate.Suspended, r.MaxLive = true, 2 },
			Refuse(CertificateSuspended).From(SourceSuspension),
		},
		"suspended to its end": {func(f *Facts, _ *Rules) {
			*f = certified(now)
			f.Certificate.Suspended, f.Certificate.NotAfter, f.Live = true, now.Add(-time.Second), 0
		}, nil},
		"suspended, then revoked": {func(f *Facts, _ *Rules) {
			*f = certified(now)
			f.Certificate.Suspended, f.Certificate.RevokedAt, f.Live = true, now, 0
		}, nil},
		"another lives, newest revoked": {
			func(f *Facts, _ *Rules) { *f = certified(now); f.Certificate.RevokedAt = now },
			Refuse(CredentialExists).From(SourceSole),
		},
		"revoked": {func(f *Facts, _ *Rules) { *f = certified(now); f.Certificate.RevokedAt, f.Live = now, 0 }, nil},
		"expired": {func(f *Facts, _ *Rules) {
			*f = certified(now)
			f.Certificate.NotAfter, f.Live = now.Add(-time.Second), 0
		}, nil},
		"two may be": {func(f *Facts, r *Rules) { *f = certified(now); r.MaxLive = 2 }, nil},
	} {
		f, r := person(now), DefaultRules()
		tc.change(&f, &r)
		grant, err := IssueCertificate(f, r)
		wantDecision(t, name, tc.want, grant, err)
	}
}

// wantDecision holds a decision taken on 10 March 2026 against a refusal, or a
// grant if it is nil.
func wantDecision(t *testing.T, name string, want *Refusal, grant Grant, err error) {
	t.Helper()
	if want == nil {
		if err != nil || !grant.NotAfter.After(at(t, "2026-03-10 12:00:00")) {
			t.Errorf("%s: got %+v, %v, want a grant", name, grant, err)
		}
		return
	}
	got, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Errorf("%s: got %v, want %v", name, err, want)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
	if grant != (Grant{}) {
		t.Errorf("%s: got %+v beside a refusal", name, grant)
	}
}

// The rule's boundary, to the second.
func TestFiveYearsToTheDay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ assured, last, first string }{
		"an ordinary day":                  {"2021-03-10 12:00:00", "2026-03-10 11:59:59", "2026-03-10 12:00:00"},
		"midnight":                         {"2021-03-10 00:00:00", "2026-03-09 23:59:59", "2026-03-10 00:00:00"},
		"29 February":                      {"2020-02-29 09:30:00", "2025-02-28 09:29:59", "2025-02-28 09:30:00"},
		"28 February of a leap year":       {"2020-02-28 09:30:00", "2025-02-28 09:29:59", "2025-02-28 09:30:00"},
		"1 March after a leap day":         {"2020-03-01 09:30:00", "2025-03-01 09:29:59", "2025-03-01 09:30:00"},
		"28 February, ends in a leap year": {"2023-02-28 09:30:00", "2028-02-28 09:29:59", "2028-02-28 09:30:00"},
		"New Year in Madrid, not in UTC":   {"2021-01-01 00:30:00", "2026-01-01 00:29:59", "2026-01-01 00:30:00"},
		"winter to summer time":            {"2020-03-28 12:00:00", "2025-03-28 11:59:59", "2025-03-28 12:00:00"},
		"summer to winter time":            {"2021-10-28 12:00:00", "2026-10-28 11:59:59", "2026-10-28 12:00:00"},
		"an hour that the year lacks":      {"2021-03-29 02:30:00", "2026-03-29 03:29:59", "2026-03-29 03:30:00"},
		"written in another zone":          {"2021-03-10T23:30:00Z", "2026-03-11 00:29:59", "2026-03-11 00:30:00"},
	} {
		r := DefaultRules()
		f := person(at(t, tc.last))
		f.Registration.AssuredAt = at(t, tc.assured)
		if _, err := IssueCertificate(f, r); err != nil {
			t.Errorf("%s, at the last second: got %v, want a grant", name, err)
		}
		f.Now = at(t, tc.first)
		if _, err := IssueCertificate(f, r); !errors.Is(err, Refuse(RegistrationTooOld)) {
			t.Errorf("%s, a second later: got %v, want registration_too_old", name, err)
		}
	}
}

func TestGrant(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ assured, now, want string }{
		"four years":                 {"2026-03-10 11:00:00", "2026-03-10 12:00:00", "2030-03-10 11:59:59"},
		"four years, then fractions": {"2026-03-10 11:00:00", "2026-03-10T11:00:00.75Z", "2030-03-10 12:00:00"},
		"the anniversary":            {"2022-03-10 11:00:00", "2026-03-10 12:00:00", "2027-03-10 10:59:59"},
		"both on one day":            {"2025-03-10 12:00:00", "2026-03-10 12:00:00", "2030-03-10 11:59:59"},
		"a leap day":                 {"2024-02-29 12:00:00", "2027-06-01 12:00:00", "2029-02-28 11:59:59"},
		"asked on a leap day":        {"2028-02-29 12:00:00", "2028-02-29 12:00:00", "2032-02-29 11:59:59"},
		"assured ahead of the clock": {"2028-01-01 12:00:00", "2026-03-10 12:00:00", "2030-03-10 11:59:59"},
		"a summer registration":      {"2022-07-01 12:00:00", "2026-03-10 12:00:00", "2027-07-01 11:59:59"},
	} {
		f := person(at(t, tc.now))
		f.Registration.AssuredAt = at(t, tc.assured)
		grant, err := IssueCertificate(f, DefaultRules())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := at(t, tc.want); !grant.NotAfter.Equal(want) {
			t.Errorf("%s: got %v, want %v", name, grant.NotAfter.In(madrid()), want)
		}
	}
}

func TestSignAndPreflight(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-03-10 12:00:00")
	for name, tc := range map[string]struct {
		change func(*Facts)
		sign   Code
		all    []Code
	}{
		"certified":                       {func(*Facts) {}, "", nil},
		"certified, registration too old": {func(f *Facts) { f.Registration.AssuredAt = now.AddDate(-9, 0, 0) }, "", nil},
		"certified, document expired":     {func(f *Facts) { f.DocumentUntil = now.AddDate(-1, 0, 0) }, "", nil},
		"certified, registered on line":   {func(f *Facts) { f.Registration.Mode = ModeCertificate }, "", nil},
		"to the last second":              {func(f *Facts) { f.Certificate.NotAfter = now }, "", nil},
		"from the first second":           {func(f *Facts) { f.Certificate.NotBefore = now }, "", nil},
		"expired":                         {func(f *Facts) { f.Certificate.NotAfter = now.Add(-time.Second) }, CertificateExpired, []Code{CertificateExpired}},
		"revoked":                         {func(f *Facts) { f.Certificate.RevokedAt = now }, CertificateRevoked, []Code{CertificateRevoked}},
		"suspended":                       {func(f *Facts) { f.Certificate.Suspended = true }, CertificateSuspended, []Code{CertificateSuspended}},
		"suspended, registration too old": {func(f *Facts) { f.Certificate.Suspended, f.Registration.AssuredAt = true, now.AddDate(-9, 0, 0) }, CertificateSuspended, []Code{CertificateSuspended}},
		"none":                            {func(f *Facts) { f.Certificate = nil }, CredentialMissing, []Code{CredentialMissing}},
		"not valid yet":                   {func(f *Facts) { f.Certificate.NotBefore = now.Add(time.Second) }, CredentialMissing, []Code{CredentialMissing}},
		"none, registration too old":      {func(f *Facts) { f.Certificate = nil; f.Registration.AssuredAt = now.AddDate(-9, 0, 0) }, CredentialMissing, []Code{RegistrationTooOld, CredentialMissing}},
		"expired, on line, old, no papers": {func(f *Facts) {
			f.Certificate.NotAfter = now.AddDate(0, 0, -1)
			f.Registration = Registration{ModeCertificate, LevelAdvanced, now.AddDate(-9, 0, 0)}
			f.DocumentUntil = now.AddDate(0, 0, -1)
		}, CertificateExpired, []Code{IdentityDocumentExpiry, RegistrationTelematic, RegistrationTooOld, CertificateExpired}},
		"not activated":          {func(f *Facts) { f.Status, f.Certificate = StatusRegistered, nil }, CitizenInactive, []Code{CitizenInactive, CredentialMissing}},
		"gone, though certified": {func(f *Facts) { f.Status = StatusDeregistered }, CitizenDeregistered, []Code{CitizenDeregistered}},
	} {
		f := certified(now)
		tc.change(&f)
		var got Code
		var refusal *Refusal
		if err := Sign(f, DefaultRules()); errors.As(err, &refusal) {
			got = refusal.Code
		} else if err != nil {
			t.Errorf("%s: %v is no refusal", name, err)
		}
		if got != tc.sign {
			t.Errorf("%s: Sign: got %q, want %q", name, got, tc.sign)
		}
		var all []Code
		for _, obstacle := range Preflight(f, DefaultRules()).Sign {
			all = append(all, obstacle.Code)
		}
		if diff := cmp.Diff(tc.all, all); diff != "" {
			t.Errorf("%s: Preflight (-want +got):\n%s", name, diff)
		}
	}
}
