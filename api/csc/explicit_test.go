package csc_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
)

// TestExplicit: SCAL1, where deployment and application have it switched on; an
// SAD of it signs its own hashes once, and wrong factors have the documents' words.
func TestExplicit(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "ec-p256")
	one := map[string]any{
		"credentialID": h.credential.ID, "numSignatures": 1, "hash": []string{b64(digestOf([]byte("uno")))}, "PIN": password, "OTP": "00000000",
	}
	h.refused("v1/credentials/authorize", "service", one, "400 invalid_request Invalid parameter credentialID") // the deployment has it off
	h.refused("v1/credentials/sendOTP", "service", map[string]any{"credentialID": h.credential.ID}, "400 invalid_request Invalid parameter credentialID")

	h.module.Explicit, h.door.Explicit, h.door.Hashes = true, h.module, h.service
	var seen struct {
		SCAL, AuthMode string
		PIN, OTP       struct{ Presence string }
	}
	h.call("v1/credentials/info", "service", map[string]any{"credentialID": h.credential.ID, "authInfo": true}, &seen)
	if seen.SCAL != "1" || seen.AuthMode != "explicit" || seen.PIN.Presence != "true" || seen.OTP.Presence != "true" {
		t.Errorf("got %+v, want a credential that says it is SCAL1", seen)
	}
	var offered struct{ Methods []string }
	h.call("v1/info", "", map[string]any{}, &offered)
	for _, name := range []string{"credentials/authorize", "credentials/sendOTP"} {
		if !slices.Contains(offered.Methods, name) {
			t.Errorf("info names %v, want %s among them", offered.Methods, name)
		}
	}
	for number, want := range map[int]string{
		0: "Invalid value for parameter numSignatures", -1: "Invalid value for parameter numSignatures", 2: "Invalid value for parameter numSignatures",
		100: "Invalid value for parameter numSignatures", 101: "Numbers of signatures is too high", 1 << 31: "Numbers of signatures is too high",
	} {
		h.refused("v1/credentials/authorize", "service", with(one, "numSignatures", number), "400 invalid_request "+want)
	}
	send := func() {
		t.Helper()
		h.clock.advance(time.Hour)
		if got := h.post("v1/credentials/sendOTP", "service", `{"credentialID":"`+h.credential.ID+`"}`); got.status != http.StatusNoContent {
			t.Fatalf("sending: got %d %s", got.status, got.body)
		}
	}
	send()
	h.refused("v1/credentials/authorize", "service", with(one, "PIN", "otra contraseña 1"), "400 invalid_pin The PIN is invalid")
	h.refused("v1/credentials/authorize", "service", with(one, "OTP", "no es"), "400 invalid_otp The OTP is invalid")
	h.refused("v1/credentials/authorize", "service", one, "400 invalid_otp The OTP is invalid") // 00000000
	const waiting, counted = `SELECT count(*) FROM requests WHERE state = 'pending' AND title <> 'Contratos'`, `SELECT count(*) FROM log_entries WHERE type = $1`
	if got := h.sql(waiting); got != 0 {
		t.Errorf("%d requests wait for nobody", got)
	}
	for kind, want := range map[string]int{"auth.failed": 1, "code.failed": 1, "sign.withdrawn": 2} {
		if got := h.sql(counted, kind); got != want {
			t.Errorf("%s: got %d entries, want %d", kind, got, want)
		}
	}
	var a struct {
		SAD       string
		ExpiresIn int
	}
	one["OTP"] = h.phone.code().Reveal()
	h.call("v1/credentials/authorize", "service", one, &a)
	if a.SAD == "" || a.ExpiresIn < 1 || a.ExpiresIn > 300 {
		t.Errorf("got %+v, want an SAD of five minutes", a)
	}
	spend := map[string]any{
		"credentialID": h.credential.ID, "SAD": a.SAD, "hash": []string{b64(digestOf([]byte("otro")))}, "signAlgo": "1.2.840.10045.4.3.2", "hashAlgo": signer.SHA256,
	}
	h.refused("v1/signatures/signHash", "service", spend, "400 invalid_request Hash is not authorized by the SAD.")
	spend["hash"] = []string{b64(digestOf([]byte("uno")))}
	h.refused("v1/signatures/signHash", "other", spend, "400 invalid_request Invalid parameter SAD")
	var out struct{ Signatures []string }
	h.call("v1/signatures/signHash", "service", spend, &out)
	if len(out.Signatures) != 1 {
		t.Errorf("got %d signatures, want 1", len(out.Signatures))
	}
	h.refused("v1/signatures/signHash", "service", spend, "400 invalid_request Invalid parameter SAD")

	send()
	two := map[string]any{
		"credentialID": h.credential.ID, "numSignatures": 1, "hashes": []string{b64(digestOf([]byte("dos")))}, "hashAlgorithmOID": signer.SHA256,
		"authData": []map[string]string{{"id": "PIN", "value": password}, {"id": "OTP", "value": "00000000"}},
	}
	h.refused("v2/credentials/authorize", "service", two, "400 invalid_authentication_data The authentication data is invalid")
	if got := h.post("v2/credentials/info", "service", `{"credentialID":"`+h.credential.ID+`","authInfo":true}`); !strings.Contains(got.body, `"expression":"PIN AND OTP"`) {
		t.Errorf("got %s, want the factors named", got.body)
	}
	h.limited("service", func(c *signer.Client) { c.Switches = []string{signer.SwitchCSC1} })
	h.refused("v1/credentials/authorize", "service", one, "400 invalid_request Invalid parameter credentialID")
}
