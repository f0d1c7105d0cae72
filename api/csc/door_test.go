package csc_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// One house serves all of these: what they do to it, none of the others minds.
func TestDoor(t *testing.T) { //nolint:tparallel // they share one clock
	t.Parallel()
	h := newHouse(t, "rsa-3072")
	for name, test := range map[string]func(*house){
		"info": info, "credentials": credentials, "sign hash": signHash, "once": once, "hundred": hundred, "PSS": pss, "asynchronous": asynchronous,
		"time-stamp": timeStamp, "login": login, "strangers": strangers, "documents": signDocuments, "digests": signDigests, "later": later, "qualifiers": qualifiers,
		"parameters": parameters, "forms of error": forms, "together": together, "expired": expired, "edge": edge, "closed": closed, "account tokens": accountTokens,
		"extend": extend, "errands": errands, "SADs": sads,
	} {
		t.Run(name, func(t *testing.T) {
			of := *h
			of.T = t
			test(&of)
		})
	}
}

// with is an object with some members changed; nil leaves one out.
func with(base map[string]any, changes ...any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, base)
	for i := 0; i < len(changes); i += 2 {
		name, _ := changes[i].(string)
		if changes[i+1] == nil {
			delete(out, name)
			continue
		}
		out[name] = changes[i+1]
	}
	return out
}

func info(h *house) {
	var one, two map[string]any
	h.call("v1/info", "", map[string]any{}, &one)
	h.call("v2/info", "", map[string]any{"lang": "en"}, &two)
	for _, name := range []string{"specs", "name", "logo", "region", "lang", "description", "oauth2"} {
		for v, got := range []map[string]any{one, two} {
			if s, ok := got[name].(string); !ok || s == "" {
				h.Errorf("v%d: %s is %v, want a string", v+1, name, got[name])
			}
		}
	}
	if got, want := []any{one["specs"], two["specs"], one["lang"], two["lang"]}, []any{"1.0.4.0", "2.0.0.2", "es", "en"}; !cmp.Equal(got, want) {
		h.Errorf("got %v, want %v", got, want)
	}
	always := []any{"info", "auth/login", "auth/revoke", "credentials/list", "credentials/info", "credentials/extendTransaction"}
	errands, hash := []any{"credentials/create", "credentials/delete"}, []any{"signatures/signHash"}
	oauth := []any{"signatures/timestamp", "oauth2/authorize", "oauth2/token", "oauth2/revoke"}
	for v, want := range [][]any{
		slices.Concat(always, hash, oauth), slices.Concat(always, errands, hash, []any{"signatures/signDoc", "signatures/signPolling"}, oauth, []any{"oauth2/pushed_authorize"}),
	} {
		if diff := cmp.Diff(want, []map[string]any{one, two}[v]["methods"]); diff != "" {
			h.Errorf("v%d: methods (-want +got):\n%s", v+1, diff)
		}
	}
	if got := two["asynchronousOperationMode"]; got != true {
		h.Errorf("asynchronousOperationMode is %v, want true", got)
	}
	for _, name := range []string{"signAlgorithms", "signature_formats", "conformance_levels", "supportedHashTypes"} {
		if two[name] == nil {
			h.Errorf("version 2 does not say %s", name)
		}
		if one[name] != nil {
			h.Errorf("version 1 says %s", name)
		}
	}
}

