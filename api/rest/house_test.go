package rest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/routers"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/documents"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/pades"
)

const (
	secret    = "a secret that nobody else knows"
	returnURL = "https://sede.example.es/vuelta"
	spaniard  = "12345678Z"
)

// memory is the database of these tests: what the door does over HTTP is their
// matter, not what is stored.
type memory struct {
	mu       sync.Mutex
	clients  map[string]signer.Client
	tokens   map[string]signer.AccessToken
	requests map[string]signer.Request
	keys     map[string]signer.NewRequest
	uploads  map[string]signer.Upload
	uploaded map[string][]byte
	citizens map[string]signer.Citizen
	keyOf    map[string]*signer.Credential
	acts     []citizen.Act
	videos   []citizen.Video

	envelopes    map[string]signer.Envelope
	envelopeKeys map[string]signer.NewEnvelope

	broken error // of reading a person
	lost   error // of reading a token
	refuse error // of whoever stands behind the door
}

func newMemory() *memory {
	client := func(id string, scopes ...string) signer.Client {
		return signer.Client{
			ID: id, Name: "Nombre de " + id, Organisation: "Ayuntamiento",
			SecretHash: api.SecretHash(secret), Scopes: scopes, ReturnAddresses: []string{returnURL},
		}
	}
	return &memory{
		clients: map[string]signer.Client{
			"sede": client("sede", api.ScopeSignature), "other": client("other", api.ScopeSignature),
			"office": client("office", api.ScopeRegistration), "provider": client("provider", api.ScopeVideo),
		},
		tokens: map[string]signer.AccessToken{}, requests: map[string]signer.Request{},
		keys: map[string]signer.NewRequest{}, uploads: map[string]signer.Upload{}, uploaded: map[string][]byte{}, citizens: map[string]signer.Citizen{},
		envelopes: map[string]signer.Envelope{}, envelopeKeys: map[string]signer.NewEnvelope{},
	}
}

func (m *memory) Application(_ context.Context, id string) (signer.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.clients[id]
	if !ok {
		return c, policies.Refuse(policies.ApplicationUnknown)
	}
	return c, nil
}

func (m *memory) AddToken(_ context.Context, t signer.AccessToken) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tokens[string(t.Hash)] = t
	return nil
}

func (m *memory) Token(_ context.Context, hash []byte, _ time.Time) (signer.AccessToken, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tokens[string(hash)]
	if !ok {
		return t, policies.Refuse(policies.ApplicationUnknown)
	}
	return t, m.lost
}

func (m *memory) EarlierRequest(_ context.Context, applicationID, key string, bodyHash []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.keys[applicationID+" "+key]
	if ok && !bytes.Equal(n.BodyHash, bodyHash) {
		return "", policies.Refuse(policies.IdempotencyKeyReused)
	}
	return n.Request.ID, nil
}

func (m *memory) AddRequest(_ context.Context, n signer.NewRequest) (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n.Request.State = signer.Received
	m.keys[n.Request.Application.ID+" "+n.IdempotencyKey] = n
	m.requests[n.Request.ID] = n.Request
	return n.Request.ID, false, nil
}

func (m *memory) Open(_ context.Context, id string) error {
	m.move(id, signer.Pending)
	return nil
}

// move puts a request into a state.
func (m *memory) move(id string, to signer.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.requests[id]
	r.State = to
	if to.Final() {
		r.ClosedAt = r.CreatedAt.Add(time.Hour)
	}
	if to == signer.Signed {
		for i := range r.Documents {
			r.Documents[i].Reached = cades.BB
		}
	}
	m.requests[id] = r
}

func (m *memory) Request(_ context.Context, id string) (signer.Request, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.requests[id]
	if !ok {
		return r, policies.Refuse(policies.RequestUnknown)
	}
	return r, nil
}

func (m *memory) WriteContent(context.Context, io.Writer, string, int) error { return nil }

func (m *memory) Update(context.Context, string, int) ([]byte, error) { return nil, nil }

func (m *memory) Augmented(context.Context, string, int) (*signer.Augmented, error) { return nil, nil }

func (m *memory) Augment(context.Context, string, signer.Augmented, time.Time) error { return nil }

