package staff_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

const sessionCookie = "__Host-rubrica-auditor"

// inside is a browser whose auditor has entered and said why.
func (h *house) inside(t *testing.T, role string) (*browser, personnel.Account) {
	t.Helper()
	pair := h.ca.person(t)
	a := h.addWith(t, role, pair)
	b := h.browser(t, pair)
	b.enter(t)
	b.state(t, "Expediente 2026/114").want(t, http.StatusNoContent)
	return b, a
}

func TestCookie(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	pair := h.ca.person(t)
	h.addWith(t, personnel.RoleAuditor, pair)
	reply := h.browser(t, pair).post(t, "/auditoria/entrar/certificado", nil).want(t, http.StatusNoContent)
	lines := reply.header.Values("Set-Cookie")
	if len(lines) != 1 {
		t.Fatalf("got cookies %q, want one", lines)
	}
	name, rest, _ := strings.Cut(lines[0], "=")
	value, attributes, _ := strings.Cut(rest, "; ")
	if name != sessionCookie || len(value) != 43 {
		t.Errorf("got %s of %d characters, want %s of 256 bits", name, len(value), sessionCookie)
	}
	if want := "Path=/; Max-Age=28800; HttpOnly; Secure; SameSite=Strict"; attributes != want {
		t.Errorf("got %s, want %s", attributes, want)
	}
}

// The secret is drawn at each login: what a browser came with is never adopted,
// and an earlier session of it ends.
func TestSessionFixation(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	pair := h.ca.person(t)
	h.addWith(t, personnel.RoleAuditor, pair)
	b := h.browser(t, pair)
	planted := strings.Repeat("A", 43)
	b.client.Jar.SetCookies(h.url, []*http.Cookie{{Name: sessionCookie, Value: planted, Path: "/", Secure: true}})
	b.enter(t)
	first := b.cookie(sessionCookie).Value
	if first == planted {
		t.Fatal("a planted secret was adopted")
	}
	b.enter(t)
	if b.cookie(sessionCookie).Value == first {
		t.Error("a second login kept the secret of the first")
	}
	b.client.Jar.SetCookies(h.url, []*http.Cookie{{Name: sessionCookie, Value: first, Path: "/", Secure: true}})
	b.get(t, "/auditoria/estado").refused(t, policies.SessionExpired)
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	idle, _ := h.inside(t, personnel.RoleAuditor)
	busy, _ := h.inside(t, personnel.RoleAuditor)
	left, _ := h.inside(t, personnel.RoleAuditor)

	secret := left.cookie(sessionCookie)
	left.post(t, "/auditoria/salir", nil).want(t, http.StatusNoContent)
	if left.cookie(sessionCookie) != nil {
		t.Error("the cookie is still there after logout")
	}
	left.client.Jar.SetCookies(h.url, []*http.Cookie{{Name: sessionCookie, Value: secret.Value, Path: "/", Secure: true}})
	left.get(t, "/auditoria").refused(t, policies.SessionExpired)

	h.clock.pass(29 * time.Minute)
	busy.get(t, "/auditoria").want(t, http.StatusOK)
	h.clock.pass(2 * time.Minute)
	idle.get(t, "/auditoria").refused(t, policies.SessionExpired)
	busy.get(t, "/auditoria").want(t, http.StatusOK)
	for passed := 31 * time.Minute; passed < 8*time.Hour-20*time.Minute; passed += 20 * time.Minute {
		busy.get(t, "/auditoria").want(t, http.StatusOK)
		h.clock.pass(20 * time.Minute)
	}
	h.clock.pass(20 * time.Minute)
	busy.get(t, "/auditoria").refused(t, policies.SessionExpired)
}

func TestPurge(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	h.inside(t, personnel.RoleAuditor)
	h.browser(t).send(t, "/auditoria/passkey/login/begin", struct{}{}).want(t, http.StatusOK)
	chief, _ := h.inside(t, personnel.RoleAdministrator)
	chief.post(t, "/auditoria/personas/"+h.auditor.ID+"/invitar", nil).want(t, http.StatusOK)
	purge, ok := h.door.Store.(store.Staff)
	if !ok {
		t.Fatalf("got a store of type %T", h.door.Store)
	}
	for _, tt := range []struct {
		after time.Duration
		want  [3]int
	}{{0, [3]int{2, 1, 1}}, {6 * time.Minute, [3]int{2, 0, 1}}, {time.Hour, [3]int{0, 0, 1}}, {24 * time.Hour, [3]int{}}} {
		h.clock.pass(tt.after)
		if err := purge.Purge(t.Context(), h.clock.now()); err != nil {
			t.Fatal(err)
		}
		if got := h.count(t); got != tt.want {
			t.Errorf("after another %s: got %v sessions, challenges and invitations, want %v", tt.after, got, tt.want)
		}
	}
}