func credentials(h *house) {
	var list struct {
		CredentialIDs   []string         `json:"credentialIDs"`
		CredentialInfos []map[string]any `json:"credentialInfos"`
		OnlyValid       *bool            `json:"onlyValid"`
	}
	for _, version := range []string{"v1", "v2"} {
		h.call(version+"/credentials/list", "citizen", map[string]any{"maxResults": 7}, &list)
		if diff := cmp.Diff([]string{h.credential.ID}, list.CredentialIDs); diff != "" {
			h.Errorf("%s (-want +got):\n%s", version, diff)
		}
		h.call(version+"/credentials/list", "service", map[string]any{"userID": ana}, &list)
		if diff := cmp.Diff([]string{h.credential.ID}, list.CredentialIDs); diff != "" {
			h.Errorf("%s by name (-want +got):\n%s", version, diff)
		}
		h.call(version+"/credentials/list", "service", map[string]any{"userID": "87654321X"}, &list)
		if len(list.CredentialIDs) != 0 {
			h.Errorf("%s: a stranger has credentials %v", version, list.CredentialIDs)
		}
	}
	h.refused("v1/credentials/list", "citizen", map[string]any{"userID": ana}, "400 invalid_request userID parameter MUST be null")
	h.refused("v2/credentials/list", "citizen", map[string]any{"userID": ana}, "400 invalid_request userID parameter SHALL be null")
	h.call("v2/credentials/list", "citizen", map[string]any{"credentialInfo": true, "onlyValid": true, "certificates": "chain", "certInfo": true, "authInfo": true}, &list)
	if len(list.CredentialInfos) != 1 || list.OnlyValid == nil || !*list.OnlyValid {
		h.Fatalf("got %+v, want the one credential", list)
	}

	var view struct {
		Key struct {
			Status, Curve string
			Algo          []string
			Len           int
		}
		Cert struct {
			Status, IssuerDN, SerialNumber, SubjectDN, ValidFrom, ValidTo string
			Certificates                                                  []string
			QCStatements                                                  []string `json:"qcStatements"`
			Policy                                                        []string
		}
		AuthMode string
		SCAL     string
		Auth     *struct {
			Mode    string
			Objects []any
		}
		PIN, OTP           *struct{ Presence string }
		Multisign          int
		SignatureQualifier string
	}
	ask := map[string]any{"credentialID": h.credential.ID, "certificates": "chain", "certInfo": true, "authInfo": true}
	h.call("v2/credentials/info", "service", ask, &view)
	if view.Auth == nil || view.Auth.Mode != "oauth2code" || view.Auth.Objects == nil || view.AuthMode != "" {
		h.Errorf("got auth %+v, want oauth2code with an empty list", view.Auth)
	}
	if view.SCAL != "2" || view.Multisign != 100 || view.Key.Status != "enabled" || view.Key.Len != 3072 || view.Cert.Status != "valid" {
		h.Errorf("got %+v", view)
	}
	for _, algo := range []string{"1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11"} {
		if !slices.Contains(view.Key.Algo, algo) {
			h.Errorf("key.algo %v lacks %s", view.Key.Algo, algo)
		}
	}
	if got := len(view.Cert.Certificates); got != 3 {
		h.Errorf("chain of %d, want 3", got)
	} else if view.Cert.Certificates[0] != b64(h.credential.Certificate.DER) {
		h.Error("the chain does not begin with the leaf")
	}
	for _, at := range []string{view.Cert.ValidFrom, view.Cert.ValidTo} {
		if _, err := time.Parse("20060102150405Z", at); err != nil {
			h.Errorf("validity %q: %v", at, err)
		}
	}
	view.Auth = nil
	h.call("v1/credentials/info", "service", ask, &view)
	if view.AuthMode != "oauth2code" || view.Auth != nil || view.PIN == nil || view.PIN.Presence != "false" || view.OTP == nil {
		h.Errorf("version 1: got %+v", view)
	}
	h.refused("v2/credentials/info", "stranger", ask, "400 invalid_request Invalid parameter credentialID")
}

// signed checks values over hashes with the citizen's certificate.
func (h *house) signed(values []string, opts crypto.SignerOpts, contents ...[]byte) {
	h.Helper()
	certificate := must[*x509.Certificate](h.T)(x509.ParseCertificate(h.credential.Certificate.DER))
	if len(values) != len(contents) {
		h.Fatalf("%d values for %d hashes", len(values), len(contents))
	}
	for i, value := range values {
		if err := cms.CheckValue(certificate.PublicKey, opts, digestOf(contents[i]), unb64(h.T, value)); err != nil {
			h.Errorf("value %d: %v", i+1, err)
		}
	}
}

