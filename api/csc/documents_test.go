package csc_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

func pdf(t *testing.T) []byte {
	t.Helper()
	return must[[]byte](t)(os.ReadFile(filepath.Join("..", "..", "testdata", "pdf", "pdf-lib.pdf")))
}

type signed struct {
	Documents      []string `json:"DocumentWithSignature"`
	Objects        []string `json:"SignatureObject"`
	ResponseID     string   `json:"responseID"`
	ValidationInfo *struct {
		Certificates []string
	}
}

// Whole documents, of both formats in one call and at every level: a foreign
// program finds their signatures good.
func signDocuments(h *house) {
	for _, level := range []string{"AdES-B-B", "Ades-B-LTA"} {
		paper, note := pdf(h.T), []byte("Leída y conforme.")
		token := h.consent(paper, note)
		var got signed
		h.call("v2/signatures/signDoc", token, map[string]any{"credentialID": h.credential.ID, "returnValidationInfo": true, "documents": []any{
			map[string]any{
				"document": b64(note), "signature_format": "C", "conformance_level": level, "signAlgo": sha256WithRSA, "signed_envelope_property": "Detached",
				"signed_props": []any{map[string]any{"attribute_name": "mime-type", "attribute_value": b64([]byte("text/plain"))}},
			},
			map[string]any{
				"document": b64(paper), "signature_format": "P", "conformance_level": level, "signAlgo": sha256WithRSA, "signed_envelope_property": "Revision",
				"signed_props": []any{map[string]any{"attribute_name": "Reason", "attribute_value": b64([]byte("Conforme"))}},
			},
		}}, &got)
		if len(got.Documents) != 1 || len(got.Objects) != 1 || got.ValidationInfo == nil || len(got.ValidationInfo.Certificates) != 3 {
			h.Fatalf("got %d documents, %d objects, %v", len(got.Documents), len(got.Objects), got.ValidationInfo)
		}
		h.verified(unb64(h.T, got.Documents[0]), unb64(h.T, got.Objects[0]), note)
	}
	h.spoiltDocuments()
}

// verified has foreign programs look at a signed PDF and at a signature, detached
// or not.
func (h *house) verified(paper, signature, note []byte) {
	h.Helper()
	dir := h.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			h.Fatal(err)
		}
		return path
	}
	out, err := exec.CommandContext(h.Context(), "pdfsig", "-nocert", write("signed.pdf", paper)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Signature is Valid.") {
		h.Errorf("pdfsig: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(h.Context(), "openssl", "cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-in", write("note.p7s", signature),
		"-content", write("note.txt", note), "-out", os.DevNull).CombinedOutput()
	if err != nil {
		h.Errorf("openssl: %v\n%s", err, out)
	}
}

