package citizen_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

const (
	service = "https://firma.example.es"
	header  = `{"alg":"ES256","typ":"rubrica-office-act+jws"}`
)

func noon() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }

// cabinet is the database of these tests; store has tests of the real one.
type cabinet struct {
	mu      sync.Mutex
	offices map[string]citizen.Office
	acts    map[string]bool
}

func (c *cabinet) Office(_ context.Context, id string) (citizen.Office, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.offices[id]
	if !ok {
		return o, policies.Refuse(policies.ApplicationUnknown)
	}
	return o, nil
}

func (c *cabinet) RecordAct(_ context.Context, s citizen.Statement, _ time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acts[s.Office+" "+s.ID] {
		return policies.Refuse(policies.OfficeActRepeated)
	}
	c.acts[s.Office+" "+s.ID] = true
	return nil
}

// seals stand for the token's.
type seals struct{ key []byte }

func (s seals) mac(kind string, fields []string) []byte {
	h := hmac.New(sha256.New, s.key)
	_, _ = fmt.Fprintf(h, "%q %q", kind, fields)
	return h.Sum(nil)
}

func (s seals) Seal(_ context.Context, kind string, fields ...string) (int, []byte, error) {
	return 3, s.mac(kind, fields), nil
}

func (s seals) CheckSeal(_ context.Context, epoch int, mac []byte, kind string, fields ...string) error {
	if epoch != 3 || !hmac.Equal(mac, s.mac(kind, fields)) {
		return policies.Refuse(policies.RecordTampered)
	}
	return nil
}

// town has a desk and two offices.
type town struct {
	desk    citizen.Desk
	cabinet *cabinet
	keys    map[string]*ecdsa.PrivateKey
}

func newTown(tb testing.TB) *town {
	tb.Helper()
	w := &town{cabinet: &cabinet{offices: map[string]citizen.Office{}, acts: map[string]bool{}}, keys: map[string]*ecdsa.PrivateKey{}}
	w.desk = citizen.Desk{Offices: w.cabinet, Seals: seals{[]byte("in the token")}, Audience: service, Now: noon}
	for _, id := range []string{"office", "other"} {
		w.add(tb, citizen.Office{ID: id, Name: "Oficina " + id, Organisation: "Ayuntamiento", Scopes: []string{"registration"}, Enabled: true})
	}
	return w
}

// add seals an office with a key of its own.
func (w *town) add(tb testing.TB, o citizen.Office) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	o.PublicKey = spki(tb, key.Public())
	if o.OfficeKey, err = o.Sealed(tb.Context(), w.desk.Seals); err != nil {
		tb.Fatal(err)
	}
	w.keys[o.ID], w.cabinet.offices[o.ID] = key, o
}