const sha256WithRSA = "1.2.840.113549.1.1.11"

type values struct {
	Signatures []string `json:"signatures"`
	ResponseID string   `json:"responseID"`
}

// Both versions sign what was consented to, in the order of the call.
func signHash(h *house) {
	one, two := []byte("uno"), []byte("dos")
	sad := h.consent(one, two)
	var got values
	h.call("v1/signatures/signHash", "service", map[string]any{
		"credentialID": h.credential.ID, "SAD": sad, "hash": []string{b64(digestOf(two)), b64(digestOf(one))}, "signAlgo": sha256WithRSA, "clientData": "x",
	}, &got)
	h.signed(got.Signatures, crypto.SHA256, two, one)

	// In version 2 the bearer may be the consent, and the hash be named beside.
	token := h.consent(one)
	h.call("v2/signatures/signHash", token, map[string]any{
		"credentialID": h.credential.ID, "hashes": []string{b64(digestOf(one))}, "signAlgo": "1.2.840.113549.1.1.1", "hashAlgorithmOID": signer.SHA256, "unknown": []any{1},
	}, &got)
	h.signed(got.Signatures, crypto.SHA256, one)
}

// Each value is handed out once, in as many calls as it takes; then the SAD is
// used up.
func once(h *house) {
	one, two := []byte("uno"), []byte("dos")
	token := h.consent(one, two)
	ask := func(contents ...[]byte) map[string]any {
		var hashes []string
		for _, content := range contents {
			hashes = append(hashes, b64(digestOf(content)))
		}
		return map[string]any{"credentialID": h.credential.ID, "hashes": hashes, "signAlgo": sha256WithRSA}
	}
	const stranger = "400 invalid_request Hash is not authorized by the SAD"
	h.refused("v2/signatures/signHash", token, ask([]byte("tres")), stranger)
	h.refused("v2/signatures/signHash", token, ask(one, one), stranger)
	var got values
	h.call("v2/signatures/signHash", token, ask(two), &got)
	h.signed(got.Signatures, crypto.SHA256, two)
	h.refused("v2/signatures/signHash", token, ask(two), stranger)
	h.refused("v2/signatures/signHash", token, ask(one, two), stranger)
	h.call("v2/signatures/signHash", token, ask(one), &got)
	h.signed(got.Signatures, crypto.SHA256, one)
	h.refused("v2/signatures/signHash", token, ask(one), "400 invalid_request Invalid parameter SAD")
	h.refused("v1/signatures/signHash", "service", with(ask(one), "SAD", token, "hash", []string{b64(digestOf(one))}), "400 invalid_request Invalid parameter SAD")
}

func hundred(h *house) {
	contents := make([][]byte, 100)
	hashes := make([]string, 100)
	for i := range contents {
		contents[i] = fmt.Append(nil, "contrato ", i)
		hashes[i] = b64(digestOf(contents[i]))
	}
	token := h.consent(contents...)
	var got values
	h.call("v2/signatures/signHash", token, map[string]any{"credentialID": h.credential.ID, "hashes": hashes, "signAlgo": sha256WithRSA}, &got)
	h.signed(got.Signatures, crypto.SHA256, contents...)
}

// pssParams are RSASSA-PSS-params with SHA-256 twice and a salt of 32 octets.
const pssParams = "MDSgDzANBglghkgBZQMEAgEFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgEFAKIDAgEg"

func pss(h *house) {
	content := []byte("uno")
	token := h.consent(content)
	ask := map[string]any{"credentialID": h.credential.ID, "hashes": []string{b64(digestOf(content))}, "signAlgo": "1.2.840.113549.1.1.10"}
	h.refused("v2/signatures/signHash", token, ask, "400 invalid_request Missing (or invalid type) string parameter signAlgoParams")
	h.refused("v2/signatures/signHash", token, with(ask, "signAlgoParams", "MAA="), "400 invalid_request Invalid parameter signAlgoParams")
	var got values
	h.call("v2/signatures/signHash", token, with(ask, "signAlgoParams", pssParams), &got)
	h.signed(got.Signatures, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}, content)
}