// spoiltDocuments are calls that end before the consent is spent.
func (h *house) spoiltDocuments() {
	h.Helper()
	paper := pdf(h.T)
	token := h.consent(paper)
	good := map[string]any{"document": b64(paper), "signature_format": "P", "signAlgo": sha256WithRSA}
	digest := map[string]any{"hashes": []any{b64(digestOf(paper))}, "hashAlgorithmOID": signer.SHA256, "signature_format": "C", "signAlgo": "1.2.840.113549.1.1.1"}
	prop := func(name string, value any) []any {
		return []any{map[string]any{"attribute_name": name, "attribute_value": value}}
	}
	for _, test := range []struct {
		documents, digests any
		want               string
	}{
		{nil, nil, "400 invalid_request Empty documentDigests and documents objects"},
		{[]any{good}, []any{digest}, "400 invalid_request Both documentDigests and documents parameters passed"},
		{[]any{}, nil, "400 invalid_request Empty documentDigests and documents objects"},
		{"x", nil, "400 invalid_request Invalid array parameter documents"},
		{[]any{7}, nil, "400 invalid_request Invalid array parameter documents"},
		{nil, map[string]any{}, "400 invalid_request Invalid object parameter documentDigests"},
		{nil, []any{with(digest, "hashes", []any{"!"})}, "400 invalid_request Invalid Base64 hashes string parameter"},
		{nil, []any{with(digest, "hashes", []any{b64(paper[:32])})}, "400 invalid_request documentDigests or documents are not authorized by the SAD"},
		{nil, []any{with(digest, "hashes", []any{b64(paper[:33])})}, "400 invalid_request Invalid digest value length"},
		{nil, []any{with(digest, "signAlgo", sha256WithRSA, "hashAlgorithmOID", signer.SHA512)}, "400 invalid_request String parameter hashAlgorithmOID contradicts with signAlgo parameter"},
		{nil, []any{with(digest, "hashAlgorithmOID", nil)}, "400 invalid_request Missing (or invalid type) string parameter hashAlgorithmOID"},
		{nil, []any{with(digest, "conformance_level", "Ades-B-LTA")}, "400 invalid_request Invalid parameter conformance_level"},
		{nil, []any{with(digest, "signed_envelope_property", "Attached")}, "400 invalid_request Invalid parameter signed_envelope_property"},
		{[]any{with(good, "document", "!")}, nil, "400 invalid_request Invalid Base64 documents string parameter"},
		{[]any{with(good, "document", nil)}, nil, "400 invalid_request Invalid Base64 documents string parameter"},
		{[]any{with(good, "document", b64([]byte("another")))}, nil, "403 invalid_hash Document or documentDigest does not match authorized hash"},
		{[]any{with(good, "signAlgo", nil)}, nil, "400 invalid_request Missing (or invalid type) string parameter signAlgo"},
		{[]any{with(good, "signature_format", "X")}, nil, "400 invalid_request Invalid parameter signature_format"},
		{[]any{with(good, "signature_format", "J")}, nil, "400 invalid_request Invalid parameter signature_format"},
		{[]any{with(good, "signature_format", nil)}, nil, "400 invalid_request Invalid parameter signature_format"},
		{[]any{with(good, "conformance_level", "Ades-B-X")}, nil, "400 invalid_request Invalid parameter conformance_level"},
		{[]any{with(good, "conformance_level", 7)}, nil, "400 invalid_request Invalid parameter conformance_level"},
		{[]any{with(good, "signed_envelope_property", "Detached")}, nil, "400 invalid_request Invalid parameter signed_envelope_property"},
		{[]any{with(good, "signed_props", prop("mime-type", b64([]byte("text/plain"))))}, nil, "400 invalid_request Invalid parameter signed_props (mime-type)"},
		{[]any{with(good, "signed_props", prop("content-hints", b64([]byte("x"))))}, nil, "400 invalid_request Invalid parameter signed_props (content-hints)"},
		{[]any{with(good, "signed_props", prop("Reason", "!"))}, nil, "400 invalid_request Invalid parameter signed_props (Reason)"},
		{[]any{with(good, "signed_props", 7)}, nil, "400 invalid_request Invalid parameter signed_props"},
	} {
		body := map[string]any{"credentialID": h.credential.ID}
		if test.documents != nil {
			body["documents"] = test.documents
		}
		if test.digests != nil {
			body["documentDigests"] = test.digests
		}
		h.refused("v2/signatures/signDoc", token, body, test.want)
	}
	var got signed
	h.call("v2/signatures/signDoc", token, map[string]any{"credentialID": h.credential.ID, "documents": []any{good}}, &got)
	if len(got.Documents) != 1 {
		h.Errorf("as it should be: %+v", got)
	}
	h.refused("v2/signatures/signDoc", token, map[string]any{"credentialID": h.credential.ID, "documents": []any{good}}, "400 invalid_request Invalid parameter SAD")
}

