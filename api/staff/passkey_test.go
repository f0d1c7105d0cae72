package staff_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// invite is what the command line does; it returns the secret of the link.
func (h *house) invite(t *testing.T, accountID string) string {
	t.Helper()
	a, err := h.accounts.Account(t.Context(), accountID)
	if err != nil {
		t.Fatal(err)
	}
	secret, i := staff.NewInvitation(a, h.clock.now(), 24*time.Hour)
	if err := h.accounts.Invite(t.Context(), i, h.clock.now()); err != nil {
		t.Fatal(err)
	}
	return secret
}

func passkeySum(a *authenticator) string {
	sum := sha256.Sum256(a.id)
	return hex.EncodeToString(sum[:])
}

func TestPasskey(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	b, key := h.browser(t), h.authenticator(t)
	secret := h.invite(t, h.auditor.ID)
	creation := b.send(t, enrolBegin, map[string]string{"invitation": secret}).options(t)
	if got, want := creation.PublicKey.AuthenticatorSelection, map[string]any{
		"requireResidentKey": true, "residentKey": "required", "userVerification": "required",
	}; !cmp.Equal(got, want) {
		t.Errorf("got selection %v, want %v", got, want)
	}
	if creation.PublicKey.RP.ID != "localhost" {
		t.Errorf("got relying party %q, want the host", creation.PublicKey.RP.ID)
	}
	b.send(t, enrolFinish, key.create(t, creation)).wantAnswer(t, `{"next":"/auditoria/entrar"}`)
	entry := h.log.only(t, audit.AuditorEnrolled)
	if diff := cmp.Diff(map[string]any{"name": h.auditor.Name, "by": "invitation", "passkey_sha256": passkeySum(key)}, entry.Payload); diff != "" || entry.Operation != h.auditor.ID {
		t.Errorf("entry of %s (-want +got):\n%s", entry.Operation, diff)
	}
	if b.cookie(sessionCookie) != nil {
		t.Error("an invitation alone began a session")
	}

	request := b.send(t, loginBegin, struct{}{}).options(t)
	if request.PublicKey.UserVerification != "required" || request.PublicKey.RPID != "localhost" || request.PublicKey.AllowCredentials != nil {
		t.Errorf("got %+v, want any passkey of localhost, with its user verified", request)
	}
	b.send(t, loginFinish, key.get(t, request)).wantAnswer(t, `{"next":"/auditoria/proposito"}`)
	entry = h.log.only(t, audit.AuditorLoggedIn)
	want := map[string]any{"name": h.auditor.Name, "role": "auditor", "by": "passkey", "address": "127.0.0.1", "passkey_sha256": passkeySum(key)}
	if diff := cmp.Diff(want, entry.Payload); diff != "" || entry.Operation != h.auditor.ID {
		t.Errorf("entry of %s (-want +got):\n%s", entry.Operation, diff)
	}
	b.state(t, "Expediente 12").want(t, http.StatusNoContent)
	asking := b.get(t, "/auditoria").asking(t)
	if want := (personnel.Asking{Identity: personnel.Identity{ID: h.auditor.ID, Name: h.auditor.Name, Role: "auditor", By: "passkey"}, Purpose: "Expediente 12"}); asking != want {
		t.Errorf("got %+v, want %+v", asking, want)
	}

	// Who is in adds another, and an administrator goes elsewhere.
	second := h.authenticator(t)
	again := b.send(t, enrolBegin, struct{}{}).options(t)
	if len(again.PublicKey.ExcludeCredentials) != 1 {
		t.Errorf("got %v excluded, want the passkey that is there", again.PublicKey.ExcludeCredentials)
	}
	b.send(t, enrolFinish, second.create(t, again)).wantAnswer(t, `{"next":"/auditoria"}`)
	if got := h.log.only(t, audit.AuditorEnrolled).Payload["by"]; got != "session" {
		t.Errorf("enrolled by %v, want session", got)
	}
	h.browser(t).login(t, second).want(t, http.StatusOK)
	h.browser(t).login(t, h.enrolled(t, h.chief.ID)).wantAnswer(t, `{"next":"/auditoria/estado"}`)
}