func asynchronous(h *house) {
	one, two := []byte("uno"), []byte("dos")
	token := h.consent(one, two)
	ask := map[string]any{
		"credentialID": h.credential.ID, "hashes": []string{b64(digestOf(two)), b64(digestOf(one))}, "signAlgo": sha256WithRSA,
		"operationMode": "A", "validity_period": 60_000,
	}
	var got values
	h.call("v2/signatures/signHash", token, ask, &got)
	if got.ResponseID == "" || got.Signatures != nil {
		h.Fatalf("got %+v, want an id to ask with", got)
	}
	poll := map[string]any{"requestID": got.ResponseID}
	const unknown = "400 invalid_request Invalid parameter requestID"
	h.refused("v2/signatures/signPolling", "other", poll, unknown)
	h.call("v2/signatures/signPolling", "service", poll, &got)
	h.signed(got.Signatures, crypto.SHA256, two, one)
	h.refused("v2/signatures/signPolling", "service", poll, unknown)
	h.refused("v2/signatures/signPolling", "service", with(poll, "userID", "x"), "400 invalid_request userID parameter SHALL be null")
	for _, name := range []string{"x", "x.H", "x.H.1", "..", got.ResponseID + ".1", strings.Repeat("x.H.1", 1000), "PETICION.H.-1", "PETICION.X.1"} {
		h.refused("v2/signatures/signPolling", "service", map[string]any{"requestID": name}, unknown)
	}
}

// Of two calls at the same moment the key is used once, and each value goes to one.
func together(h *house) {
	content := []byte("uno")
	token := h.consent(content)
	body := text2(map[string]any{"credentialID": h.credential.ID, "hashes": []string{b64(digestOf(content))}, "signAlgo": sha256WithRSA})
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		answers = map[int]int{}
	)
	for range 8 {
		wait.Go(func() {
			got := h.post("v2/signatures/signHash", token, body)
			mu.Lock()
			defer mu.Unlock()
			answers[got.status]++
		})
	}
	wait.Wait()
	if diff := cmp.Diff(map[int]int{200: 1, 400: 7}, answers); diff != "" {
		h.Errorf("answers (-want +got):\n%s", diff)
	}
}

func expired(h *house) {
	content := []byte("uno")
	token := h.consent(content)
	h.clock.advance(6 * time.Minute)
	h.refused("v2/signatures/signHash", token, map[string]any{
		"credentialID": h.credential.ID, "hashes": []string{b64(digestOf(content))}, "signAlgo": sha256WithRSA,
	}, "400 invalid_request SAD expired")
}

// Wherever a SAD is asked for, one of another application, of another credential, of
// nobody, one that is used up and one that has expired is none.
func sads(h *house) {
	content := []byte("uno")
	hashes := []string{b64(digestOf(content))}
	of := func(sad string) map[string]map[string]any {
		hash := map[string]any{"credentialID": h.credential.ID, "SAD": sad, "hash": hashes, "hashes": hashes, "hashAlgorithmOID": signer.SHA256, "signAlgo": sha256WithRSA}
		document := map[string]any{"document": b64(content), "signature_format": "C", "signAlgo": sha256WithRSA}
		return map[string]map[string]any{
			"v1/signatures/signHash": hash, "v2/signatures/signHash": hash, "v1/credentials/extendTransaction": hash, "v2/credentials/extendTransaction": hash,
			"v2/signatures/signDoc": {"credentialID": h.credential.ID, "SAD": sad, "documents": []any{document}},
		}
	}
	const invalid = "400 invalid_request Invalid parameter SAD"
	spent := h.consent(content)
	h.call("v2/signatures/signHash", "service", of(spent)["v2/signatures/signHash"], &values{})
	for path, ask := range of(spent) {
		h.refused(path, "service", ask, invalid)
	}
	sad := h.consent(content)
	for path, ask := range of(sad) {
		h.refused(path, "other", ask, invalid)
		h.refused(path, "service", with(ask, "credentialID", "another"), "400 invalid_request Invalid parameter credentialID")
		h.refused(path, "service", with(ask, "SAD", sad+"x"), invalid)
		h.refused(path, "service", with(ask, "SAD", h.tokens.consents[sad].RequestID), invalid)
	}
	h.clock.advance(6 * time.Minute)
	for path, ask := range of(sad) {
		h.refused(path, "service", ask, "400 invalid_request SAD expired")
	}
}