// Of digests only signatures come back, at once or later.
func signDigests(h *house) {
	one, two := []byte("uno"), []byte("dos")
	digests := []map[string]any{
		{"hashes": []any{b64(digestOf(two))}, "hashAlgorithmOID": signer.SHA256, "signature_format": "P", "conformance_level": "Ades-B-T", "signAlgo": sha256WithRSA},
		{"hashes": []any{b64(digestOf(one))}, "hashAlgorithmOID": signer.SHA256, "signature_format": "C", "conformance_level": "Ades-LT", "signAlgo": sha256WithRSA},
	}
	check := func(objects []string) {
		h.Helper()
		certificate := must[*x509.Certificate](h.T)(x509.ParseCertificate(h.credential.Certificate.DER))
		if len(objects) != 2 {
			h.Fatalf("%d signatures, want 2", len(objects))
		}
		for i, content := range [][]byte{two, one} {
			m := must[*cms.Message](h.T)(cms.Open(strings.NewReader(string(unb64(h.T, objects[i]))), int64(len(unb64(h.T, objects[i])))))
			if err := m.Signers[0].Verify(certificate, digestOf(content)); err != nil {
				h.Errorf("signature %d: %v", i+1, err)
			}
		}
	}
	var got signed
	h.call("v2/signatures/signDoc", h.consent(one, two), map[string]any{"credentialID": h.credential.ID, "documentDigests": digests}, &got)
	check(got.Objects)

	token := h.consent(one, two)
	h.refused("v2/signatures/signDoc", token, map[string]any{"credentialID": h.credential.ID, "documentDigests": digests[:1]}, "400 invalid_request documentDigests or documents are not authorized by the SAD")
	// No list of the root's is published here: B-T is as far as it goes.
	digests[1] = with(digests[1], "conformance_level", "Ades-T")
	ask := map[string]any{"credentialID": h.credential.ID, "documentDigests": digests, "operationMode": "A"}
	h.call("v2/signatures/signDoc", token, ask, &got)
	got.Objects = nil
	poll := map[string]any{"requestID": got.ResponseID}
	const unknown = "400 invalid_request Invalid parameter requestID"
	// It stays to be fetched while the level that was asked for is not there.
	h.stamps.down.Store(true)
	for range 2 {
		h.answers("no time-stamps", h.post("v2/signatures/signPolling", token, text2(poll)), accepted)
	}
	h.stamps.down.Store(false)
	h.refused("v2/signatures/signPolling", "other", poll, unknown)
	request, _, _ := strings.Cut(got.ResponseID, ".")
	for _, spoilt := range []string{".C.1", ".C.1.1", ".C.1.1.1", ".C.1.1.3", ".C.x.1.2", ".C.1.1.0", ".V.1", ".X.1.1.2"} {
		h.refused("v2/signatures/signPolling", "service", map[string]any{"requestID": request + spoilt}, unknown)
	}
	h.clock.advance(2 * time.Minute)
	h.call("v2/signatures/signPolling", "service", poll, &got)
	check(got.Objects)
	h.levels(got.Objects, true)
	h.refused("v2/signatures/signPolling", "service", poll, unknown)

	// Whoever has waited long enough gets what there is.
	token = h.consent(one, two)
	h.call("v2/signatures/signDoc", token, with(ask, "validity_period", 60_000), &got)
	got.Objects = nil
	h.stamps.down.Store(true)
	defer h.stamps.down.Store(false)
	h.clock.advance(2 * time.Minute)
	h.call("v2/signatures/signPolling", "service", map[string]any{"requestID": got.ResponseID}, &got)
	check(got.Objects)
	h.levels(got.Objects, false)

	// Bare values have no level to be lifted to.
	token = h.consent(one)
	h.call("v2/signatures/signHash", token, map[string]any{
		"credentialID": h.credential.ID, "hashes": []string{b64(digestOf(one))}, "signAlgo": sha256WithRSA, "operationMode": "A",
	}, &got)
	request, _, _ = strings.Cut(got.ResponseID, ".")
	h.refused("v2/signatures/signPolling", "service", map[string]any{"requestID": request + ".C.1.1"}, unknown)
}

const accepted = "202 accepted_request The previous async request has been accepted but not yet completed"

