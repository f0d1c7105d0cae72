package rest_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// refusal is what whoever stands behind the door has been told to say.
func (m *memory) refusal() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refuse
}

// vouchers say of requests that are signed what they are told to, or that the log
// has nothing of them.
type vouchers struct{ *memory }

func (v vouchers) Receipt(_ context.Context, r signer.Request) (audit.Receipt, error) {
	if r.State != signer.Signed {
		return audit.Receipt{}, policies.Refuse(policies.RequestState, "state", string(r.State))
	}
	return audit.Receipt{}, cmp.Or(v.refusal(), error(policies.Refuse(policies.NotFound)))
}

func (v vouchers) Evidence(ctx context.Context, r signer.Request) ([]byte, error) {
	_, err := v.Receipt(ctx, r)
	return []byte("%PDF-"), err
}

// scene is where problems are provoked, one after the other.
type scene struct {
	*house
	*testing.T
	tokens map[string]string
	// signed and pending are requests of the application.
	signed, pending string
	calls           int
	// several has orders of one signature sent as orders of two.
	several bool
}

func newScene(t *testing.T, changes ...func(*rest.Config)) *scene {
	t.Helper()
	s := &scene{house: build(t, changes...), T: t, tokens: map[string]string{}}
	for id, c := range s.memory.clients {
		c.Calls = 1_000_000 // what is not provoked is not to happen
		s.memory.clients[id] = c
	}
	for scope, client := range map[string]string{"signature": "sede", "registration": "office", "registration:video": "provider"} {
		s.tokens[scope] = s.token(t, client)
	}
	return s
}

// open has the application ask for two signatures, and the citizen give one.
func (s *scene) open() *scene {
	for _, id := range []*string{&s.signed, &s.pending} {
		var made rest.SignatureRequest
		s.ask(order(nil)).decode(s.T, &made)
		*id = made.ID
	}
	s.memory.move(s.signed, signer.Signed)
	return s
}

func (s *scene) send(method, path, kind, scope, body string) reply {
	s.Helper()
	s.calls++
	asked := headers(s.tokens[scope], "key "+strings.Repeat("x", s.calls%200)+time.Now().String()[:25])
	asked["Content-Type"] = kind
	return s.call(s.T, method, path, strings.NewReader(body), asked)
}

const asJSON = "application/json"

func (s *scene) ask(body string) reply {
	s.Helper()
	path, body := s.ordering(body)
	return s.send(http.MethodPost, path, asJSON, signatureScope, body)
}

// ordering is where an order goes, and what it says there.
func (s *scene) ordering(body string) (path, order string) {
	if !s.several {
		return requestsPath, body
	}
	const two = `"order":"parallel","signers":[{"identifier":"12345678Z"},{"identifier":"X1234567L"}]`
	return envelopesPath, strings.Replace(body, `"signer":{"identifier":"12.345.678-z"}`, two, 1)
}

// keyed sends an order under a key, or under none.
func (s *scene) keyed(key, more string) reply {
	s.Helper()
	path, body := s.ordering(order(nil))
	asked := headers(s.tokens[signatureScope], key)
	if key == "" {
		delete(asked, "Idempotency-Key")
	}
	return s.call(s.T, http.MethodPost, path, strings.NewReader(body+more), asked)
}

func (s *scene) get(path string) reply {
	s.Helper()
	return s.send(http.MethodGet, path, "", signatureScope, "")
}

func (s *scene) act(body string) reply {
	s.Helper()
	return s.send(http.MethodPost, actsPath, "application/jose", "registration", body)
}

// behind has whoever stands behind the door refuse.
func (s *scene) behind(refusal error, call func() reply) reply {
	s.Helper()
	s.memory.mu.Lock()
	s.memory.refuse = refusal
	s.memory.mu.Unlock()
	defer func() {
		s.memory.mu.Lock()
		s.memory.refuse = nil
		s.memory.mu.Unlock()
	}()
	return call()
}

// limited is an order of an application that may not ask for all.
func (s *scene) limited(change func(*signer.Client)) reply {
	s.Helper()
	s.memory.mu.Lock()
	was := s.memory.clients["sede"]
	now := was
	change(&now)
	s.memory.clients["sede"] = now
	s.memory.mu.Unlock()
	defer func() {
		s.memory.mu.Lock()
		s.memory.clients["sede"] = was
		s.memory.mu.Unlock()
	}()
	return s.ask(order(nil))
}

const signatureScope = "signature"