func timeStamp(h *house) {
	digest := digestOf([]byte("uno"))
	for _, version := range []string{"v1", "v2"} {
		var got struct{ Timestamp string }
		h.call(version+"/signatures/timestamp", "service", map[string]any{"hash": b64(digest), "hashAlgo": signer.SHA256, "nonce": "00c0ffee"}, &got)
		stamp := must[*tsa.Stamp](h.T)(tsa.Read(unb64(h.T, got.Timestamp)))
		if string(stamp.Digest) != string(digest) || stamp.Nonce == nil || stamp.Nonce.Text(16) != "c0ffee" {
			h.Errorf("%s: stamp of %x with nonce %v", version, stamp.Digest, stamp.Nonce)
		}
	}
}

func login(h *house) {
	basic := func(id, secret string) map[string]string {
		return map[string]string{"Authorization": h.basic(id, secret), "Content-Type": "application/json"}
	}
	for _, version := range []string{"v1", "v2"} {
		path := version + "/auth/login"
		got := h.send1(http.MethodPost, path, strings.NewReader(`{"rememberMe":true}`), basic("app", secret))
		if want := `{"access_token":"service","expires_in":600}`; got.status != http.StatusOK || strings.TrimSpace(got.body) != want {
			h.Errorf("%s: got %d %s, want %s", version, got.status, got.body, want)
		}
		for want, headers := range map[string]map[string]string{
			"401 invalid_request Malformed authentication parameter.":                  nil,
			"401 invalid_request Malformed username-password.":                         basic("", "x"),
			"401 authentication_error An error occurred during authentication process": basic("app", "otro"),
		} {
			h.answers(path, h.send1(http.MethodPost, path, strings.NewReader(""), headers), want)
		}
		h.answers(path, h.send1(http.MethodPost, path, strings.NewReader(`{"refresh_token":"x"}`), basic("app", secret)), "401 invalid_request Invalid refresh_token")
		h.refused(version+"/auth/revoke", "service", map[string]any{"token_type_hint": "access_token"}, "400 invalid_request Missing (or invalid type) string parameter token")
		h.refused(version+"/auth/revoke", "service", map[string]any{"token": "x", "token_type_hint": "cookie"}, "400 invalid_request Invalid parameter token_type_hint")
		if got := h.post(version+"/auth/revoke", "service", `{"token":"unknown"}`); got.status != http.StatusNoContent || got.body != "" {
			h.Errorf("revoking: got %d %q", got.status, got.body)
		}
	}
	grant := h.tokens.grants["service"]
	h.tokens.grants["mine"] = grant
	if got := h.post("v2/auth/revoke", "service", `{"token":"mine"}`); got.status != http.StatusNoContent {
		h.Errorf("revoking: got %d %q", got.status, got.body)
	}
	h.refused("v2/credentials/list", "mine", nil, "401 invalid_token The access token is expired, revoked, or not a token")
}

