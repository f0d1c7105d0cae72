package csc_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/rubrica-firma/rubrica/api/csc"
	"github.com/rubrica-firma/rubrica/signer"
)

// method is a call that would be answered, and what is said of each of its
// parameters when it is not as it should be.
type method struct {
	path, token string
	base        map[string]any
	// missing, wrong and empty are the answers to a parameter that is left out
	// (or null), of another type, and empty; "" means that it is let through.
	parameters map[string]spoilt
}

type spoilt struct{ missing, wrong, empty string }

// let is an answer to which the parameter in question is no matter.
const let = ""

func text(name string) spoilt {
	m := "Missing (or invalid type) string parameter " + name
	return spoilt{m, m, "Invalid parameter " + name}
}

func optional(name string) spoilt { return spoilt{let, "Invalid parameter " + name, let} }

func flag(name string) spoilt {
	return spoilt{let, "Invalid parameter " + name, "Invalid parameter " + name}
}

func array() spoilt {
	m := "Missing (or invalid type) array parameter hash"
	return spoilt{m, m, m}
}

func structure(name string) spoilt {
	m := "Missing (or invalid type) object parameter " + name
	return spoilt{m, m, m}
}

func refused(name string) spoilt {
	s := "Invalid parameter " + name
	return spoilt{s, s, s}
}

// and is what is said of all of them.
func and(parts ...map[string]spoilt) map[string]spoilt {
	out := map[string]spoilt{}
	for _, part := range parts {
		maps.Copy(out, part)
	}
	return out
}

// documents are what signDoc is asked to sign: a digest and a whole document, and
// what both calls have besides.
func (h *house) documents(sad string) (digest, document, call map[string]any) {
	common := map[string]any{
		"signature_format": "P", "conformance_level": "Ades-B-T", "signAlgo": "1.2.840.113549.1.1.1", "hashAlgorithmOID": signer.SHA256, "signed_envelope_property": "Revision",
		"signed_props": []any{map[string]any{"attribute_name": "Reason", "attribute_value": b64([]byte("Conforme"))}},
	}
	return with(common, "hashes", []any{b64(digestOf([]byte("uno")))}), with(common, "document", b64([]byte("uno"))), map[string]any{
		"credentialID": h.credential.ID, "SAD": sad, "operationMode": "A", "validity_period": 1000, "response_uri": "https://sede.example/aviso",
		"returnValidationInfo": true, "clientData": 7,
	}
}