// Whole documents wait for their levels and for whoever fetches them, once; then
// nothing of them is left.
func later(h *house) {
	paper, note := pdf(h.T), []byte("Leída y conforme.")
	const unknown = "400 invalid_request Invalid parameter requestID"
	ask := func(level, envelope string) map[string]any {
		document := func(content []byte, format, envelope string) map[string]any {
			return map[string]any{
				"document": b64(content), "signature_format": format, "conformance_level": level, "signAlgo": sha256WithRSA, "signed_envelope_property": envelope,
			}
		}
		return map[string]any{
			"credentialID": h.credential.ID, "operationMode": "A", "returnValidationInfo": true,
			"documents": []any{document(note, "C", envelope), document(paper, "P", "Revision")},
		}
	}
	kept := func(token string) int {
		h.Helper()
		return h.sql(`
			SELECT (SELECT count(*) FROM documents WHERE request_id = $1 AND (built IS NOT NULL OR content_id IS NOT NULL OR update IS NOT NULL OR layout IS NOT NULL))
				+ (SELECT count(*) FROM augmentations WHERE request_id = $1)`, h.tokens.consents[token].RequestID)
	}
	sign := func(token string, body map[string]any) map[string]any {
		h.Helper()
		var got signed
		h.call("v2/signatures/signDoc", token, body, &got)
		if got.ResponseID == "" || got.Documents != nil || got.Objects != nil {
			h.Fatalf("got %+v, want an id to ask with", got)
		}
		return map[string]any{"requestID": got.ResponseID}
	}
	fetch := func(poll map[string]any, attached, stamped bool) {
		h.Helper()
		var got signed
		h.call("v2/signatures/signPolling", "service", poll, &got)
		if got.ValidationInfo == nil || len(got.ValidationInfo.Certificates) != 3 || got.ValidationInfo.Certificates[0] != b64(h.credential.Certificate.DER) {
			h.Errorf("got %+v, want the chain", got.ValidationInfo)
		}
		signature := got.Objects
		if attached {
			signature = got.Documents[:1]
		}
		if whole := slices.Concat(got.Documents, got.Objects); len(whole) != 2 || len(signature) != 1 {
			h.Fatalf("got %d documents and %d signatures", len(got.Documents), len(got.Objects))
		}
		h.levels(signature, stamped)
		h.verified(unb64(h.T, got.Documents[len(got.Documents)-1]), unb64(h.T, signature[0]), note)
		h.refused("v2/signatures/signPolling", "service", poll, unknown)
	}

	// The level waits for an authority that comes back.
	token := h.consent(paper, note)
	h.stamps.down.Store(true)
	poll := sign(token, ask("Ades-B-T", "Attached"))
	for range 2 {
		h.answers("no time-stamps", h.post("v2/signatures/signPolling", token, text2(poll)), accepted)
	}
	h.refused("v2/signatures/signPolling", "other", poll, unknown)
	h.stamps.down.Store(false)
	h.clock.advance(2 * time.Minute)
	fetch(poll, true, true)
	if left := kept(token); left != 0 {
		h.Errorf("%d rows are left of what was fetched", left)
	}
	h.refused("v2/signatures/signDoc", token, ask("Ades-B-T", "Attached"), "400 invalid_request Invalid parameter SAD")

	// What is reached is kept: who asks again has no other time-stamp made. The list
	// of the root's is not published here.
	token = h.consent(paper, note)
	poll = sign(token, with(ask("Ades-B-LTA", "Detached"), "validity_period", 60_000))
	h.answers("no list", h.post("v2/signatures/signPolling", token, text2(poll)), accepted)
	asked := h.stamps.asked.Load()
	h.answers("no list yet", h.post("v2/signatures/signPolling", token, text2(poll)), accepted)
	if again := h.stamps.asked.Load(); asked == 0 || again != asked {
		h.Errorf("%d time-stamps were asked for, then %d more", asked, again-asked)
	}
	h.clock.advance(2 * time.Minute)
	fetch(poll, false, true)

	h.interrupted(ask("AdES-B-B", "Detached"), sign, fetch)

	// Nobody fetches it: it goes with all other documents.
	token = h.consent(paper, note)
	poll = sign(token, ask("AdES-B-B", "Attached"))
	if kept(token) == 0 {
		h.Error("nothing is kept")
	}
	if err := h.public.Purge(h.Context(), h.clock.Now().Add(8*24*time.Hour), 7*24*time.Hour, 24*time.Hour); err != nil {
		h.Fatal(err)
	}
	if left := h.sql(`SELECT count(*) FROM content_pieces`); left != 0 {
		h.Errorf("%d pieces are left after the retention", left)
	}
	h.refused("v2/signatures/signPolling", "service", poll, unknown)

	token = h.consent(paper, note)
	h.refused("v2/signatures/signDoc", token, map[string]any{"credentialID": h.credential.ID, "documents": strings.Repeat("x", 4<<20)}, "413 invalid_request The request is too large")
	h.clock.advance(6 * time.Minute)
	h.refused("v2/signatures/signDoc", token, ask("AdES-B-B", "Detached"), "400 invalid_request SAD expired")
}