func TestPurpose(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	pair := h.ca.person(t)
	h.addWith(t, personnel.RoleAuditor, pair)
	b := h.browser(t, pair)
	b.enter(t)
	b.get(t, "/auditoria").refused(t, policies.PurposeMissing)
	for _, text := range []string{"", "    ", "abcd", " abcd ", strings.Repeat("á", 201), "una\nlínea", "dos\x00tres", "gira\u202e gira", "\xff\xfe\xfd\xfc\xfb"} {
		b.state(t, text).refused(t, policies.PurposeMissing)
	}
	for _, text := range []string{"abcde", strings.Repeat("á", 200), "Requerimiento judicial 114/2026", "<b>'; DROP TABLE auditors --</b>"} {
		b.state(t, " "+text+" ").want(t, http.StatusNoContent)
		if got := b.get(t, "/auditoria").asking(t).Purpose; got != text {
			t.Errorf("got purpose %q, want %q", got, text)
		}
	}
	h.browser(t).state(t, "no soy nadie").refused(t, policies.SessionExpired)
}

// A cookie opens nothing but its own door, and from no page but ours.
func TestForeignPages(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	b, _ := h.inside(t, personnel.RoleAuditor)
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://mala.example"}} {
		b.ask(t, http.MethodPost, "/auditoria/salir", "", headers...).refused(t, policies.RequestMalformed)
	}
	b.get(t, "/auditoria").want(t, http.StatusOK)
}

// Nobody is let in whose entry could not be recorded, and no refusal goes
// unrecorded in silence.
func TestNothingWithoutTheLog(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	pair := h.ca.person(t)
	h.addWith(t, personnel.RoleAuditor, pair)
	b := h.browser(t, pair)
	h.log.breakDown(errors.Join(policies.Refuse(policies.Unavailable)))
	b.post(t, "/auditoria/entrar/certificado", nil).refused(t, policies.Unavailable)
	h.browser(t).post(t, "/auditoria/entrar/certificado", nil).refused(t, policies.Unavailable)
	if b.cookie(sessionCookie) != nil || h.count(t)[0] != 0 {
		t.Error("got a session that is not in the log")
	}
	h.log.breakDown(nil)
	b.enter(t)
	h.browser(t).post(t, "/auditoria/entrar/certificado", nil).refused(t, policies.AuditorRefused)
	if got := h.log.only(t, audit.AuditorLoginFailed).Payload["omitted"]; got != 1 {
		t.Errorf("failures that were not recorded: got %v, want 1", got)
	}
}

// A flood from one address is refused before anything is compared or recorded;
// one from many is counted.
func TestFlood(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *staff.Config) { c.Limits.Attempts.Every, c.Limits.Attempts.Burst = time.Hour, 3 })
	b := h.browser(t)
	for range 3 {
		b.post(t, "/auditoria/entrar/certificado", nil).refused(t, policies.AuditorRefused)
	}
	h.log.take()
	reply := b.post(t, "/auditoria/entrar/certificado", nil)
	reply.refused(t, policies.RateLimited)
	if reply.header.Get("Retry-After") == "" || len(h.log.take()) != 0 {
		t.Error("an attempt that was not admitted was compared")
	}
	b.send(t, "/auditoria/passkey/login/begin", struct{}{}).refused(t, policies.RateLimited)
	b.send(t, "/auditoria/passkey/login/finish", struct{}{}).refused(t, policies.RateLimited)
	b.send(t, "/auditoria/passkey/enrol/begin", map[string]string{"invitation": "x"}).refused(t, policies.RateLimited)

	h = build(t, func(c *staff.Config) { c.Limits.Failures.Every, c.Limits.Failures.Burst = time.Minute, 2 })
	b = h.browser(t)
	for range 7 {
		b.post(t, "/auditoria/entrar/certificado", nil).refused(t, policies.AuditorRefused)
	}
	if got := len(h.log.take()); got != 2 {
		t.Errorf("got %d entries of a flood, want 2", got)
	}
	h.clock.pass(time.Minute)
	b.post(t, "/auditoria/entrar/certificado", nil).refused(t, policies.AuditorRefused)
	if got := h.log.only(t, audit.AuditorLoginFailed).Payload["omitted"]; got != 5 {
		t.Errorf("got %v omitted, want 5", got)
	}
}