// methods are all of them. The consent is one that is never spent: signing
// methods end at a parameter in each of these calls.
func (h *house) methods(sad string) []method {
	id, hash := h.credential.ID, b64(digestOf([]byte("uno")))
	hashes := []any{hash}
	data := optional("clientData")
	_, create := h.wish()
	signHash1 := map[string]any{"credentialID": id, "SAD": sad, "hash": hashes, "signAlgo": "1.2.840.113549.1.1.1", "hashAlgo": signer.SHA256, "clientData": "x"}
	signHash2 := map[string]any{
		"credentialID": id, "SAD": sad, "hashes": hashes, "signAlgo": "1.2.840.113549.1.1.1", "hashAlgorithmOID": signer.SHA256, "clientData": "x",
		"operationMode": "A", "validity_period": 1000, "response_uri": "https://sede.example/aviso",
	}
	digest, document, signDoc := h.documents(sad)
	later := map[string]spoilt{
		"operationMode":   {"Invalid parameter response_uri", "Invalid parameter operationMode", "Invalid parameter response_uri"},
		"validity_period": flag("validity_period"), "response_uri": flag("response_uri"),
	}
	signing := func(name, complaint string) map[string]spoilt {
		return and(later, map[string]spoilt{
			"SAD": text("SAD"), "returnValidationInfo": flag("returnValidationInfo"), name: {"Empty documentDigests and documents objects", complaint, complaint},
		})
	}
	views := map[string]spoilt{
		"certificates": {let, "Invalid parameter certificates", "Invalid parameter certificates"},
		"certInfo":     flag("certInfo"), "authInfo": flag("authInfo"), "lang": optional("lang"), "clientData": data,
	}
	numSignatures := spoilt{
		"Missing (or invalid type) integer parameter numSignatures", "Missing (or invalid type) integer parameter numSignatures",
		"Missing (or invalid type) integer parameter numSignatures",
	}
	params := spoilt{let, "Missing (or invalid type) string parameter signAlgoParams", let}
	return append([]method{
		{"v1/credentials/list", "service", map[string]any{"userID": ana, "maxResults": 3, "clientData": "x"}, map[string]spoilt{
			"userID": text("userID"), "clientData": data,
			"maxResults": {let, "Invalid parameter maxResults", "Invalid parameter maxResults"},
		}},
		{"v2/credentials/list", "service", map[string]any{
			"userID": ana, "maxResults": 3, "credentialInfo": true, "certificates": "single", "certInfo": true, "authInfo": true, "onlyValid": true,
			"lang": "es", "clientData": "x",
		}, and(views, map[string]spoilt{
			"userID": text("userID"), "onlyValid": flag("onlyValid"), "credentialInfo": flag("credentialInfo"),
			"maxResults": {let, "Invalid parameter maxResults", "Invalid parameter maxResults"},
		})},
		{
			"v1/credentials/info", "service",
			map[string]any{"credentialID": id, "certificates": "none", "certInfo": true, "authInfo": true, "lang": "es", "clientData": "x"},
			and(views, map[string]spoilt{"credentialID": text("credentialID")}),
		},
		{
			"v2/credentials/info", "service",
			map[string]any{"credentialID": id, "certificates": "none", "certInfo": true, "authInfo": true, "lang": "es", "clientData": "x"},
			and(views, map[string]spoilt{"credentialID": text("credentialID")}),
		},
		{"v1/credentials/authorize", "service", map[string]any{"credentialID": id, "numSignatures": 1, "hash": hashes, "description": "x", "clientData": "x"}, map[string]spoilt{
			"credentialID": text("credentialID"), "hash": array(), "description": optional("description"), "clientData": data,
			"numSignatures": numSignatures,
		}},
		{"v2/credentials/authorize", "service", map[string]any{"credentialID": id, "numSignatures": 1, "hashes": hashes, "hashAlgorithmOID": signer.SHA256, "clientData": "x"}, map[string]spoilt{
			"credentialID": text("credentialID"), "hashes": array(), "hashAlgorithmOID": text("hashAlgorithmOID"), "description": optional("description"), "clientData": data,
			"numSignatures": numSignatures,
		}},
		{"v2/credentials/authorizeCheck", "service", map[string]any{"handle": "x"}, map[string]spoilt{"handle": text("handle")}},
		{"v2/credentials/getChallenge", "service", map[string]any{"credentialID": id, "authObjectID": "OTP"}, map[string]spoilt{
			"credentialID": text("credentialID"), "authObjectID": text("authObjectID"),
		}},
		{"v1/credentials/sendOTP", "service", map[string]any{"credentialID": id, "clientData": "x"}, map[string]spoilt{"credentialID": text("credentialID"), "clientData": data}},
		{"v1/credentials/extendTransaction", "service", map[string]any{"credentialID": id, "SAD": sad, "hash": hashes, "clientData": "x"}, map[string]spoilt{
			"credentialID": text("credentialID"), "SAD": text("SAD"), "hash": array(), "clientData": data,
		}},
		{"v2/credentials/extendTransaction", "service", map[string]any{"credentialID": id, "SAD": sad, "hashes": hashes, "hashAlgorithmOID": signer.SHA256, "clientData": "x"}, map[string]spoilt{
			"credentialID": text("credentialID"), "SAD": text("SAD"), "hashes": array(), "hashAlgorithmOID": text("hashAlgorithmOID"), "clientData": data,
		}},
		{"v1/signatures/signHash", "service", with(signHash1, "clientData", 7), map[string]spoilt{
			"credentialID": text("credentialID"), "SAD": text("SAD"), "hash": array(), "signAlgo": text("signAlgo"), "hashAlgo": text("hashAlgo"), "signAlgoParams": params,
		}},
		{"v2/signatures/signHash", "service", with(signHash2, "clientData", 7), and(later, map[string]spoilt{
			"credentialID": text("credentialID"), "SAD": text("SAD"), "hashes": array(), "signAlgo": text("signAlgo"), "hashAlgorithmOID": text("hashAlgorithmOID"),
			"signAlgoParams": params,
		})},
		{"v2/signatures/signDoc", "service", with(signDoc, "documents", []any{document}), and(signing("documents", "Invalid array parameter documents"), map[string]spoilt{
			"credentialID": text("credentialID"),
		})},
		{
			"v2/signatures/signDoc", "service", with(signDoc, "documentDigests", []any{digest}, "signatureQualifier", "eu_eidas_aes"),
			and(signing("documentDigests", "Invalid object parameter documentDigests"), map[string]spoilt{
				"credentialID":       {let, "Invalid parameter credentialID", "Invalid parameter credentialID"},
				"signatureQualifier": {let, "Invalid parameter signatureQualifier", "Invalid parameter signatureQualifier"},
			}),
		},
		{"v2/credentials/create", "created", with(create, "clientData", "x", "authInfo", true, "lang", "es"), and(views, map[string]spoilt{
			"credentialCreationRequest": structure("credentialCreationRequest"), "credentialInfo": flag("credentialInfo"),
		})},
		{"v2/credentials/delete", "deleted", map[string]any{"credentialDeletionRequest": map[string]any{"credentialID": id}, "clientData": "x"}, map[string]spoilt{
			"credentialDeletionRequest": structure("credentialDeletionRequest"), "clientData": data,
		}},
		{"v2/signatures/signPolling", "service", map[string]any{"requestID": "x", "clientData": "x"}, map[string]spoilt{
			"requestID": text("requestID"), "userID": {let, "userID parameter SHALL be null", "userID parameter SHALL be null"}, "clientData": data,
		}},
	}, h.alike()...)
}

