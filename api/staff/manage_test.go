package staff_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// Each role does what is its own, and nobody does both.
func TestRoles(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	auditor, _ := h.inside(t, personnel.RoleAuditor)
	chief, boss := h.inside(t, personnel.RoleAdministrator)
	nobody := h.browser(t)
	manage := "/auditoria/personas/" + h.auditor.ID
	h.log.take()
	for _, tt := range []struct {
		method, path           string
		auditor, chief, nobody policies.Code // empty: let in
	}{
		{http.MethodGet, "/auditoria", "", policies.RoleMissing, policies.SessionExpired},
		{http.MethodGet, "/v1/audit/whoami", "", policies.RoleMissing, policies.ApplicationUnknown},
		{http.MethodGet, "/auditoria/estado", "", "", policies.SessionExpired},
		{http.MethodGet, "/auditoria/personas", policies.RoleMissing, "", policies.SessionExpired},
		{http.MethodPost, manage + "/invitar", policies.RoleMissing, "", policies.SessionExpired},
		{http.MethodPost, manage + "/desactivar", policies.RoleMissing, "", policies.SessionExpired},
	} {
		for _, who := range []struct {
			name string
			b    *browser
			code policies.Code
		}{{"auditor", auditor, tt.auditor}, {"nobody", nobody, tt.nobody}, {"administrator", chief, tt.chief}} {
			reply := who.b.ask(t, tt.method, tt.path, "")
			if who.code == "" && reply.status >= 300 {
				t.Errorf("%s %s by %s: got %d %s, want it done", tt.method, tt.path, who.name, reply.status, reply.body)
			}
			if who.code != "" && !strings.Contains(reply.body, `"code":"`+string(who.code)+`"`) {
				t.Errorf("%s %s by %s: got %d %s, want %s", tt.method, tt.path, who.name, reply.status, reply.body, who.code)
			}
		}
	}
	entries := h.log.take()
	if len(entries) != 2 || entries[0].Type != audit.AuditorInvited || entries[1].Type != audit.AuditorDisabled {
		t.Fatalf("got entries %+v, want an invitation and a disabling", entries)
	}
	for _, e := range entries {
		if e.Operation != h.auditor.ID || e.Payload["by"] != boss.ID || e.Payload["name"] != h.auditor.Name {
			t.Errorf("got %+v, want it of the auditor and by the administrator", e)
		}
	}
}

// A role is one of two: the schema knows no other, and no account has both.
func TestRoleIsOne(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	for _, role := range []string{"", "officer", "auditor administrator", "Auditor"} {
		if err := h.accounts.Add(t.Context(), personnel.Account{ID: "x", Name: "X", Role: role, CreatedAt: h.clock.now()}); err == nil {
			t.Errorf("role %q: got an account", role)
		}
	}
	if err := h.accounts.Add(t.Context(), personnel.Account{
		ID: "x", Name: "X", Role: personnel.RoleAdministrator, SecretHash: make([]byte, 32), CreatedAt: h.clock.now(),
	}); err == nil {
		t.Error("got an administrator that is a program")
	}
	pair := h.ca.person(t)
	h.addWith(t, personnel.RoleAuditor, pair)
	if err := h.accounts.Add(t.Context(), personnel.Account{
		ID: "x", Name: "X", Role: personnel.RoleAdministrator, Certificate: staff.Fingerprint(pair.Leaf), CreatedAt: h.clock.now(),
	}); err == nil {
		t.Error("got two accounts, of both roles, with one certificate")
	}
}

func TestManage(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	chief, _ := h.inside(t, personnel.RoleAdministrator)
	var invitation staff.Invitation
	reply := chief.post(t, "/auditoria/personas/"+h.auditor.ID+"/invitar", nil).want(t, http.StatusOK)
	if err := json.Unmarshal([]byte(reply.body), &invitation); err != nil {
		t.Fatal(err)
	}
	link, err := url.Parse(invitation.Link)
	if err != nil || link.Path != "/auditoria/invitacion" || link.RawQuery != "" || len(link.Fragment) != 43 || link.Host != h.url.Host {
		t.Fatalf("got link %s, want the secret behind the #", invitation.Link)
	}
	if got := time.Until(invitation.Until); got < 23*time.Hour || got > 24*time.Hour {
		t.Errorf("got an invitation for %s, want a day", got)
	}
	key := h.authenticator(t)
	guest := h.browser(t)
	guest.enrol(t, key, link.Fragment).want(t, http.StatusOK)
	guest.login(t, key).want(t, http.StatusOK)
	guest.state(t, "un motivo").want(t, http.StatusNoContent)

	var list []personnel.State
	if err := json.Unmarshal([]byte(chief.get(t, "/auditoria/personas").want(t, http.StatusOK).body), &list); err != nil {
		t.Fatal(err)
	}
	passkeys := map[string]int{}
	for _, a := range list {
		passkeys[a.ID] = a.Passkeys
		if a.Disabled() || !a.InvitedUntil.IsZero() {
			t.Errorf("got %+v, want it in use and not invited", a)
		}
	}
	if len(list) != 3 || passkeys[h.auditor.ID] != 1 {
		t.Errorf("got %+v, want three accounts, one with a passkey", list)
	}

	chief.post(t, "/auditoria/personas/"+h.auditor.ID+"/invitar", nil).want(t, http.StatusOK)
	chief.post(t, "/auditoria/personas/"+h.auditor.ID+"/desactivar", nil).want(t, http.StatusNoContent)
	guest.get(t, "/auditoria").refused(t, policies.SessionExpired)
	guest.login(t, key).refused(t, policies.AuditorRefused)
	if got, want := h.count(t), [3]int{1, 0, 0}; got != want { // the administrator's own session
		t.Errorf("got %v sessions, challenges and invitations, want %v", got, want)
	}
	for _, act := range []string{"/invitar", "/desactivar"} {
		for _, id := range []string{h.auditor.ID, "nobody", "%27%20OR%201=1"} {
			chief.post(t, "/auditoria/personas/"+id+act, nil).refused(t, policies.NotFound)
		}
	}
}

// Nothing that opens a door stands in the database or in the log.
func TestSecretsAreHashed(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	key := h.enrolled(t, h.auditor.ID)
	invitation := h.invite(t, h.auditor.ID)
	b := h.browser(t)
	b.login(t, key).want(t, http.StatusOK)
	token := b.grant(t, url.Values{"client_id": {h.program(t).ID}, "client_secret": {secret}}).token(t)
	b.send(t, loginBegin, struct{}{}).want(t, http.StatusOK)
	dump := h.dump(t)
	for name, hidden := range map[string]string{
		"session": b.cookie(sessionCookie).Value, "challenge": b.cookie("__Host-rubrica-auditor-desafio").Value,
		"invitation": invitation, "token": token, "client secret": secret,
	} {
		if hidden == "" || strings.Contains(dump, hidden) {
			t.Errorf("the database holds the %s", name)
		}
	}
	if !strings.Contains(dump, h.auditor.Name) {
		t.Error("the dump holds nothing")
	}
}