// Whose consent, credential or request it is not, nothing is told.
func strangers(h *house) {
	content := []byte("uno")
	sad := h.consent(content)
	ask := map[string]any{"credentialID": h.credential.ID, "hashes": []string{b64(digestOf(content))}, "signAlgo": sha256WithRSA, "SAD": sad}
	h.refused("v2/signatures/signHash", "other", ask, "400 invalid_request Invalid parameter SAD")
	h.refused("v2/signatures/signHash", "service", with(ask, "credentialID", "another"), "400 invalid_request Invalid parameter credentialID")
	h.refused("v2/signatures/signHash", "service", with(ask, "SAD", "another"), "400 invalid_request Invalid parameter SAD")
	h.refused("v2/signatures/signHash", "credential", with(ask, "SAD", nil), "400 invalid_request Invalid parameter SAD")
	h.refused("v2/signatures/signHash", "elsewhere", ask, "403 access_denied The application may not do this (door_not_allowed)")
	h.limited(sad, func(c *signer.Client) { c.Formats = []signer.Format{signer.PAdES} })
	h.refused("v2/signatures/signHash", sad, with(ask, "SAD", nil), "403 access_denied The application may not do this (format_not_allowed)")
	doc := map[string]any{"credentialID": h.credential.ID, "documents": []any{map[string]any{
		"document": b64(content), "signature_format": "C", "conformance_level": "AdES-B-B", "signAlgo": sha256WithRSA, "signed_envelope_property": "Detached",
	}}}
	h.refused("v2/signatures/signDoc", sad, doc, "403 access_denied The application may not do this (format_not_allowed)")
	h.limited(sad, func(c *signer.Client) { c.Formats, c.Levels = nil, []cades.Level{cades.BT} })
	h.refused("v2/signatures/signDoc", sad, doc, "403 access_denied The application may not do this (level_not_allowed)")
	h.limited(sad, func(c *signer.Client) { c.Switches = nil })
	h.refused("v1/credentials/info", sad, map[string]any{}, "403 access_denied The application may not do this (door_not_allowed)")
	h.refused("v2/credentials/list", "credential", nil, "403 insufficient_scope The access token does not reach this far")
	r := must[signer.Request](h.T)(h.public.Request(h.Context(), h.tokens.consents[sad].RequestID))
	if got, want := r.State, signer.Pending; got != want {
		h.Errorf("the request is %s, want %s", got, want)
	}
}

func extend(h *house) {
	one, two := []byte("uno"), []byte("dos")
	token := h.consent(one, two)
	ask := map[string]any{"credentialID": h.credential.ID, "SAD": token, "hashes": []string{b64(digestOf(one))}, "hashAlgorithmOID": signer.SHA256}
	var got struct {
		SAD       string
		ExpiresIn int
	}
	h.call("v2/credentials/extendTransaction", "service", ask, &got)
	if got.SAD != token || got.ExpiresIn < 1 || got.ExpiresIn > 300 {
		h.Errorf("got %+v", got)
	}
	h.refused("v2/credentials/extendTransaction", "service", with(ask, "hashes", []string{b64(digestOf([]byte("tres")))}), "400 invalid_request Hash is not authorized by the SAD")
	h.refused("v1/credentials/extendTransaction", "service", with(ask, "hash", []string{b64(digestOf([]byte("tres")))}), "400 invalid_request Hash is not authorized by the SAD.")
}

// An application's keys of EC are asked for by other names.
func TestEllipticCurves(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "ec-p256")
	content := []byte("uno")
	token := h.consent(content)
	ask := map[string]any{"credentialID": h.credential.ID, "hashes": []string{b64(digestOf(content))}, "signAlgo": sha256WithRSA}
	h.refused("v2/signatures/signHash", token, ask, "400 invalid_request Invalid parameter signAlgo")
	var got values
	h.call("v2/signatures/signHash", token, with(ask, "signAlgo", "1.2.840.10045.4.3.2"), &got)
	h.signed(got.Signatures, crypto.SHA256, content)

	// What is blocked since has no consents.
	token = h.consent(content)
	h.clock.advance(time.Second)
	h.block()
	h.refused("v2/signatures/signHash", token, with(ask, "signAlgo", "1.2.840.10045.4.3.2"), "400 invalid_request Invalid parameter SAD")
	h.refused("v1/credentials/authorize", "service", map[string]any{"credentialID": h.credential.ID}, "400 invalid_request The credential identified by credentialID is disabled")
}