// alike are methods that are the same in either version.
func (h *house) alike() (out []method) {
	data := optional("clientData")
	stamp := map[string]any{"hash": b64(digestOf([]byte("uno"))), "hashAlgo": signer.SHA256, "nonce": "1f", "clientData": "x"}
	for _, version := range []string{"v1/", "v2/"} {
		out = append(out, []method{
			{version + "info", "", map[string]any{"lang": "es"}, map[string]spoilt{"lang": optional("lang")}},
			{version + "auth/login", h.basic("app", secret), map[string]any{"rememberMe": true, "clientData": "x"}, map[string]spoilt{
				"rememberMe": flag("rememberMe"), "clientData": data,
			}},
			{version + "auth/revoke", "service", map[string]any{"token": "x", "token_type_hint": "access_token", "clientData": "x"}, map[string]spoilt{
				"token": {text("token").missing, text("token").wrong, let}, "token_type_hint": optional("token_type_hint"), "clientData": data,
			}},
			{version + "signatures/timestamp", "service", stamp, map[string]spoilt{
				"hash": {text("hash").missing, text("hash").wrong, "Empty hash parameter"}, "hashAlgo": refused("hashAlgo"), "nonce": flag("nonce"), "clientData": data,
			}},
		}...)
	}
	return out
}

