package staff_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/chromium"
)

// ceremony is what the pages' script does, on a page of the same origin.
const ceremony = `
	const post = async (path, body) => {
		const answer = await fetch('/auditoria/passkey/' + path, {
			method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
		const value = await answer.json();
		if (!answer.ok) throw new Error(value.code);
		return value;
	};
	const enrol = async invitation => {
		const options = PublicKeyCredential.parseCreationOptionsFromJSON((await post('enrol/begin', {invitation})).publicKey);
		return (await post('enrol/finish', (await navigator.credentials.create({publicKey: options})).toJSON())).next;
	};
	const login = async () => {
		const options = PublicKeyCredential.parseRequestOptionsFromJSON((await post('login/begin', {})).publicKey);
		return (await post('login/finish', (await navigator.credentials.get({publicKey: options})).toJSON())).next;
	};
	const told = async work => { try { return await work() } catch (e) { return e.name + ': ' + e.message } };
`

// TestChromium has a real browser make a passkey and enter with it.
func TestChromium(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	key := sha256.Sum256(h.own.RawSubjectPublicKeyInfo)
	ctx, cancel := chromedp.NewContext(t.Context(), chromium.Options(
		// The door's certificate is of the test's own authority.
		chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(key[:]))))
	defer cancel()
	run := func(script string) string {
		t.Helper()
		limited, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		got, err := chromedp.Run(limited, chromedp.Evaluate[string](`(async () => {`+ceremony+`return await told(async () => {`+script+`})})()`, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("in the browser: %v", err)
		}
		return got
	}
	if _, err := chromedp.Run(ctx, chromedp.Steps(chromedp.Navigate(h.url.String()+"/"))); err != nil {
		t.Fatalf("opening a page: %v", err)
	}
	device := insert(ctx, t)

	secret := h.invite(t, h.auditor.ID)
	h.log.take()
	if got := run(`return await enrol('` + secret + `')`); got != "/auditoria/entrar" {
		t.Fatalf("enrolling: got %s", got)
	}
	h.log.only(t, audit.AuditorEnrolled)
	if got := run(`return await enrol('` + secret + `')`); got != "Error: invitation_invalid" {
		t.Errorf("the invitation again: got %s", got)
	}
	h.log.take()
	for range 2 { // the counter goes on
		if got := run(`return await login()`); got != "/auditoria/proposito" {
			t.Fatalf("entering: got %s", got)
		}
		h.log.only(t, audit.AuditorLoggedIn)
	}
	const state = `
		const answer = await fetch('/auditoria/proposito', {method: 'POST', body: new URLSearchParams({purpose: 'Expediente de prueba'})});
		const asking = await (await fetch('/auditoria')).json();
		return answer.status + ' ' + asking.Purpose + ' ' + asking.Identity.By + ' ' + document.cookie`
	if got, want := run(state), "204 Expediente de prueba passkey "; got != want { // and no script reads the cookie
		t.Errorf("stating a purpose: got %q, want %q", got, want)
	}
	if got := run(`return await enrol('')`); !strings.HasPrefix(got, "InvalidStateError: ") {
		t.Errorf("the same device again: got %s, want the browser to know its passkey", got)
	}

	// Who cannot prove to be the owner does not get in.
	if _, err := chromedp.Call(ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: device, IsUserVerified: false}); err != nil {
		t.Fatal(err)
	}
	if got := run(`return await login()`); !strings.HasPrefix(got, "NotAllowedError: ") {
		t.Errorf("without a PIN: got %s, want the device to refuse", got)
	}
}

// insert gives the browser a device with passkeys.
func insert(ctx context.Context, t *testing.T) webauthn.AuthenticatorID {
	t.Helper()
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatalf("enabling WebAuthn: %v", err)
	}
	added, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		},
	})
	if err != nil {
		t.Fatalf("inserting a device: %v", err)
	}
	return added.AuthenticatorID
}