func (m *memory) Keep(context.Context, signer.NewRequest, time.Time) error { return nil }

func (m *memory) AddUpload(_ context.Context, u signer.Upload, content io.Reader) (signer.Upload, error) {
	data, err := io.ReadAll(content)
	if err != nil {
		return u, err
	}
	sum := sha256.Sum256(data)
	u.Size, u.SHA256 = int64(len(data)), sum[:]
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploads[u.ID], m.uploaded[u.ID] = u, data
	return u, nil
}

func (m *memory) Upload(_ context.Context, applicationID, id string) (signer.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, ok := m.uploads[id]
	if !ok || u.ApplicationID != applicationID {
		return u, policies.Refuse(policies.UploadUnknown)
	}
	return u, nil
}

func (m *memory) WriteUpload(_ context.Context, w io.Writer, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := w.Write(m.uploaded[id])
	return err
}

func (m *memory) FixDocuments(context.Context, string, []byte, []signer.Fixed) error { return nil }

func (m *memory) Certificate(context.Context, string) ([]byte, error) {
	return nil, policies.Refuse(policies.NotFound)
}

func (m *memory) Person(_ context.Context, identifier string) (signer.Citizen, *signer.Credential, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.citizens[identifier]
	if !ok && m.broken == nil {
		return c, nil, policies.Refuse(policies.CitizenUnknown)
	}
	return c, m.keyOf[identifier], m.broken
}

// Perform stands for the signer, which alone believes or disbelieves an act.
func (m *memory) Perform(_ context.Context, a citizen.Act) (citizen.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return citizen.Receipt{}, m.refuse
	}
	m.acts = append(m.acts, a)
	s, err := citizen.ReadAct(a.JWS)
	if err != nil {
		return citizen.Receipt{}, err
	}
	_, known := m.citizens[s.Identifier.String()]
	switch {
	case known && s.Kind == citizen.ActRegister:
		return citizen.Receipt{}, policies.Refuse(policies.CitizenExists)
	case !known && s.Kind != citizen.ActRegister:
		return citizen.Receipt{}, policies.Refuse(policies.CitizenUnknown)
	case s.Kind != citizen.ActRegister && s.Kind != citizen.ActRenewActivation:
		return citizen.Receipt{}, nil
	}
	m.citizens[s.Identifier.String()] = signer.Citizen{Status: signer.Registered}
	return citizen.Receipt{CitizenID: "C1", ActivationCode: citizen.NewActivationCode(), RegisteredAt: time.Now()}, nil
}

// pdfs prepares nothing, but knows what a PDF begins with.
type pdfs struct {
	requests.Worker
	*memory
}

func (w pdfs) Prepare(_ context.Context, f *documents.File, _ pades.Options) (*documents.Prepared, error) {
	if err := w.refusal(); err != nil {
		return nil, err
	}
	head := make([]byte, 5)
	if _, err := f.ReadAt(head, 0); err != nil || string(head) != "%PDF-" {
		return nil, policies.Refuse(policies.DocumentNotPDF)
	}
	facts := documents.Facts{Pages: make([]pades.Page, 3), Findings: []policies.Finding{{Code: policies.FindingJavaScriptForm}}}
	return &documents.Prepared{Facts: facts, Update: []byte("update")}, nil
}

// core is the real one, save that signatures come from nowhere.
type core struct{ *requests.Service }

func (core) Result(_ context.Context, r signer.Request, ordinal int) (requests.Result, error) {
	switch {
	case r.State != signer.Signed:
		return requests.Result{}, policies.Refuse(policies.RequestState, "state", string(r.State))
	case ordinal < 1 || ordinal > len(r.Documents):
		return requests.Result{}, policies.Refuse(policies.NotFound)
	}
	f, err := documents.HeldFile([]byte("%PDF- signed"))
	return requests.Result{Name: "Solicitud de María-firmado.pdf", MediaType: "application/pdf", Level: cades.BT, File: f}, err
}

// house is a running site with the door in it.
type house struct {
	url     string
	http    *http.Client
	memory  *memory
	journal *journal
	routes  routers.Router
	got     []string // what was validated
	site    http.Handler
}

