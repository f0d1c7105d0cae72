package rest_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const preflightPath = "/v1/preflight"

// settle has a citizen who registered at an office a year ago, with a
// certificate of as many days.
func (m *memory) settle(days int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.citizens[spaniard] = signer.Citizen{
		ID: "maria", Identifier: spaniard, GivenName: "María", Surnames: "Núñez", Phone: "+34600000421", Email: "maria@example.es",
		Status: signer.Active, DocumentUntil: now.AddDate(2, 0, 0),
		Registration: signer.Registration{Mode: "office", Level: "advanced", AssuredAt: now.AddDate(-1, 0, 0)},
	}
	m.keyOf = map[string]*signer.Credential{spaniard: {
		State:       signer.Usable,
		Certificate: &signer.Certificate{Serial: "0badcafe", NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(0, 0, days).Truncate(time.Second)},
	}}
}

func (h *house) ahead(t *testing.T, token string, headers map[string]string) (rest.Preflight, reply) {
	t.Helper()
	asked := map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"}
	maps.Copy(asked, headers)
	got := h.call(t, http.MethodPost, preflightPath, strings.NewReader(`{"identifier":"12.345.678-z"}`), asked)
	if got.status != http.StatusOK {
		t.Fatalf("got %d %s, want 200", got.status, got.body)
	}
	var out rest.Preflight
	got.decode(t, &out)
	return out, got
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	type codes struct{ Sign, Certify, Renew []string }
	for name, tt := range map[string]struct {
		days   int
		change func(*signer.Citizen, *signer.Certificate)
		want   codes
	}{
		"can sign":  {300, nil, codes{nil, []string{"credential_exists"}, []string{"renewal_too_early"}}},
		"can renew": {20, nil, codes{nil, []string{"credential_exists"}, nil}},
		"can get one": {
			300, func(_ *signer.Citizen, k *signer.Certificate) { k.RevokedAt, k.Reason = time.Now(), 1 },
			codes{[]string{"certificate_revoked"}, nil, []string{"certificate_revoked"}},
		},
		"suspended": {
			300, func(_ *signer.Citizen, k *signer.Certificate) { k.RevokedAt, k.Reason = time.Now(), 6 },
			codes{[]string{"certificate_suspended"}, []string{"certificate_suspended"}, []string{"certificate_suspended"}},
		},
		"blocked": {
			20, func(c *signer.Citizen, _ *signer.Certificate) { c.Status = signer.Blocked },
			codes{[]string{"citizen_blocked"}, []string{"citizen_blocked", "credential_exists"}, []string{"citizen_blocked"}},
		},
		"registration too old": {
			20, func(c *signer.Citizen, _ *signer.Certificate) {
				c.Registration.AssuredAt = time.Now().AddDate(-6, 0, 0)
			},
			codes{nil, []string{"registration_too_old", "credential_exists"}, []string{"registration_too_old"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			h.memory.settle(tt.days)
			if tt.change != nil {
				c := h.memory.citizens[spaniard]
				tt.change(&c, h.memory.keyOf[spaniard].Certificate)
				h.memory.citizens[spaniard] = c
			}
			got, raw := h.ahead(t, h.token(t, "sede"), nil)
			if diff := cmp.Diff(tt.want, codes{codesOf(got.Obstacles.Sign), codesOf(got.Obstacles.GetCertificate), codesOf(got.Obstacles.Renew)}); diff != "" {
				t.Errorf("obstacles (-want +got):\n%s", diff)
			}
			if got.CanSign != (tt.want.Sign == nil) || got.CanGetCertificate != (tt.want.Certify == nil) || got.CanRenew != (tt.want.Renew == nil) {
				t.Errorf("got %t, %t, %t beside %+v", got.CanSign, got.CanGetCertificate, got.CanRenew, tt.want)
			}
			for _, secret := range []string{"María", "Núñez", "600000421", "maria", "0badcafe", spaniard} {
				if strings.Contains(string(raw.body), secret) || strings.Contains(h.journal.String(), secret) {
					t.Errorf("got %s, want no %q in it nor in the log", raw.body, secret)
				}
			}
			if cache := raw.header.Get("Cache-Control"); cache != "no-store" {
				t.Errorf("Cache-Control: got %q, want no-store", cache)
			}
		})
	}
}

func codesOf(obstacles []rest.Obstacle) []string {
	var out []string
	for _, o := range obstacles {
		out = append(out, o.Code)
	}
	return out
}

// Dates, places and words are those of the reader's language.
func TestPreflightTells(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.memory.settle(300)
	token := h.token(t, "sede")
	got, _ := h.ahead(t, token, map[string]string{"Accept-Language": "en"})
	ends := h.memory.keyOf[spaniard].Certificate.NotAfter.UTC()
	if got.CertificateUntil == nil || !got.CertificateUntil.Equal(ends) || got.RenewalFrom == nil || got.RegistrationUntil == nil {
		t.Errorf("dates: got %v, %v, %v, want a certificate until %v", got.CertificateUntil, got.RenewalFrom, got.RegistrationUntil, ends)
	}
	want := []rest.Obstacle{{
		Code: "renewal_too_early", Title: "You cannot renew your certificate yet", Detail: got.Obstacles.Renew[0].Detail,
		Remedy: "There is nothing you have to do: we will tell you when you can renew it. Until then, sign with the one you have.",
		Where:  []rest.Place{{Place: rest.AtCertificate, Text: "In this service, on the page about your certificate.", URL: new(h.url + "/certificado")}},
		Source: new(policies.SourceSole),
		Params: &map[string]string{"from": daysOf(t, *got.RenewalFrom), "until": daysOf(t, ends)},
	}}
	if diff := cmp.Diff(want, got.Obstacles.Renew); diff != "" {
		t.Errorf("obstacle (-want +got):\n%s", diff)
	}

	stranger := build(t)
	got, _ = stranger.ahead(t, stranger.token(t, "sede"), nil)
	if got.CanSign || got.CanGetCertificate || got.CanRenew || got.CertificateUntil != nil || got.RenewalFrom != nil || got.RegistrationUntil != nil {
		t.Errorf("got %+v, want nothing of a stranger", got)
	}
	where := []rest.Place{{Place: rest.AtOffice, Text: "En cualquier oficina de registro, con su DNI o NIE y su móvil."}}
	for _, list := range [][]rest.Obstacle{got.Obstacles.Sign, got.Obstacles.GetCertificate, got.Obstacles.Renew} {
		if len(list) != 1 || list[0].Code != "citizen_unknown" || cmp.Diff(where, list[0].Where) != "" {
			t.Errorf("got %+v, want citizen_unknown alone", list)
		}
	}
}

func daysOf(t *testing.T, moment time.Time) string {
	t.Helper()
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	return moment.In(madrid).Format(time.DateOnly)
}

// Every status of the contract can come, and each with its refusal.
func TestPreflightRefuses(t *testing.T) {
	t.Parallel()
	h := build(t)
	token := h.token(t, "sede")
	ask := func(body string, change map[string]string) reply {
		asked := map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"}
		maps.Copy(asked, change)
		return h.call(t, http.MethodPost, preflightPath, strings.NewReader(body), asked)
	}
	for name, tt := range map[string]struct {
		body   string
		change map[string]string
		code   policies.Code
	}{
		"400, empty":          {"", nil, policies.RequestMalformed},
		"400, another member": {`{"identifier":"12345678Z","name":"María"}`, nil, policies.RequestMalformed},
		"400, member twice":   {`{"identifier":"12345678Z","identifier":"X1234567L"}`, nil, policies.RequestMalformed},
		"400, a number":       {`{"identifier":12345678}`, nil, policies.RequestMalformed},
		"400, a form":         {`identifier=12345678Z`, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, policies.RequestMalformed},
		"401":                 {`{"identifier":"12345678Z"}`, map[string]string{"Authorization": "Bearer x"}, policies.ApplicationUnknown},
		"403":                 {`{"identifier":"12345678Z"}`, map[string]string{"Authorization": "Bearer " + h.token(t, "office")}, policies.ScopeMissing},
		"413":                 {`{"identifier":"` + strings.Repeat("1", 2048) + `"}`, nil, policies.DocumentTooLarge},
		"422, no identifier":  {`{}`, nil, policies.IdentifierInvalid},
		"422, wrong letter":   {`{"identifier":"12345678A"}`, nil, policies.IdentifierInvalid},
	} {
		got := ask(tt.body, tt.change)
		wantRefusal(t, got, tt.code)
		if status := name[:3]; fmt.Sprint(got.status) != status {
			t.Errorf("%s: got %d", name, got.status)
		}
	}
	for _, broken := range []struct {
		err  error
		code policies.Code
	}{
		{errors.New("the disk is on fire"), policies.Internal},
		{fmt.Errorf("reading: %w", policies.Refuse(policies.Unavailable).After(5*time.Second)), policies.Unavailable},
	} {
		h.memory.broken = broken.err
		problem := wantRefusal(t, ask(`{"identifier":"12345678Z"}`, nil), broken.code)
		if strings.Contains(fmt.Sprint(problem), "fire") {
			t.Errorf("got %+v, want no cause told", problem)
		}
	}
	h.memory.broken = nil
	for range 1000 {
		if got := ask(`{"identifier":"12345678Z"}`, nil); got.status != http.StatusOK {
			wantRefusal(t, got, policies.RateLimited)
			if got.header.Get("Retry-After") == "" {
				t.Error("429: want Retry-After")
			}
			return
		}
	}
	t.Error("got 1,000 answers in a row, want 429")
}