// provoked is how each problem of each operation comes about, beside those that
// every operation has.
func provoked(s, tight, plain *scene) map[string]map[policies.Code]func() reply {
	ordering := func(change func(map[string]any)) func() reply {
		return func() reply { return s.ask(order(change)) }
	}
	content := func(text string) func() reply {
		return ordering(func(o map[string]any) {
			o["documents"] = []any{document("a.pdf", "application/pdf", "pades", []byte(text))}
		})
	}
	at := func(path string) func() reply { return func() reply { return s.get(path) } }
	request := func(path string) func() reply { return at(requestsPath + "/" + path) }
	large := strings.Repeat(" ", 200<<10)
	octets, verifyPath := "application/octet-stream", "/v1/verify"
	judged := func(code policies.Code) func() reply {
		return func() reply {
			return s.behind(policies.Refuse(code), func() reply { return s.send(http.MethodPost, verifyPath, octets, signatureScope, "%PDF-") })
		}
	}
	posting := func(path, kind, scope, body string) func() reply {
		return func() reply { return s.send(http.MethodPost, path, kind, scope, body) }
	}
	video := func(was, is string) func() reply {
		return posting(videosPath, asJSON, "registration:video", strings.Replace(aVideo(), was, is, 1))
	}
	registering := func(was, is string) func() reply {
		return func() reply { return s.act(ordered("register", strings.Replace(`"citizen":`+aCitizen, was, is, 1))) }
	}
	rows := map[string]map[policies.Code]func() reply{
		"createSignatureRequest": {
			policies.IdempotencyKeyMissing: func() reply { return s.keyed("", "") },
			policies.IdempotencyKeyReused: func() reply {
				s.keyed("again", "")
				return s.keyed("again", " ")
			},
			policies.RequestMalformed:     func() reply { return s.ask("{") },
			policies.IdentifierInvalid:    ordering(func(o map[string]any) { o["signer"] = map[string]any{"identifier": "12345678A"} }),
			policies.ReturnAddressUnknown: ordering(func(o map[string]any) { o["return_url"] = "https://sede.example.es/otra" }),
			policies.RequestTooManyDocs: ordering(func(o map[string]any) {
				o["documents"] = slices.Concat(solicitud(), solicitud(), solicitud())
			}),
			policies.FormatNotAllowed: func() reply {
				return s.limited(func(c *signer.Client) { c.Formats = []signer.Format{signer.CAdESDetached} })
			},
			policies.LevelNotAllowed: func() reply { return s.limited(func(c *signer.Client) { c.Levels = []cades.Level{cades.BT} }) },
			policies.UploadUnknown: ordering(func(o map[string]any) {
				o["documents"] = []any{map[string]any{"name": "a.pdf", "media_type": "application/pdf", "format": "pades", "upload": "nobody"}}
			}),
			policies.DocumentEmpty:  content(""),
			policies.DocumentNotPDF: content("hola"),
			policies.DocumentTooLarge: func() reply {
				tight.several = s.several
				return tight.ask(large)
			},
		},
		"getSignatureRequest": {policies.RequestMalformed: request(s.pending + "?wait=61"), policies.RequestUnknown: request("nobody")},
		"getSignedDocument": {
			policies.RequestMalformed: request(s.signed + "/documents/x/signed"), policies.RequestUnknown: request("nobody/documents/1/signed"),
			policies.RequestState: request(s.pending + "/documents/1/signed"), policies.NotFound: request(s.signed + "/documents/9/signed"),
		},
		"verifySignatures": {
			policies.RequestMalformed: posting(verifyPath, asJSON, signatureScope, "{}"), policies.DocumentEmpty: posting(verifyPath, octets, signatureScope, ""),
			policies.UploadUnknown:    posting(verifyPath, asJSON, signatureScope, `{"document":{"upload":"nobody"}}`),
			policies.DocumentTooLarge: func() reply { return tight.send(http.MethodPost, verifyPath, octets, signatureScope, large) },
			// The document worker and the validation behind it say these.
			policies.DocumentTooComplex: judged(policies.DocumentTooComplex), policies.VerificationFormat: judged(policies.VerificationFormat),
			policies.Busy: judged(policies.Busy),
		},
		"uploadDocument": {
			policies.RequestMalformed: posting(uploadsPath, asJSON, signatureScope, "x"), policies.DocumentEmpty: posting(uploadsPath, octets, signatureScope, ""),
			policies.DocumentTooLarge: func() reply { return tight.send(http.MethodPost, uploadsPath, octets, signatureScope, large) },
		},
		"listWebhookDeliveries": {policies.RequestMalformed: at(deliveriesPath + "?limit=0")},
		"getWebhookDelivery":    {policies.NotFound: at(deliveriesPath + "/nobody")},
		"replayWebhookDelivery": {policies.NotFound: posting(deliveriesPath+"/nobody/replay", "", signatureScope, "")},
		"preflightCitizen": {
			policies.RequestMalformed: posting("/v1/preflight", asJSON, signatureScope, "{"), policies.DocumentTooLarge: posting("/v1/preflight", asJSON, signatureScope, large),
			policies.IdentifierInvalid: posting("/v1/preflight", asJSON, signatureScope, `{"identifier":"12345678A"}`),
		},
		"performOfficeAct": {
			policies.RequestMalformed: posting(actsPath, asJSON, "registration", "{}"), policies.DocumentTooLarge: func() reply { return s.act(large) },
			policies.OfficeActInvalid: func() reply { return s.act("{}") }, policies.IdentifierInvalid: registering("12345678Z", "12345678A"),
			policies.NameInvalid: registering("Pérez Núñez", ""), policies.PhoneInvalid: registering("612345678", "912345678"),
			policies.EmailInvalid: registering("maria@", "@"), policies.IdentityDocumentExpiry: registering("2031-05-20", "2031-02-30"),
			policies.CitizenUnknown: func() reply { return s.act(ordered("renew_activation", `"identifier":"X1234567L"`)) },
		},
		"addVideoRegistration": {
			policies.RequestMalformed: posting(videosPath, asJSON, "registration:video", "{"), policies.DocumentTooLarge: posting(videosPath, asJSON, "registration:video", large),
			policies.IdentifierInvalid: video("12345678Z", "12345678A"), policies.NameInvalid: video("Pérez Núñez", ""), policies.PhoneInvalid: video("612345678", "912345678"),
			policies.EmailInvalid: video("maria@", "@"), policies.IdentityDocumentExpiry: video("2031-05-20", "2031-02-30"),
			policies.IdempotencyKeyReused: func() reply { video("", "")(); return video("", "")() },
		},
		"listSandboxCitizens": {policies.NotFound: func() reply { return plain.get("/v1/sandbox/citizens") }},
		"getSandboxCode":      {policies.NotFound: at("/v1/sandbox/codes/" + withoutCode), policies.RequestUnknown: at("/v1/sandbox/codes/nobody")},
	}
	// What the document worker says of a PDF.
	for _, code := range []policies.Code{
		policies.DocumentDamaged, policies.DocumentEncrypted, policies.DocumentCertified, policies.DocumentUnsupported, policies.DocumentTooComplex,
		policies.DocumentUnsafe, policies.FieldUnknown, policies.StampInvalid,
	} {
		rows["createSignatureRequest"][code] = func() reply { return s.behind(policies.Refuse(code), ordering(nil)) }
	}
	rows["createSignatureRequest"][policies.Busy] = func() reply { return s.behind(policies.Refuse(policies.Busy).After(time.Second), ordering(nil)) }
	// What the signer says of an act that is what it should be.
	for _, code := range []policies.Code{
		policies.OfficeActRepeated, policies.SecondOfficerNeeded, policies.PhoneTaken, policies.CitizenExists, policies.CitizenInactive, policies.CitizenDeregistered,
		policies.CitizenDeceased, policies.CredentialMissing, policies.CertificateExpired, policies.CertificateRevoked, policies.CertificateSuspended,
		policies.CertificateInForce, policies.Busy, policies.RecordTampered,
	} {
		rows["performOfficeAct"][code] = func() reply { return s.behind(policies.Refuse(code), registering("", "")) }
	}
	for operation, path := range map[string]string{"getReceipt": "/receipt", "getEvidence": "/evidence"} {
		behind := func(code policies.Code) func() reply {
			return func() reply { return s.behind(policies.Refuse(code).After(time.Second), request(s.signed+path)) }
		}
		rows[operation] = map[policies.Code]func() reply{
			policies.RequestUnknown: request("nobody" + path), policies.RequestState: request(s.pending + path),
			policies.NotFound: behind(policies.NotFound), policies.ReceiptPending: behind(policies.ReceiptPending),
		}
	}
	envelopeProblems(s, rows)
	return rows
}