type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

var sharedWords = sync.OnceValues(catalogue.New)

func build(t *testing.T, changes ...func(*rest.Config)) *house {
	t.Helper()
	words, err := sharedWords()
	if err != nil {
		t.Fatal(err)
	}
	contract, err := sharedContract()
	if err != nil {
		t.Fatal(err)
	}
	m := newMemory()
	server := httptest.NewUnstartedServer(nil)
	h := &house{
		url: "http://" + server.Listener.Addr().String(), memory: m, journal: &journal{}, routes: contract,
	}
	limits := requests.DefaultLimits()
	limits.Documents, limits.InlineDocuments = 2, 2
	service := requests.New(requests.Config{
		Store: m, Envelopes: m, Opener: m, Withdrawer: m, Worker: pdfs{memory: m}, Rules: policies.DefaultRules(), Documents: policies.DefaultDocumentRules(), Limits: limits, Now: time.Now,
	})
	config := rest.Config{
		Requests: core{service}, Envelopes: core{service}, Store: m, Register: m, Videos: m, Webhooks: m, Receipts: vouchers{m}, Verifications: judge{&h.got, m}, Reports: drawn{}, Sandbox: phones{}, Limits: limits, Now: time.Now,
		SigningPath: func(id string) string { return "/firma/" + id },
		Pages:       map[policies.Where]string{policies.AtActivation: "/activar", policies.AtCertificate: "/certificado"},
	}
	for _, change := range changes {
		change(&config)
	}
	room, err := rest.Room(config)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := api.New(api.Config{
		PublicURL: h.url, Catalogue: words, Clients: m, Rooms: []func(*api.Site){room}, Limits: api.DefaultLimits(),
		Logger: slog.New(slog.NewTextHandler(h.journal, nil)), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.site = handler
	server.Config = api.Server(handler, "")
	server.Start()
	h.http = server.Client()
	t.Cleanup(server.Close)
	return h
}

// token gets an access token for a client with its only scope.
func (h *house) token(t *testing.T, client string) string {
	t.Helper()
	form := strings.NewReader("grant_type=client_credentials&client_id=" + client + "&client_secret=" + strings.ReplaceAll(secret, " ", "+"))
	response, err := h.http.Post(h.url+"/oauth/token", "application/x-www-form-urlencoded", form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("no token: %d %v", response.StatusCode, err)
	}
	return answer.AccessToken
}

// reply is an answer, read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// call sends a request and holds its answer against the contract.
func (h *house) call(t *testing.T, method, path string, body io.Reader, headers map[string]string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, h.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response, err := h.http.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := reply{status: response.StatusCode, header: response.Header, body: content}
	if err := h.agreed(r, got); err != nil {
		t.Errorf("%s %s: the answer is not in the contract: %v", method, path, err)
	}
	return got
}

func (r reply) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(r.body, into); err != nil {
		t.Fatalf("got %d %q: %v", r.status, r.body, err)
	}
}

func wantRefusal(t *testing.T, got reply, code policies.Code) rest.Problem {
	t.Helper()
	var problem rest.Problem
	got.decode(t, &problem)
	if problem.Code != string(code) || got.status != api.Status(code) {
		t.Errorf("got %d %s %v, want %d %s", got.status, problem.Code, problem.Params, api.Status(code), code)
	}
	return problem
}

// order is a good body, with members that a test may change.
func order(change func(map[string]any)) string {
	body := map[string]any{
		"signer": map[string]any{"identifier": "12.345.678-z"}, "title": "Solicitud de ayuda", "return_url": returnURL,
		"documents": solicitud(),
	}
	if change != nil {
		change(body)
	}
	out, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("a test's own body: %v", err))
	}
	return string(out)
}

// solicitud is the one document of a good order.
func solicitud() []any {
	return []any{document("solicitud.pdf", "application/pdf", "pades", []byte("%PDF-1.7 …"))}
}

func document(name, mediaType, format string, content []byte) map[string]any {
	return map[string]any{
		"name": name, "media_type": mediaType, "format": format, "content": base64.StdEncoding.EncodeToString(content),
	}
}