// decoysKey is the key that unknown passkeys are compared with: everybody has it.
func decoysKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append(make([]byte, 31), 1))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Whatever is wrong with a passkey, the answer is the same to the byte.
func TestPasskeyRefused(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	closed := h.add(t, personnel.Account{Name: "Cerrada", Role: personnel.RoleAuditor})
	disabled := h.enrolled(t, closed.ID)
	if err := h.accounts.Disable(t.Context(), closed.ID, h.clock.now()); err != nil {
		t.Fatal(err)
	}
	var first string
	for _, tt := range []struct {
		name, cause string
		spoil       func(*authenticator)
	}{
		{"disabled", "disabled", func(a *authenticator) { *a = *disabled }},
		{"unknown account", "unknown", func(a *authenticator) { a.handle = []byte("nobody") }},
		{"no account", "unknown", func(a *authenticator) { a.handle = nil }},
		{"unknown account, known key", "unknown", func(a *authenticator) { a.handle, a.key = []byte("nobody"), decoysKey(t) }},
		{"another account", "wrong", func(a *authenticator) { a.handle = []byte(h.chief.ID) }},
		{"unknown passkey", "wrong", func(a *authenticator) { a.id = []byte(strings.Repeat("x", 32)) }},
		{"another key", "wrong", func(a *authenticator) { a.key = newKey(t) }},
		{"another origin", "wrong", func(a *authenticator) { a.origin = "https://mala.example" }},
		{"another port", "wrong", func(a *authenticator) { a.origin = "https://localhost" }},
		{"another relying party", "wrong", func(a *authenticator) { a.rp = "mala.example" }},
		{"no user verified", "wrong", func(a *authenticator) { a.flags = userPresent }},
		{"no user present", "wrong", func(a *authenticator) { a.flags = userVerified }},
		{"an enrolment's answer", "wrong", func(a *authenticator) { a.kind = "webauthn.create" }},
		{"a copied passkey", "counter", func(a *authenticator) { a.counter -= 2 }},
		{"the same count", "counter", func(a *authenticator) { a.counter-- }},
	} {
		key := h.enrolled(t, h.auditor.ID)
		for range 3 {
			h.browser(t).login(t, key).want(t, http.StatusOK)
		}
		h.log.take()
		tt.spoil(key)
		b := h.browser(t)
		reply := b.login(t, key)
		reply.refused(t, policies.AuditorRefused)
		if first == "" {
			first = reply.body
		}
		if reply.body != first || b.cookie(sessionCookie) != nil {
			t.Errorf("%s: got %s, want %s as all others, and no session", tt.name, reply.body, first)
		}
		if got := h.log.only(t, audit.AuditorLoginFailed).Payload["cause"]; got != tt.cause {
			t.Errorf("%s: got cause %v, want %s", tt.name, got, tt.cause)
		}
	}
	b := h.browser(t)
	b.send(t, loginBegin, struct{}{}).want(t, http.StatusOK)
	for _, body := range []string{"", "{}", "null", "[]", `{"id":"x"}`, strings.Repeat("[", 10000)} {
		reply := b.ask(t, http.MethodPost, loginFinish, body, "Content-Type", "application/json")
		reply.refused(t, policies.AuditorRefused)
	}
	b.ask(t, http.MethodPost, loginFinish, "{}", "Content-Type", "text/plain").want(t, http.StatusUnsupportedMediaType)
	b.ask(t, http.MethodPost, loginFinish, strings.Repeat(" ", 1<<20), "Content-Type", "application/json").refused(t, policies.DocumentTooLarge)
}

// A challenge is used once, by the browser that it was drawn for, for what it was
// drawn for, and soon.
func TestChallenge(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	key := h.enrolled(t, h.auditor.ID)
	b := h.browser(t)

	begun := b.send(t, loginBegin, struct{}{})
	held := b.cookie("__Host-rubrica-auditor-desafio")
	if line := begun.header.Get("Set-Cookie"); !strings.HasSuffix(line, "; Path=/; Max-Age=300; HttpOnly; Secure; SameSite=Strict") {
		t.Errorf("got cookie %s", line)
	}
	answer := key.get(t, begun.options(t))
	h.browser(t).send(t, loginFinish, answer).refused(t, policies.AuditorRefused)
	if got := h.log.only(t, audit.AuditorLoginFailed).Payload["cause"]; got != "replayed" {
		t.Errorf("another browser's answer: got cause %v", got)
	}
	b.send(t, loginFinish, answer).want(t, http.StatusOK)
	b.client.Jar.SetCookies(h.url, []*http.Cookie{{Name: held.Name, Value: held.Value, Path: "/", Secure: true}})
	b.send(t, loginFinish, answer).refused(t, policies.AuditorRefused)

	late := b.send(t, loginBegin, struct{}{}).options(t)
	h.clock.pass(6 * time.Minute)
	b.send(t, loginFinish, key.get(t, late)).refused(t, policies.AuditorRefused)

	// One that failed is spent as well.
	spent := b.send(t, loginBegin, struct{}{}).options(t)
	held = b.cookie("__Host-rubrica-auditor-desafio")
	b.send(t, loginFinish, struct{}{}).refused(t, policies.AuditorRefused)
	b.client.Jar.SetCookies(h.url, []*http.Cookie{{Name: held.Name, Value: held.Value, Path: "/", Secure: true}})
	b.send(t, loginFinish, key.get(t, spent)).refused(t, policies.AuditorRefused)

	// That of a login enrols nobody, and the other way round.
	b.send(t, loginBegin, struct{}{}).want(t, http.StatusOK)
	b.send(t, enrolFinish, h.authenticator(t).create(t, late)).refused(t, policies.SessionExpired)
	b.send(t, enrolBegin, map[string]string{"invitation": h.invite(t, h.auditor.ID)}).want(t, http.StatusOK)
	b.send(t, loginFinish, key.get(t, late)).refused(t, policies.AuditorRefused)
}