const aCitizen = `{"identifier":"12345678Z","given_name":"María","surnames":"Pérez Núñez","phone":"612345678","email":"maria@example.org","document_until":"2031-05-20"}`

func aVideo() string {
	return `{"office":"office","citizen":` + aCitizen + `,"recording":{"reference":"rec-1","sha256":"` + strings.Repeat("7f", 32) + `","recorded_at":"2026-11-21T10:00:00Z"}}`
}

// Every code that the contract lists can occur. That no other does, each call of
// these tests sees to (agreed).
func TestProblemsOccur(t *testing.T) {
	t.Parallel()
	s := newScene(t).open()
	tight := newScene(t, func(c *rest.Config) { c.Limits.InlineBytes, c.Limits.DocumentBytes = 1, 1 })
	plain := newScene(t, func(c *rest.Config) { c.Sandbox = nil })
	rows := provoked(s, tight, plain)
	each(t, func(_, _ string, op *openapi3.Operation) {
		listed := codesIn(op.Extensions)
		if len(listed) == 0 && op.OperationID != "" && op.Extensions[problemCodes] == nil {
			t.Errorf("%s lists no %s", op.OperationID, problemCodes)
		}
		for code := range rows[op.OperationID] {
			if !slices.Contains(listed, code) {
				t.Errorf("%s: %s occurs and is not listed", op.OperationID, code)
			}
		}
		for _, code := range listed {
			provoke, known := rows[op.OperationID][code]
			if !known {
				t.Errorf("%s: nobody knows how %s comes about", op.OperationID, code)
				continue
			}
			var problem rest.Problem
			if provoke().decode(t, &problem); problem.Code != string(code) {
				t.Errorf("%s: got %s %v, want %s", op.OperationID, problem.Code, problem.Params, code)
			}
		}
	})
}