// interrupted are a call that died between the use of the key and the keeping, the
// same call again, another one, and many who fetch.
func (h *house) interrupted(ask map[string]any, sign func(string, map[string]any) map[string]any, fetch func(map[string]any, bool, bool)) {
	h.Helper()
	const spent = "400 invalid_request Invalid parameter SAD"
	token := h.consent(pdf(h.T), []byte("Leída y conforme."))
	h.sql(`ALTER TABLE content_pieces RENAME TO elsewhere`)
	if got := h.post("v2/signatures/signDoc", token, text2(ask)); got.status != http.StatusInternalServerError {
		h.Errorf("keeping where nothing can be kept: got %d %s", got.status, got.body)
	}
	h.sql(`ALTER TABLE elsewhere RENAME TO content_pieces`)
	documents, _ := ask["documents"].([]any)
	second, _ := documents[1].(map[string]any)
	other := with(ask, "documents", []any{
		documents[0], with(second, "signed_props", []any{map[string]any{"attribute_name": "Reason", "attribute_value": b64([]byte("Otro"))}}),
	})
	h.refused("v2/signatures/signDoc", token, other, spent)
	poll := sign(token, ask)
	if again := sign(token, ask); again["requestID"] != poll["requestID"] {
		h.Errorf("the same call again: got %s, want %s", again, poll)
	}
	h.refused("v2/signatures/signDoc", token, other, spent)
	fetch(poll, false, false)

	poll = sign(h.consent(pdf(h.T), []byte("Leída y conforme.")), ask)
	var fetched atomic.Int64
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if got := h.post("v2/signatures/signPolling", "service", text2(poll)); got.status == http.StatusOK {
				fetched.Add(1)
			}
		})
	}
	all.Wait()
	if got := fetched.Load(); got != 1 {
		h.Errorf("%d have fetched it, want 1", got)
	}
}

// Instead of the credential a call may say what kind of signature it wants.
func qualifiers(h *house) {
	var view struct{ SignatureQualifier string }
	h.call("v2/credentials/info", "service", map[string]any{"credentialID": h.credential.ID}, &view)
	if view.SignatureQualifier != "eu_eidas_aes" {
		h.Errorf("credentials/info says %q, want what signDoc takes", view.SignatureQualifier)
	}
	note := []byte("Leída y conforme.")
	token := h.consent(note)
	ask := map[string]any{"signatureQualifier": "eu_eidas_aes", "documents": []any{
		map[string]any{"document": b64(note), "signature_format": "C", "signAlgo": sha256WithRSA},
	}}
	for _, wrong := range []any{"eu_eidas_qes", "eu_eidas_aesqc", "eu_eidas_aeseal", "EU_EIDAS_AES", "", 7} {
		h.refused("v2/signatures/signDoc", token, with(ask, "signatureQualifier", wrong), "400 invalid_request Invalid parameter signatureQualifier")
		h.refused("v2/signatures/signDoc", token, with(ask, "signatureQualifier", wrong, "credentialID", h.credential.ID), "400 invalid_request Invalid parameter signatureQualifier")
	}
	h.refused("v2/signatures/signDoc", token, with(ask, "signatureQualifier", nil), "400 invalid_request Missing (or invalid type) string parameter credentialID")
	h.refused("v2/signatures/signDoc", token, with(ask, "credentialID", "another"), "400 invalid_request Invalid parameter credentialID")
	h.refused("v2/signatures/signHash", token, with(ask, "hashes", []any{b64(digestOf(note))}), "400 invalid_request Missing (or invalid type) string parameter credentialID")
	granted := h.tokens.consents[token]
	for _, wrong := range []string{"eu_eidas_qes", "eu_eidas_aesqc"} { // the certificate was made since, of another kind
		other := granted
		other.Qualifier = wrong
		h.tokens.consents[token] = other
		h.refused("v2/signatures/signDoc", token, ask, "400 invalid_request Invalid parameter SAD")
		h.refused("v2/signatures/signHash", token, map[string]any{
			"credentialID": h.credential.ID, "hashes": []any{b64(digestOf(note))}, "signAlgo": sha256WithRSA,
		}, "400 invalid_request Invalid parameter SAD")
	}
	granted.Qualifier = "eu_eidas_aes"
	h.tokens.consents[token] = granted
	var got signed
	h.call("v2/signatures/signDoc", token, ask, &got)
	if len(got.Documents) != 1 {
		h.Errorf("by its qualifier alone: got %+v", got)
	}
	token = h.consent(note)
	h.call("v2/signatures/signDoc", token, with(ask, "credentialID", h.credential.ID), &got)
}

// levels looks for the time-stamps of signatures (EN 319 122-1, 5.3).
func (h *house) levels(objects []string, stamped bool) {
	h.Helper()
	signatureTimeStamp := must[[]byte](h.T)(asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}))
	for i, object := range objects {
		if got := bytes.Contains(unb64(h.T, object), signatureTimeStamp); got != stamped {
			h.Errorf("signature %d: a time-stamp is there: %v, want %v", i+1, got, stamped)
		}
	}
}