// nested are objects within a call, by the rest of it.
func (h *house) nested(sad string) map[string]method {
	const signDoc, create = "v2/signatures/signDoc", "v2/credentials/create"
	digest, document, _ := h.documents(sad)
	ask := func(name, within string) string {
		return fmt.Sprintf(`{"credentialID":%q,"SAD":%q,%q:[%s],"clientData":7}`, h.credential.ID, sad, name, within)
	}
	common := map[string]spoilt{
		"signature_format": refused("signature_format"), "conformance_level": flag("conformance_level"), "signAlgo": text("signAlgo"),
		"signAlgoParams":   {let, "Missing (or invalid type) string parameter signAlgoParams", let},
		"hashAlgorithmOID": text("hashAlgorithmOID"), "signed_envelope_property": flag("signed_envelope_property"), "signed_props": flag("signed_props"),
	}
	const base64 = "Invalid Base64 documents string parameter"
	property := map[string]any{"attribute_name": "Reason", "attribute_value": b64([]byte("Conforme"))}
	request, _ := h.wish()
	subject, _ := request["subjectData"].(map[string]any)
	return map[string]method{
		ask("documents", "%s"):       {signDoc, "service", document, and(common, map[string]spoilt{"document": {base64, base64, base64}})},
		ask("documentDigests", "%s"): {signDoc, "service", digest, and(common, map[string]spoilt{"hashes": array()})},
		ask("documents", strings.Replace(text2(with(document, "signed_props", []any{7})), "7", "%s", 1)): {signDoc, "service", property, map[string]spoilt{
			"attribute_name": refused("signed_props"), "attribute_value": refused("signed_props (Reason)"),
		}},
		`{"credentialCreationRequest":%s}`: {create, "created", request, map[string]spoilt{
			"certificatePolicy": text("certificatePolicy"), "subjectData": flag("subjectData"),
		}},
		`{"credentialCreationRequest":` + strings.Replace(text2(with(request, "subjectData", 7)), ":7", ":%s", 1) + `}`: {create, "created", subject, map[string]spoilt{
			"givenName": flag("subjectData"), "surname": flag("subjectData"), "issuingCountry": flag("subjectData"),
		}},
		`{"credentialDeletionRequest":%s}`: {"v2/credentials/delete", "deleted", map[string]any{"credentialID": h.credential.ID}, map[string]spoilt{
			"credentialID": text("credentialID"),
		}},
	}
}

// Every method and every parameter of it: missing, null, of another type, empty,
// huge, twice, unknown.
func parameters(h *house) {
	sad := h.consent([]byte("uno"))
	methods := h.methods(sad)
	for _, path := range csc.Paths() {
		if !slices.ContainsFunc(methods, func(m method) bool { return m.path == path }) {
			h.Errorf("no parameter of %s is tried", path)
		}
	}
	for _, m := range methods {
		h.spoil(m, "%s")
		h.answers(m.path+": deep", h.post(m.path, m.token, deep()), "400 invalid_request The request is nested too deeply")
		h.answers(m.path+": an array", h.post(m.path, m.token, "[]"), "400 invalid_request The request is not a JSON object")
	}
	for around, m := range h.nested(sad) {
		h.spoil(m, around)
	}
	h.values(sad)
}

// spoil tries each parameter of a method, or of an object that stands within.
func (h *house) spoil(m method, around string) {
	h.Helper()
	ask := func(base string) reply { return h.post(m.path, m.token, fmt.Sprintf(around, base)) }
	usual := ask(text2(m.base))
	if usual.status >= 500 {
		h.Fatalf("%s: %d %s", m.path, usual.status, usual.body)
	}
	says := func(what string, got reply, want string) {
		h.Helper()
		if want != let {
			h.answers(m.path+": "+what, got, "400 invalid_request "+want)
			return
		}
		if got.status != usual.status || usual.status >= 400 && got.body != usual.body {
			h.Errorf("%s: %s: got %d %s, want it let through (%d %s)", m.path, what, got.status, got.body, usual.status, usual.body)
		}
	}
	for name, s := range m.parameters {
		says(name+" missing", ask(text2(with(m.base, name, nil))), s.missing)
		says(name+" null", ask(text2(with(m.base, name, json.RawMessage("null")))), s.missing)
		for _, other := range []any{7.5, []any{map[string]any{}}, map[string]any{"a": []any{1}}} {
			if reflect.TypeOf(other) != reflect.TypeOf(m.base[name]) {
				says(fmt.Sprint(name, " as ", other), ask(text2(with(m.base, name, other))), s.wrong)
			}
		}
		says(name+" empty", ask(text2(with(m.base, name, ""))), s.empty)
		h.answers(m.path+": "+name+" twice", ask(fmt.Sprintf("{%[1]q:1,%[1]q:1}", name)), "400 invalid_request The request is not a JSON object")
		huge := ask(text2(with(m.base, name, strings.Repeat("x", 30<<10))))
		if huge.status >= 500 {
			h.Errorf("%s: %s huge: %d %s", m.path, name, huge.status, huge.body)
		}
	}
	says("another member", ask(text2(with(m.base, "unknown", []any{1}))), let)
}