func spki(tb testing.TB, public any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// statement is a good payload with some members changed; nil takes one away.
func statement(tb testing.TB, changes map[string]any) string {
	tb.Helper()
	payload := map[string]any{
		"iss": "office", "aud": service, "iat": noon().Unix(), "jti": rand.Text(), "act": "block", "officer": "Rosa Gil",
		"identifier": "12345678Z", "reason": "Ha perdido el móvil.",
	}
	for name, value := range changes {
		payload[name] = value
		if value == nil {
			delete(payload, name)
		}
	}
	text, err := json.Marshal(payload)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// sign makes a JWS with whatever header and payload.
func sign(tb testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	tb.Helper()
	input := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return input + "." + rs(r, s)
}

func rs(r, s *big.Int) string {
	var raw [64]byte
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

func (w *town) signed(tb testing.TB, changes map[string]any) string {
	tb.Helper()
	return sign(tb, w.keys["office"], header, statement(tb, changes))
}

func person(changes map[string]any) map[string]any {
	form := map[string]any{
		"identifier": "x1234567l", "given_name": "María", "surnames": "Pérez Núñez", "phone": "612 345 678",
		"email": "maria@example.org", "document_until": "2031-05-20", "locale": "gl",
	}
	maps.Copy(form, changes)
	return form
}

// registration takes away what an act of register does not have.
func registration(form map[string]any) map[string]any {
	return map[string]any{"act": "register", "citizen": form, "identifier": nil, "reason": nil}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	id := rand.Text()
	got, err := w.desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: w.signed(t, map[string]any{"jti": id})})
	if err != nil {
		t.Fatal(err)
	}
	if got.OfficeName != "Oficina office" || got.Kind != citizen.ActBlock || got.Identifier.String() != "12345678Z" ||
		got.Reason != "Ha perdido el móvil." || got.By().String() != "office: Rosa Gil (act "+id+")" {
		t.Errorf("got %+v, want what the office said", got)
	}

	got, err = w.desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: w.signed(t, registration(person(nil)))})
	if err != nil {
		t.Fatal(err)
	}
	a := got.Application
	if a.Identifier.String() != "X1234567L" || got.Identifier != a.Identifier || a.Name.Surnames() != "Pérez Núñez" ||
		a.Phone.String() != "+34612345678" || a.DocumentUntil.Format(time.DateOnly) != "2031-05-20" || a.Locale != "gl" {
		t.Errorf("got %+v, want what the officer wrote, parsed", a)
	}
	plain := person(nil)
	delete(plain, "locale")
	if got, err = citizen.ReadAct(w.signed(t, registration(plain))); err != nil || got.Application.Locale != "es" {
		t.Errorf("got %q %v, want Spanish where no language is told", got.Application.Locale, err)
	}
	for reason, want := range map[string]int{
		"unspecified": 0, "key_compromise": 1, "affiliation_changed": 3, "cessation_of_operation": 5,
	} {
		got, err := citizen.ReadAct(w.signed(t, map[string]any{"act": "revoke", "reason": reason}))
		if err != nil || got.CRLReason != want {
			t.Errorf("%s: got %d %v, want %d", reason, got.CRLReason, err, want)
		}
	}
	if _, err := citizen.ReadAct(w.signed(t, map[string]any{"act": "renew_activation", "reason": nil})); err != nil {
		t.Errorf("renewal: got %v, want it read", err)
	}
	for _, kind := range []citizen.ActKind{citizen.ActBlock, citizen.ActUnblock, citizen.ActSuspend, citizen.ActRelease, citizen.ActDeregister, citizen.ActCorrectDeath} {
		got, err := citizen.ReadAct(w.signed(t, map[string]any{"act": kind, "reason": "A petición propia."}))
		if err != nil || got.Kind != kind || got.Reason != "A petición propia." || got.CRLReason != citizen.Unspecified {
			t.Errorf("%s: got %+v %v, want it read with its reason", kind, got, err)
		}
	}
	evidence := map[string]string{"document": "Registro Civil de Soria, certificado 77"}
	death, err := citizen.ReadAct(w.signed(t, map[string]any{"act": "report_death", "reason": "Lo comunica su hija.", "evidence": evidence}))
	if err != nil || death.Evidence["document"] != evidence["document"] {
		t.Errorf("death: got %+v %v, want it read with what certifies it", death, err)
	}
	for name, at := range map[string]time.Time{"oldest": noon().Add(-5 * time.Minute), "newest": noon().Add(5 * time.Minute)} {
		if _, err := w.desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: w.signed(t, map[string]any{"iat": at.Unix()})}); err != nil {
			t.Errorf("%s: got %v, want it accepted", name, err)
		}
	}
}

