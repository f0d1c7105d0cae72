package staff_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"testing"
)

// authenticator makes and uses one passkey as WebAuthn Level 3, section 6, has
// it, and lies where a test tells it to.
type authenticator struct {
	key     *ecdsa.PrivateKey
	id      []byte
	handle  []byte
	origin  string
	rp      string
	counter uint32
	flags   byte // UP, UV, BE, BS
	kind    string
}

const (
	userPresent  = 0x01
	userVerified = 0x04
	attested     = 0x40
)

func (h *house) authenticator(t *testing.T) *authenticator {
	t.Helper()
	id := make([]byte, 32)
	rand.Read(id)
	return &authenticator{key: newKey(t), id: id, origin: h.url.String(), rp: "localhost", flags: userPresent | userVerified}
}

// options is what both kinds of options have in common.
type options struct {
	PublicKey struct {
		Challenge        string `json:"challenge"`
		RPID             string `json:"rpId"`
		UserVerification string `json:"userVerification"`
		RP               struct {
			ID string `json:"id"`
		} `json:"rp"`
		User struct {
			ID string `json:"id"`
		} `json:"user"`
		AuthenticatorSelection map[string]any   `json:"authenticatorSelection"`
		ExcludeCredentials     []map[string]any `json:"excludeCredentials"`
		AllowCredentials       []map[string]any `json:"allowCredentials"`
	} `json:"publicKey"`
}

func (r reply) options(t *testing.T) options {
	t.Helper()
	r.want(t, 200)
	var o options
	if err := json.Unmarshal([]byte(r.body), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *authenticator) clientData(kind, challenge string) []byte {
	if a.kind != "" {
		kind = a.kind
	}
	data, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	if err != nil {
		panic(err)
	}
	return data
}

// data is authenticator data (section 6.1).
func (a *authenticator) data(flags byte, more []byte) []byte {
	rp := sha256.Sum256([]byte(a.rp))
	out := append(rp[:], a.flags|flags)
	return append(binary.BigEndian.AppendUint32(out, a.counter), more...)
}

// create answers navigator.credentials.create with attestation none.
func (a *authenticator) create(t *testing.T, o options) map[string]any {
	t.Helper()
	var err error
	if a.handle, err = base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID); err != nil {
		t.Fatal(err)
	}
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	// COSE_Key of RFC 9053, section 7.1.1: EC2, ES256, P-256, x, y.
	cose := slices.Concat([]byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"), point[1:33], []byte("\x22\x58\x20"), point[33:])
	data := a.data(attested, slices.Concat(make([]byte, 16), binary.BigEndian.AppendUint16(nil, uint16(len(a.id))), a.id, cose))
	object := slices.Concat([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"), []byte{byte(len(data))}, data)
	return a.credential(map[string]any{
		"clientDataJSON": b64(a.clientData("webauthn.create", o.PublicKey.Challenge)), "attestationObject": b64(object),
		"transports": []string{"internal"},
	})
}

// get answers navigator.credentials.get.
func (a *authenticator) get(t *testing.T, o options) map[string]any {
	t.Helper()
	a.counter++
	client, data := a.clientData("webauthn.get", o.PublicKey.Challenge), a.data(0, nil)
	sum := sha256.Sum256(client)
	digest := sha256.Sum256(append(slices.Clone(data), sum[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return a.credential(map[string]any{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64(a.handle),
	})
}

func (a *authenticator) credential(response map[string]any) map[string]any {
	return map[string]any{
		"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{}, "response": response,
	}
}

const (
	loginBegin  = "/auditoria/passkey/login/begin"
	loginFinish = "/auditoria/passkey/login/finish"
	enrolBegin  = "/auditoria/passkey/enrol/begin"
	enrolFinish = "/auditoria/passkey/enrol/finish"
)

// login carries a login through.
func (b *browser) login(t *testing.T, a *authenticator) reply {
	t.Helper()
	return b.send(t, loginFinish, a.get(t, b.send(t, loginBegin, struct{}{}).options(t)))
}

// enrol carries an enrolment by invitation through; without one, by the session.
func (b *browser) enrol(t *testing.T, a *authenticator, invitation string) reply {
	t.Helper()
	begun := b.send(t, enrolBegin, map[string]string{"invitation": invitation})
	if begun.status != 200 {
		return begun
	}
	return b.send(t, enrolFinish, a.create(t, begun.options(t)))
}

// enrolled is a passkey of an account that was invited by the command line.
func (h *house) enrolled(t *testing.T, accountID string) *authenticator {
	t.Helper()
	a := h.authenticator(t)
	h.browser(t).enrol(t, a, h.invite(t, accountID)).want(t, 200)
	h.log.take()
	return a
}

// wantAnswer compares JSON.
func (r reply) wantAnswer(t *testing.T, want string) {
	t.Helper()
	if r.want(t, 200).body != want+"\n" {
		t.Errorf("got %s, want %s", r.body, want)
	}
}