// values are parameters of the right type and the wrong value.
func (h *house) values(sad string) {
	h.Helper()
	id, digest := h.credential.ID, digestOf([]byte("uno"))
	sign := map[string]any{"credentialID": id, "SAD": sad, "hashes": []any{b64(digest)}, "signAlgo": sha256WithRSA, "clientData": 7}
	authorize := map[string]any{"credentialID": id, "numSignatures": 1, "hashes": []any{b64(digest)}, "hashAlgorithmOID": signer.SHA256}
	stamp := map[string]any{"hash": b64(digest), "hashAlgo": signer.SHA256}
	const (
		hashPath, authorizePath, stampPath = "v2/signatures/signHash", "v2/credentials/authorize", "v2/signatures/timestamp"
		base64                             = "Invalid Base64 hash string parameter"
		length                             = "Invalid digest value length"
	)
	for _, test := range []struct {
		path string
		base map[string]any
		name string
		as   any
		want string
	}{
		{authorizePath, authorize, "numSignatures", 0, "Invalid value for parameter numSignatures"},
		{authorizePath, authorize, "numSignatures", -1, "Invalid value for parameter numSignatures"},
		{authorizePath, authorize, "numSignatures", 1 << 31, "Numbers of signatures is too high"},
		{authorizePath, authorize, "numSignatures", 101, "Numbers of signatures is too high"},
		{authorizePath, authorize, "numSignatures", json.RawMessage("1e400"), "Missing (or invalid type) integer parameter numSignatures"},
		{authorizePath, authorize, "hashes", []any{}, "Empty hash array"},
		{authorizePath, authorize, "hashes", []any{7}, base64},
		{authorizePath, authorize, "hashAlgorithmOID", signer.SHA512, length},
		{authorizePath, authorize, "hashAlgorithmOID", "1.3.14.3.2.26", "Invalid parameter hashAlgorithmOID"},
		{authorizePath, authorize, "credentialID", "nobody's", "Invalid parameter credentialID"},
		{authorizePath, authorize, "credentialID", id, "Invalid parameter credentialID"}, // it is of mode oauth2code
		{hashPath, sign, "hashes", []any{}, "Empty hash array"},
		{hashPath, sign, "hashes", []any{"-_" + b64(digest)[2:]}, base64},
		{hashPath, sign, "hashes", []any{strings.TrimRight(b64(digest), "=")}, base64},
		{hashPath, sign, "hashes", []any{b64(digest) + "\n"}, base64},
		{hashPath, sign, "hashes", []any{""}, base64},
		{hashPath, sign, "hashes", []any{b64(digest), nil}, base64},
		{hashPath, sign, "hashes", []any{b64(digest[:31])}, "Hash is not authorized by the SAD"},
		{hashPath, sign, "signAlgo", "1.2.840.113549.1.1.5", "Invalid parameter signAlgo"},
		{hashPath, sign, "signAlgo", "none", "Invalid parameter signAlgo"},
		{hashPath, sign, "signAlgo", "1.2.840.113549.1.1.13", length},
		{hashPath, sign, "hashAlgorithmOID", signer.SHA512, "Invalid parameter hashAlgorithmOID"},
		{hashPath, sign, "hashAlgorithmOID", "2.16.840.1.101.3.4.2.8", "Invalid parameter hashAlgorithmOID"},
		{hashPath, sign, "signAlgoParams", 7, "Missing (or invalid type) string parameter signAlgoParams"},
		{hashPath, sign, "operationMode", "B", "Invalid parameter operationMode"},
		{hashPath, sign, "validity_period", 0, "Out of bounds parameter validity_period"},
		{hashPath, sign, "validity_period", 1 << 40, "Out of bounds parameter validity_period"},
		{hashPath, sign, "response_uri", "https://sede.example/", "Invalid parameter response_uri"}, // not asynchronous
		{hashPath, with(sign, "operationMode", "A"), "response_uri", "http://sede.example/", "Invalid parameter response_uri"},
		{hashPath, with(sign, "operationMode", "A"), "response_uri", "https://a:b@sede.example/", "Invalid parameter response_uri"},
		{hashPath, sign, "credentialID", strings.Repeat("x", 300), "Invalid parameter credentialID"},
		{hashPath, sign, "SAD", "a b", "Invalid parameter SAD"},
		{hashPath, sign, "SAD", "\x00", "Invalid parameter SAD"},
		{"v2/credentials/info", map[string]any{"credentialID": "\x00"}, "certInfo", true, "Invalid parameter credentialID"},
		{"v2/credentials/list", map[string]any{"userID": ana}, "pageToken", "2", "Invalid parameter pageToken"},
		{"v2/credentials/list", map[string]any{"userID": ana}, "maxResults", 0, "Invalid parameter maxResults"},
		{"v2/credentials/list", map[string]any{}, "userID", "12345678A", "Invalid parameter userID"},
		{"v2/credentials/list", map[string]any{"userID": ana}, "certificates", "all", "Invalid parameter certificates"},
		{stampPath, stamp, "hash", "!", base64},
		{stampPath, stamp, "hash", b64(digest[:20]), length},
		{stampPath, stamp, "hashAlgo", "1.3.14.3.2.26", "Invalid parameter hashAlgo"},
		{stampPath, stamp, "nonce", "xyz", "Invalid parameter nonce"},
		{stampPath, stamp, "nonce", "-1", "Invalid parameter nonce"},
		{stampPath, stamp, "nonce", strings.Repeat("f", 1000), "Invalid parameter nonce"},
	} {
		h.refused(test.path, "service", with(test.base, test.name, test.as), "400 invalid_request "+test.want)
	}
}