// TestForgeries is what must not pass, each with the reason for which it does
// not. A JWS that is whole but for one thing shows which defence holds.
func TestForgeries(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	key, foreign := w.keys["office"], w.keys["other"]
	good := w.signed(t, nil)
	head, rest, _ := strings.Cut(good, ".")
	body, tail, _ := strings.Cut(rest, ".")
	public := w.cabinet.offices["office"].PublicKey
	withMAC := func(secret []byte) string {
		input := b64(`{"alg":"HS256","typ":"rubrica-office-act+jws"}`) + "." + b64(statement(t, nil))
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
	}
	payload := statement(t, nil)
	signedAs := func(header string) string { return sign(t, key, header, payload) }
	jwk := fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":"%s"}`, b64(string(spki(t, foreign.Public()))[27:59]))
	for name, tt := range map[string]struct{ jws, reason string }{
		// Whose it is.
		"foreign key":             {sign(t, foreign, header, payload), "signature"},
		"other office as issuer":  {w.signed(t, map[string]any{"iss": "other"}), "office"},
		"unknown office":          {w.signed(t, map[string]any{"iss": "nobody"}), "office"},
		"payload of another":      {head + "." + b64(payload) + "." + tail, "signature"},
		"zero signature":          {head + "." + body + "." + b64(string(make([]byte, 64))), "signature"},
		"none with a signature":   {signedAs(`{"alg":"none","typ":"rubrica-office-act+jws"}`), "format"},
		"none":                    {b64(`{"alg":"none","typ":"rubrica-office-act+jws"}`) + "." + b64(payload) + ".", "format"},
		"None":                    {signedAs(`{"alg":"None","typ":"rubrica-office-act+jws"}`), "format"},
		"HS256 by the public key": {withMAC(public), "format"},
		"ES384":                   {signedAs(`{"alg":"ES384","typ":"rubrica-office-act+jws"}`), "format"},
		"no algorithm":            {signedAs(`{"typ":"rubrica-office-act+jws"}`), "format"},
		"algorithm twice":         {signedAs(`{"alg":"none","alg":"ES256","typ":"rubrica-office-act+jws"}`), "format"},
		"its own key":             {sign(t, foreign, `{"alg":"ES256","typ":"rubrica-office-act+jws","jwk":`+jwk+`}`, payload), "format"},
		"its own certificate":     {signedAs(`{"alg":"ES256","typ":"rubrica-office-act+jws","x5c":["MIIB"]}`), "format"},
		"a key's address":         {signedAs(`{"alg":"ES256","typ":"rubrica-office-act+jws","jku":"https://evil.example"}`), "format"},
		"critical extension":      {signedAs(`{"alg":"ES256","typ":"rubrica-office-act+jws","crit":["b64"],"b64":false}`), "format"},
		"another type":            {signedAs(`{"alg":"ES256","typ":"JWT"}`), "format"},
		"no type":                 {signedAs(`{"alg":"ES256"}`), "format"},
		"header no object":        {signedAs(`"ES256"`), "format"},
		// What it is for.
		"another service":      {w.signed(t, map[string]any{"aud": "https://otra.example.es"}), "audience"},
		"a prefix of this one": {w.signed(t, map[string]any{"aud": service + "/"}), "audience"},
		"several services":     {w.signed(t, map[string]any{"aud": []string{service}}), "format"},
		"too old":              {w.signed(t, map[string]any{"iat": noon().Add(-5*time.Minute - time.Second).Unix()}), "time"},
		"of the future":        {w.signed(t, map[string]any{"iat": noon().Add(5*time.Minute + time.Second).Unix()}), "time"},
		"time in milliseconds": {w.signed(t, map[string]any{"iat": noon().UnixMilli()}), "time"},
		"time out of range":    {w.signed(t, map[string]any{"iat": int64(1<<63 - 1)}), "time"},
		"time as text":         {w.signed(t, map[string]any{"iat": "now"}), "format"},
		"time with a fraction": {w.signed(t, map[string]any{"iat": 1.5}), "format"},
		"no time":              {w.signed(t, map[string]any{"iat": nil}), "format"},
		// How it is written.
		"empty":                      {"", "format"},
		"two parts":                  {head + "." + body, "format"},
		"four parts":                 {good + ".", "format"},
		"JSON serialization":         {`{"payload":"` + body + `","protected":"` + head + `","signature":"` + tail + `"}`, "format"},
		"line break":                 {head + ".\n" + body + "." + tail, "format"},
		"line break at the end":      {good + "\n", "format"},
		"padding":                    {good + "==", "format"},
		"standard base64":            {head + "." + body + "." + strings.Repeat("+", 86), "format"},
		"stray bits":                 {good[:len(good)-1] + string(good[len(good)-1]+1), "format"},
		"signature in DER":           {derSigned(t, key, payload), "format"},
		"signature cut short":        {head + "." + body + "." + b64(string(make([]byte, 63))), "format"},
		"oversized":                  {sign(t, key, header, payload+strings.Repeat(" ", citizen.ActLimit*3/4)), "format"},
		"payload no object":          {sign(t, key, header, "[]"), "format"},
		"two values":                 {sign(t, key, header, payload+payload), "format"},
		"not UTF-8":                  {sign(t, key, header, strings.Replace(payload, "Rosa", "Ros\xe1", 1)), "format"},
		"member twice":               {sign(t, key, header, strings.Replace(payload, "{", `{"act":"unblock",`, 1)), "format"},
		"member in another case":     {sign(t, key, header, strings.Replace(payload, `"act"`, `"Act"`, 1)), "format"},
		"unknown member":             {w.signed(t, map[string]any{"exp": noon().Unix()}), "format"},
		"unknown member of a person": {w.signed(t, registration(person(map[string]any{"level": "advanced"}))), "format"},
		"unknown act":                {w.signed(t, map[string]any{"act": "sign"}), "format"},
		"no act":                     {w.signed(t, map[string]any{"act": nil}), "format"},
		"no audience":                {w.signed(t, map[string]any{"aud": nil}), "format"},
		"no issuer":                  {w.signed(t, map[string]any{"iss": nil}), "format"},
		"no id":                      {w.signed(t, map[string]any{"jti": nil}), "format"},
		"short id":                   {w.signed(t, map[string]any{"jti": strings.Repeat("a", 21)}), "format"},
		"long id":                    {w.signed(t, map[string]any{"jti": strings.Repeat("a", 65)}), "format"},
		"id of strange signs":        {w.signed(t, map[string]any{"jti": strings.Repeat("a", 30) + "é"}), "format"},
		"no officer":                 {w.signed(t, map[string]any{"officer": nil}), "format"},
		"officer of blanks":          {w.signed(t, map[string]any{"officer": "  "}), "format"},
		"long officer":               {w.signed(t, map[string]any{"officer": strings.Repeat("ñ", 101)}), "format"},
		"officer of two lines":       {w.signed(t, map[string]any{"officer": "Rosa\nGil"}), "format"},
		"officer turned around":      {w.signed(t, map[string]any{"officer": "Rosa\u202eliG"}), "format"},
		"no reason":                  {w.signed(t, map[string]any{"reason": nil}), "format"},
		"reason of words to revoke":  {w.signed(t, map[string]any{"act": "revoke"}), "format"},
		"a hold to revoke":           {w.signed(t, map[string]any{"act": "revoke", "reason": "certificate_hold"}), "format"},
		"no reason to suspend":       {w.signed(t, map[string]any{"act": "suspend", "reason": nil}), "format"},
		"no reason to release":       {w.signed(t, map[string]any{"act": "release", "reason": " "}), "format"},
		"a death without evidence":   {w.signed(t, map[string]any{"act": "report_death"}), "format"},
		"a death without a document": {w.signed(t, map[string]any{"act": "report_death", "evidence": map[string]string{"seen": "yes"}}), "format"},
		"nobody who has died":        {w.signed(t, map[string]any{"act": "report_death", "identifier": nil}), "format"},
		"a person who has died":      {w.signed(t, map[string]any{"act": "report_death", "citizen": person(nil)}), "format"},
		"no identifier":              {w.signed(t, map[string]any{"identifier": nil}), "format"},
		"a person to block":          {w.signed(t, map[string]any{"citizen": person(nil)}), "format"},
		"two persons to register":    {w.signed(t, map[string]any{"act": "register", "citizen": person(nil), "reason": nil}), "format"},
		"nobody to register":         {w.signed(t, map[string]any{"act": "register", "identifier": nil, "reason": nil}), "format"},
		"reason to renew":            {w.signed(t, map[string]any{"act": "renew_activation"}), "format"},
		"no language":                {w.signed(t, registration(person(map[string]any{"locale": "??"}))), "format"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := w.desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: tt.jws})
			wantInvalid(t, err, tt.reason)
		})
	}
	if _, err := w.desk.Accept(t.Context(), citizen.Act{Office: "other", JWS: good}); !isInvalid(err, "office") {
		t.Errorf("carried for another office: got %v, want it refused", err)
	}
	if _, err := w.desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: good}); err != nil {
		t.Errorf("the one that all forgeries come from: got %v, want it accepted", err)
	}
}