// Of several answers to one challenge one counts, also when they come at once.
func TestChallengeOnce(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	key := h.enrolled(t, h.auditor.ID)
	b := h.browser(t)
	answer := key.get(t, b.send(t, loginBegin, struct{}{}).options(t))
	held := []*http.Cookie{b.cookie("__Host-rubrica-auditor-desafio")}
	held[0].Path, held[0].Secure = "/", true
	if got := race(8, func() bool {
		other := h.browser(t)
		other.client.Jar.SetCookies(h.url, held)
		return other.send(t, loginFinish, answer).status == http.StatusOK
	}); got != 1 {
		t.Errorf("%d logins with one challenge, want 1", got)
	}
}

// race does something n times at once, and counts how often it works.
func race(n int, do func() bool) int {
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		count int
	)
	for range n {
		wait.Go(func() {
			if do() {
				mu.Lock()
				count++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return count
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	b := h.browser(t)
	secret := h.invite(t, h.auditor.ID)
	h.log.take()
	for _, wrong := range []string{"x", strings.Repeat("A", 43), secret[:42], secret + "A"} {
		b.enrol(t, h.authenticator(t), wrong).refused(t, policies.InvitationInvalid)
		if got := h.log.only(t, audit.AuditorLoginFailed).Payload["by"]; got != "invitation" {
			t.Errorf("got %v, want an invitation's failure recorded", got)
		}
	}
	b.enrol(t, h.authenticator(t), "").refused(t, policies.SessionExpired)
	b.enrol(t, h.authenticator(t), secret).want(t, http.StatusOK)
	b.enrol(t, h.authenticator(t), secret).refused(t, policies.InvitationInvalid)

	// A newer one replaces it; it lasts a day; a closed account has none.
	older, newer := h.invite(t, h.auditor.ID), h.invite(t, h.auditor.ID)
	b.enrol(t, h.authenticator(t), older).refused(t, policies.InvitationInvalid)
	h.clock.pass(24*time.Hour + time.Minute)
	b.enrol(t, h.authenticator(t), newer).refused(t, policies.InvitationInvalid)
	last := h.invite(t, h.auditor.ID)
	begun := b.send(t, enrolBegin, map[string]string{"invitation": last}).options(t)
	if err := h.accounts.Disable(t.Context(), h.auditor.ID, h.clock.now()); err != nil {
		t.Fatal(err)
	}
	b.send(t, enrolFinish, h.authenticator(t).create(t, begun)).refused(t, policies.InvitationInvalid)
}

// A passkey belongs to one account: whoever has one cannot claim it for another.
func TestPasskeyOfAnother(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	key := h.enrolled(t, h.auditor.ID)
	h.browser(t).enrol(t, key, h.invite(t, h.chief.ID)).refused(t, policies.AuditorRefused)
	h.browser(t).login(t, key).refused(t, policies.AuditorRefused) // it has the other's handle now
	key.handle = []byte(h.auditor.ID)
	h.browser(t).login(t, key).want(t, http.StatusOK)
}

// A passkey without a check of its user is not made.
func TestEnrolmentRefused(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	secret := h.invite(t, h.auditor.ID)
	for name, spoil := range map[string]func(*authenticator){
		"no user verified":      func(a *authenticator) { a.flags = userPresent },
		"another origin":        func(a *authenticator) { a.origin = "https://mala.example" },
		"another relying party": func(a *authenticator) { a.rp = "mala.example" },
		"a login's answer":      func(a *authenticator) { a.kind = "webauthn.get" },
	} {
		key := h.authenticator(t)
		spoil(key)
		reply := h.browser(t).enrol(t, key, secret)
		var problem struct{ Code policies.Code }
		if err := json.Unmarshal([]byte(reply.body), &problem); err != nil || problem.Code != policies.RequestMalformed {
			t.Errorf("%s: got %s, want it refused", name, reply.body)
		}
	}
	h.browser(t).enrol(t, h.authenticator(t), secret).want(t, http.StatusOK) // none of them has used it
}

func TestInvitationOnce(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	secret := h.invite(t, h.auditor.ID)
	const n = 8
	ready := make(chan *browser, n)
	answers := make(map[*browser]map[string]any, n)
	for range n {
		b := h.browser(t)
		answers[b] = h.authenticator(t).create(t, b.send(t, enrolBegin, map[string]string{"invitation": secret}).options(t))
		ready <- b
	}
	h.log.take()
	if got := race(n, func() bool {
		b := <-ready
		return b.send(t, enrolFinish, answers[b]).status == http.StatusOK
	}); got != 1 {
		t.Errorf("an invitation was used %d times, want once", got)
	}
	var enrolled int
	for _, e := range h.log.take() {
		if e.Type == audit.AuditorEnrolled {
			enrolled++
		}
	}
	if enrolled != 1 {
		t.Errorf("got %d entries of an enrolment, want 1", enrolled)
	}
}