// forms are answers that come before any method: each is in this door's form.
func forms(h *house) {
	const all = "v2/credentials/info"
	const json8 = "application/json; charset=utf-8"
	ordinary := map[string]string{"Content-Type": json8, "Authorization": "Bearer service"}
	h.answers("no token", h.post(all, "", "{}"), "400 invalid_request Malformed authorization header")
	for _, value := range []string{"Basic YTpi", "Bearer", "Bearer ", "service"} {
		got := h.send1(http.MethodPost, all, strings.NewReader("{}"), map[string]string{"Content-Type": json8, "Authorization": value})
		h.answers(value, got, "400 invalid_request Malformed authorization header")
	}
	h.answers("unknown token", h.post(all, "nobody", "{}"), "401 invalid_token The access token is expired, revoked, or not a token")
	h.answers("nothing there", h.post("v2/credentials/nothing", "service", "{}"), "404 invalid_request There is no such method")
	h.answers("of version 2", h.post("v1/signatures/signDoc", "service", "{}"), "404 invalid_request There is no such method")
	h.answers("GET", h.send1(http.MethodGet, all, nil, ordinary), "405 invalid_request Methods of this interface are called by POST")
	for name, body := range map[string]string{
		"no JSON": "{", "an array": "[]", "a string": `"x"`, "null": "null", "two": "{}{}", "not UTF-8": "{\"a\":\"\xff\"}", "twice within": `{"a":{"b":1,"b":2}}`,
	} {
		h.answers(name, h.post(all, "service", body), "400 invalid_request The request is not a JSON object")
	}
	h.answers("10,000 deep", h.post(all, "service", deep()), "400 invalid_request The request is nested too deeply")
	for _, kind := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", ""} {
		got := h.send1(http.MethodPost, all, strings.NewReader("{}"), map[string]string{"Content-Type": kind, "Authorization": "Bearer service"})
		h.answers(kind, got, "415 invalid_request The request is not application/json")
	}
	got := h.send1(http.MethodPost, all, io.LimitReader(endless{}, 1<<20), ordinary)
	h.answers("1 MB", got, "413 invalid_request The request is too large")
	if !slices.Contains(got.header.Values("Cache-Control"), "no-store") {
		h.Errorf("Cache-Control is %q, want no-store", got.header.Get("Cache-Control"))
	}
	if strings.Contains(h.journal.String(), "Bearer") || strings.Contains(h.journal.String(), "credential-") {
		h.Error("a token stands in the log")
	}
}

// deep is a body that nests 10,000 deep.
func deep() string { return strings.Repeat(`{"a":[`, 5000) + "1" + strings.Repeat(`]}`, 5000) }

// endless is a body of blanks.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func text2(o map[string]any) string {
	b, err := json.Marshal(o)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