func isInvalid(err error, reason string) bool {
	refusal, ok := errors.AsType[*policies.Refusal](err)
	return ok && refusal.Code == policies.OfficeActInvalid && refusal.Params["reason"] == reason
}

func wantInvalid(t *testing.T, err error, reason string) {
	t.Helper()
	if !isInvalid(err, reason) {
		t.Errorf("got %v, want office_act_invalid for its %s", err, reason)
	}
}

func derSigned(t *testing.T, key *ecdsa.PrivateKey, payload string) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(input))
	der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(string(der))
}

// TestMutations flips each bit of a signed act.
func TestMutations(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	good := []byte(w.signed(t, nil))
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, err := w.desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: string(bad)}); err == nil {
				t.Fatalf("byte %d, bit %d: got %s accepted", i, bit, bad)
			}
		}
	}
}

// TestFields gives the refusal of the field, so that a desk can say it.
func TestFields(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for name, tt := range map[string]struct {
		changes map[string]any
		code    policies.Code
		field   string
	}{
		"check letter":       {registration(person(map[string]any{"identifier": "x1234567m"})), policies.IdentifierInvalid, ""},
		"whom to block":      {map[string]any{"identifier": "12345678A"}, policies.IdentifierInvalid, ""},
		"no surnames":        {registration(person(map[string]any{"surnames": ""})), policies.NameInvalid, "surnames"},
		"landline":           {registration(person(map[string]any{"phone": "912345678"})), policies.PhoneInvalid, ""},
		"two addresses":      {registration(person(map[string]any{"email": "a@b.es, c@d.es"})), policies.EmailInvalid, ""},
		"no such day":        {registration(person(map[string]any{"document_until": "2031-02-30"})), policies.IdentityDocumentExpiry, ""},
		"unknown member":     {map[string]any{"callback": "x"}, policies.OfficeActInvalid, "/callback"},
		"below":              {registration(person(map[string]any{"level": "x"})), policies.OfficeActInvalid, "/citizen/level"},
		"wrong type":         {map[string]any{"officer": 7}, policies.OfficeActInvalid, "/officer"},
		"missing":            {map[string]any{"reason": nil}, policies.OfficeActInvalid, "/reason"},
		"a long member name": {map[string]any{strings.Repeat("é", 200): "x"}, policies.OfficeActInvalid, "/" + strings.Repeat("é", 49)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := citizen.ReadAct(w.signed(t, tt.changes))
			refusal, ok := errors.AsType[*policies.Refusal](err)
			if !ok || refusal.Code != tt.code || refusal.Params["field"] != tt.field {
				t.Errorf("got %v, want %s at %q", err, tt.code, tt.field)
			}
		})
	}
}

