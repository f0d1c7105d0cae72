package staff_test

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// buildDesk is a door of officers, with two offices.
func buildDesk(t *testing.T) *house {
	t.Helper()
	h := buildFor(t, staff.Config{Kind: personnel.Officers(), Paths: staff.OfficerPaths()}, nil)
	conn, err := pgx.Connect(t.Context(), h.owner)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, office := range []string{"norte", "sur"} {
		if _, err := conn.Exec(t.Context(), `
			INSERT INTO applications (id, name, organisation, secret_hash, scopes, created_at)
			VALUES ($1, 'Oficina', 'Ayuntamiento', $2, '{registration}', now())`, office, api.SecretHash(office)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// officer opens an account that is entered with a certificate, and enters.
func (h *house) officer(t *testing.T, role, office string) (*browser, personnel.Account) {
	t.Helper()
	pair := h.ca.person(t)
	a := h.add(t, personnel.Account{Name: role + " de " + office, Role: role, Office: office, Certificate: staff.Fingerprint(pair.Leaf)})
	b := h.browser(t, pair)
	b.enter(t)
	return b, a
}

// Officers enter as auditors do, and everything about it has their names.
func TestOfficers(t *testing.T) {
	t.Parallel()
	h := buildDesk(t)
	pair := h.ca.person(t)
	a := h.add(t, personnel.Account{Name: "Rosa Gil", Role: personnel.RoleSupervisor, Office: "norte", Certificate: staff.Fingerprint(pair.Leaf)})
	b := h.browser(t, pair)
	b.post(t, "/mesa/entrar/certificado", nil).want(t, http.StatusNoContent)
	want := map[string]any{
		"name": "Rosa Gil", "role": "supervisor", "office": "norte", "by": "certificate", "address": "127.0.0.1",
		"certificate_sha256": hex.EncodeToString(a.Certificate),
	}
	if diff := cmp.Diff(want, h.log.only(t, audit.OfficerLoggedIn).Payload); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	// There is no purpose to be stated before somebody is let in.
	asking := b.get(t, "/mesa").asking(t)
	if want := (personnel.Identity{ID: a.ID, Name: a.Name, Role: a.Role, Office: "norte", By: "certificate"}); asking.Identity != want {
		t.Errorf("got %+v, want %+v", asking.Identity, want)
	}
	if b.cookie("__Host-rubrica-officer") == nil || b.cookie("__Host-rubrica-auditor") != nil {
		t.Error("the session is not in the officers' cookie")
	}

	thief := h.browser(t)
	thief.client.Jar.SetCookies(h.url, b.client.Jar.Cookies(h.url))
	thief.get(t, "/mesa").refused(t, policies.SessionExpired)
	h.browser(t, h.ca.person(t)).post(t, "/mesa/entrar/certificado", nil).refused(t, policies.OfficerRefused)
	if got := h.log.only(t, audit.OfficerLoginFailed).Payload["cause"]; got != "unknown" {
		t.Errorf("got cause %v, want unknown", got)
	}
	// A bearer token is nothing at this door.
	h.browser(t).ask(t, http.MethodGet, "/mesa", "", "Authorization", "Bearer x").refused(t, policies.SessionExpired)

	if err := h.accounts.Disable(t.Context(), a.ID, h.clock.now()); err != nil {
		t.Fatal(err)
	}
	b.get(t, "/mesa").refused(t, policies.SessionExpired)
}

func TestOfficersPasskey(t *testing.T) {
	t.Parallel()
	h := buildDesk(t)
	a := h.add(t, personnel.Account{Name: "Marcos Ruiz", Role: personnel.RoleOfficer, Office: "sur"})
	b, key := h.browser(t), h.authenticator(t)
	begun := b.send(t, "/mesa/passkey/enrol/begin", map[string]string{"invitation": h.invite(t, a.ID)}).options(t)
	b.send(t, "/mesa/passkey/enrol/finish", key.create(t, begun)).wantAnswer(t, `{"next":"/mesa/entrar"}`)
	h.log.only(t, audit.OfficerEnrolled)
	b.send(t, "/mesa/passkey/login/finish", key.get(t, b.send(t, "/mesa/passkey/login/begin", struct{}{}).options(t))).wantAnswer(t, `{"next":"/mesa"}`)
	if got := h.log.only(t, audit.OfficerLoggedIn).Payload; got["by"] != "passkey" || got["office"] != "sur" {
		t.Errorf("got %v, want it by passkey and of the office", got)
	}
}

// An administrator looks after the officers of one office, and sees no citizen.
func TestOfficersAdministrator(t *testing.T) {
	t.Parallel()
	h := buildDesk(t)
	chief, boss := h.officer(t, personnel.RoleAdministrator, "norte")
	own, colleague := h.officer(t, personnel.RoleOfficer, "norte")
	_, stranger := h.officer(t, personnel.RoleOfficer, "sur")
	h.log.take()

	chief.get(t, "/mesa").refused(t, policies.RoleMissing)
	own.get(t, "/mesa/personas").refused(t, policies.RoleMissing)
	list := chief.get(t, "/mesa/personas").want(t, http.StatusOK).body
	if !strings.Contains(list, colleague.ID) || strings.Contains(list, stranger.ID) {
		t.Errorf("got %s, want those of the own office", list)
	}
	for _, act := range []string{"invitar", "desactivar"} {
		chief.post(t, "/mesa/personas/"+stranger.ID+"/"+act, nil).refused(t, policies.NotFound)
	}
	if link := chief.post(t, "/mesa/personas/"+colleague.ID+"/invitar", nil).want(t, http.StatusOK).body; !strings.Contains(link, h.url.String()+"/mesa/invitacion#") {
		t.Errorf("got %s, want a link to the desk", link)
	}
	if e := h.log.only(t, audit.OfficerInvited); e.Operation != colleague.ID || e.Payload["by"] != boss.ID {
		t.Errorf("got %+v, want it of the colleague and by the administrator", e)
	}
	chief.post(t, "/mesa/personas/"+colleague.ID+"/desactivar", nil).want(t, http.StatusNoContent)
	h.log.only(t, audit.OfficerDisabled)
	own.get(t, "/mesa").refused(t, policies.SessionExpired)
}