// What any operation may answer, each does.
func TestCommonProblems(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	document, err := sharedDocument()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[policies.Code]func(m *memory, c *signer.Client){
		policies.ApplicationUnknown: func(m *memory, _ *signer.Client) { m.lost = policies.Refuse(policies.ApplicationUnknown) },
		policies.ScopeMissing:       func(_ *memory, c *signer.Client) { c.Scopes = []string{"service"} },
		policies.DoorNotAllowed:     func(_ *memory, c *signer.Client) { c.Doors = []string{signer.DoorCSC2} },
		policies.RateLimited:        func(_ *memory, c *signer.Client) { c.Calls = 1 },
		policies.Unavailable:        func(m *memory, _ *signer.Client) { m.lost = context.DeadlineExceeded },
		policies.Internal:           func(m *memory, _ *signer.Client) { m.lost = errors.New("the database has gone") },
	}
	listed := codesIn(document.Extensions)
	if len(listed) != len(rows) {
		t.Errorf("got %v listed, want all of %d rows", listed, len(rows))
	}
	client := map[string]string{"signature": "sede", "registration": "office", "registration:video": "provider"}
	for _, code := range listed {
		each(t, func(path, method string, op *openapi3.Operation) {
			scope := scopeOf(op)
			s.memory.mu.Lock()
			was := s.memory.clients[client[scope]]
			now := was
			if rows[code] != nil {
				rows[code](s.memory, &now)
			}
			s.memory.clients[client[scope]] = now
			s.memory.mu.Unlock()
			got := s.send(method, concrete(path), asJSON, scope, "")
			for n := 0; code == policies.RateLimited && got.status != http.StatusTooManyRequests && n < 10; n++ {
				got = s.send(method, concrete(path), asJSON, scope, "")
			}
			wantRefusal(t, got, code)
			s.memory.mu.Lock()
			s.memory.clients[client[scope]], s.memory.lost = was, nil
			s.memory.mu.Unlock()
		})
	}
}

// each goes through the contract's operations, in its order.
func each(t *testing.T, do func(path, method string, op *openapi3.Operation)) {
	t.Helper()
	document, err := sharedDocument()
	if err != nil {
		t.Fatal(err)
	}
	paths := document.Paths.Map()
	for _, path := range document.Paths.InMatchingOrder() {
		for method, op := range paths[path].Operations() {
			do(path, method, op)
		}
	}
}

// scopeOf is what an operation asks of a token.
func scopeOf(op *openapi3.Operation) string {
	for _, requirement := range *op.Security {
		for _, scopes := range requirement {
			return scopes[0]
		}
	}
	return ""
}

// concrete is an address of a path.
func concrete(path string) string {
	return strings.NewReplacer("{id}", "X", "{ordinal}", "1", "{n}", "1").Replace(path)
}