// TestOfficeRows is what becomes of an office whose row was changed by whoever
// can write the database, and of those that may not act.
func TestOfficeRows(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*town, *citizen.Office)
		code   policies.Code
	}{
		"another's key":          {func(w *town, o *citizen.Office) { o.PublicKey = w.cabinet.offices["other"].PublicKey }, policies.RecordTampered},
		"another's key and seal": {func(w *town, o *citizen.Office) { o.OfficeKey = w.cabinet.offices["other"].OfficeKey }, policies.RecordTampered},
		"another's row":          {func(w *town, o *citizen.Office) { *o = w.cabinet.offices["other"]; o.ID = "office" }, policies.RecordTampered},
		"another name":           {func(_ *town, o *citizen.Office) { o.Name = "Oficina" }, policies.RecordTampered},
		"another house":          {func(_ *town, o *citizen.Office) { o.Organisation = "Diputación" }, policies.RecordTampered},
		"more scopes":            {func(_ *town, o *citizen.Office) { o.Scopes = append(o.Scopes, "signature") }, policies.RecordTampered},
		"disabled":               {func(_ *town, o *citizen.Office) { o.Enabled = false }, policies.RecordTampered},
		"another epoch":          {func(_ *town, o *citizen.Office) { o.SealEpoch++ }, policies.RecordTampered},
		"no seal":                {func(_ *town, o *citizen.Office) { o.Seal = nil }, policies.RecordTampered},
		"no key":                 {func(_ *town, o *citizen.Office) { o.OfficeKey = citizen.OfficeKey{} }, policies.OfficeActInvalid},
		"sealed without the scope": {func(w *town, o *citizen.Office) {
			o.Scopes = []string{"signature"}
			o.OfficeKey, _ = o.Sealed(t.Context(), w.desk.Seals)
		}, policies.OfficeActInvalid},
		"sealed as disabled": {func(w *town, o *citizen.Office) {
			o.Enabled = false
			o.OfficeKey, _ = o.Sealed(t.Context(), w.desk.Seals)
		}, policies.OfficeActInvalid},
		"as it was": {func(*town, *citizen.Office) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			o := w.cabinet.offices["office"]
			tt.change(w, &o)
			w.cabinet.offices["office"] = o
			key := w.keys["office"]
			if strings.HasPrefix(name, "another's") {
				key = w.keys["other"] // whoever put it there signs with it
			}
			_, err := w.desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: sign(t, key, header, statement(t, nil))})
			if tt.code == "" && err != nil || tt.code != "" && !errors.Is(err, policies.Refuse(tt.code)) {
				t.Errorf("got %v, want %q", err, tt.code)
			}
		})
	}
}

