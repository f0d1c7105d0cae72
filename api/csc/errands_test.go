package csc_test

import (
	"crypto/x509"
	"encoding/json"
	"net/http"

	"github.com/google/go-cmp/cmp"
)

// wish asks for the certificate that the citizen has had made.
func (h *house) wish() (request, call map[string]any) {
	h.Helper()
	certificate := must[*x509.Certificate](h.T)(x509.ParseCertificate(h.credential.Certificate.DER))
	request = map[string]any{
		"certificatePolicy": certificate.PolicyIdentifiers[0].String(),
		"subjectData":       map[string]any{"givenName": "Ana", "surname": "Núñez Pérez", "issuingCountry": "ES"},
	}
	return request, map[string]any{"credentialCreationRequest": request, "credentialInfo": true, "certificates": "chain", "certInfo": true}
}

// What a citizen has had made is told to whom it was made for, as it was wished,
// once.
func errands(h *house) {
	const create, remove = "v2/credentials/create", "v2/credentials/delete"
	request, ask := h.wish()
	subject, _ := request["subjectData"].(map[string]any)
	wanting := func(name string, as any) map[string]any {
		return with(ask, "credentialCreationRequest", with(request, name, as))
	}
	for want, calls := range map[string][]map[string]any{
		"Missing (or invalid type) string parameter certificatePolicy": {wanting("certificatePolicy", nil), wanting("certificatePolicy", 7)},
		"Invalid parameter certificatePolicy":                          {wanting("certificatePolicy", "1.2.3"), wanting("certificatePolicy", "")},
		"Invalid parameter subjectData": {
			wanting("subjectData", "Ana"), wanting("subjectData", []any{}), wanting("subjectData", with(subject, "givenName", "Eva")),
			wanting("subjectData", with(subject, "surname", "Núñez")), wanting("subjectData", with(subject, "surname", "")),
			wanting("subjectData", with(subject, "issuingCountry", "PT")), wanting("subjectData", with(subject, "givenName", 7)),
		},
		"Invalid parameter certificates":   {with(ask, "certificates", "all")},
		"Invalid parameter credentialInfo": {with(ask, "credentialInfo", "yes")},
	} {
		for _, call := range calls {
			h.refused(create, "unheard", call, "400 invalid_request "+want)
		}
	}
	for _, token := range []string{"deleted", "service", "credential"} {
		h.refused(create, token, ask, "403 insufficient_scope The access token does not reach this far")
	}

	got := h.post(create, "unheard", text2(ask))
	var told struct {
		CredentialID   string
		CredentialInfo map[string]any
	}
	if err := json.Unmarshal([]byte(got.body), &told); err != nil || got.status != http.StatusCreated || told.CredentialID != h.credential.ID {
		h.Fatalf("got %d %s, want the credential", got.status, got.body)
	}
	var info map[string]any
	h.call("v2/credentials/info", "service", map[string]any{"credentialID": h.credential.ID, "certificates": "chain", "certInfo": true}, &info)
	if diff := cmp.Diff(info, told.CredentialInfo); diff != "" {
		h.Errorf("another view than that of credentials/info (-want +got):\n%s", diff)
	}
	h.refused(create, "unheard", ask, "400 invalid_request Invalid parameter SAD")
	bare := h.post(create, "created", text2(map[string]any{"credentialCreationRequest": with(request, "subjectData", nil)}))
	if bare.status != http.StatusCreated || bare.body != `{"credentialID":"`+h.credential.ID+"\"}\n" {
		h.Errorf("got %d %s, want the id alone", bare.status, bare.body)
	}

	gone := map[string]any{"credentialDeletionRequest": map[string]any{"credentialID": h.credential.ID}}
	other := map[string]any{"credentialDeletionRequest": map[string]any{"credentialID": "another"}}
	h.refused(remove, "deleted", other, "400 invalid_request Invalid parameter credentialID")
	h.refused(remove, "created", gone, "403 insufficient_scope The access token does not reach this far")
	h.refused("v1/credentials/delete", "deleted", gone, "404 invalid_request There is no such method")
	if got := h.post(remove, "deleted", text2(gone)); got.status != http.StatusNoContent || got.body != "" {
		h.Errorf("got %d %s, want nothing to be said", got.status, got.body)
	}
}