// TestReplays posts one act again: as it is, with its signature turned into the
// other one that ECDSA has for it, and fifty times at once.
func TestReplays(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	accept := func(jws string) error {
		_, err := w.desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: jws})
		return err
	}
	repeated := policies.Refuse(policies.OfficeActRepeated)
	first := w.signed(t, nil)
	if err := accept(first); err != nil {
		t.Fatal(err)
	}
	input, tail := first[:strings.LastIndexByte(first, '.')], first[strings.LastIndexByte(first, '.')+1:]
	raw, err := base64.RawURLEncoding.DecodeString(tail)
	if err != nil {
		t.Fatal(err)
	}
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	mirrored := input + "." + rs(r, s.Sub(elliptic.P256().Params().N, s))
	for name, jws := range map[string]string{"the same": first, "the other signature": mirrored} {
		if err := accept(jws); !errors.Is(err, repeated) {
			t.Errorf("%s: got %v, want office_act_repeated", name, err)
		}
	}
	// An id is its office's own: nobody can use up another's.
	id := rand.Text()
	for _, office := range []string{"other", "office"} {
		jws := sign(t, w.keys[office], header, statement(t, map[string]any{"iss": office, "jti": id}))
		if _, err := w.desk.Accept(t.Context(), citizen.Act{Office: office, JWS: jws}); err != nil {
			t.Errorf("%s: got %v, want it accepted", office, err)
		}
	}
	// What is refused uses nothing up.
	late := map[string]any{"jti": rand.Text(), "iat": noon().Add(-time.Hour).Unix()}
	if err := accept(w.signed(t, late)); !isInvalid(err, "time") {
		t.Errorf("late: got %v, want it refused", err)
	}
	late["iat"] = noon().Unix()
	if err := accept(w.signed(t, late)); err != nil {
		t.Errorf("in time: got %v, want it accepted", err)
	}

	const posts = 50
	again := w.signed(t, nil)
	results := make(chan error, posts)
	for range posts {
		go func() { results <- accept(again) }()
	}
	accepted := 0
	for range posts {
		switch err := <-results; {
		case err == nil:
			accepted++
		case !errors.Is(err, repeated):
			t.Errorf("got %v, want office_act_repeated", err)
		}
	}
	if accepted != 1 {
		t.Errorf("got the act accepted %d times, want once", accepted)
	}
}

func TestParseOfficeKey(t *testing.T) {
	t.Parallel()
	curve384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{
		"P-384": spki(t, curve384.Public()), "RSA": spki(t, rsaKey.Public()), "nothing": nil, "noise": []byte("MIIB"),
	} {
		if _, err := citizen.ParseOfficeKey(der); err == nil {
			t.Errorf("%s: got a key, want an error", name)
		}
		if _, err := (citizen.Office{PublicKey: der}).Sealed(t.Context(), seals{}); err == nil {
			t.Errorf("%s: got a seal, want an error", name)
		}
	}
}

func TestStatementIsWhole(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	got, err := w.desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: w.signed(t, map[string]any{"aud": "https://x.example"})})
	if !isInvalid(err, "audience") || got.By() == (citizen.Statement{}).By() {
		t.Errorf("got %+v %v, want what was signed beside the refusal", got, err)
	}
	got, err = w.desk.Accept(t.Context(), citizen.Act{Office: "office", JWS: sign(t, w.keys["other"], header, statement(t, nil))})
	if diff := cmp.Diff(citizen.Statement{}.By(), got.By()); diff != "" || !isInvalid(err, "signature") {
		t.Errorf("got %+v %v, want nothing of what nobody signed", got, err)
	}
}

// FuzzReadAct holds that what is read has one form only.
func FuzzReadAct(f *testing.F) {
	w := newTown(f)
	good := w.signed(f, nil)
	f.Add(good)
	f.Add(w.signed(f, registration(person(nil))))
	f.Add(good + ".")
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add(b64(`{"alg":"none","typ":"rubrica-office-act+jws"}`) + "." + b64(statement(f, nil)) + ".")
	f.Add(sign(f, w.keys["office"], header, `{"iss":`))
	f.Fuzz(func(t *testing.T, jws string) {
		s, err := citizen.ReadAct(jws)
		if err != nil {
			if _, ok := errors.AsType[*policies.Refusal](err); !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			return
		}
		parts := strings.Split(jws, ".")
		if len(parts) != 3 || len(jws) > citizen.ActLimit {
			t.Fatalf("read %q", jws)
		}
		for _, part := range parts {
			raw, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || base64.RawURLEncoding.EncodeToString(raw) != part {
				t.Fatalf("read %q, of which %q has another form", jws, part)
			}
		}
		if s.Office == "" || s.Audience == "" || s.ID == "" || s.Officer == "" || s.Kind == "" || s.Identifier == (citizen.Identifier{}) {
			t.Fatalf("read %+v", s)
		}
	})
}
