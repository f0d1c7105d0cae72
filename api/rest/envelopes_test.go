package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/api/rest"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const envelopesPath = "/v1/envelopes"

// AddEnvelope implements requests.EnvelopeStore, as the following.
func (m *memory) AddEnvelope(_ context.Context, n signer.NewEnvelope) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := n.Envelope
	e.State = signer.EnvelopePending
	for i, r := range n.Requests {
		r.Request.State = signer.Received
		e.Signers[i].RequestID = r.Request.ID
		m.requests[r.Request.ID] = r.Request
	}
	m.envelopes[e.ID], m.envelopeKeys[e.ApplicationID+" "+n.IdempotencyKey] = e, n
	return e.ID, nil
}

func (m *memory) EarlierEnvelope(_ context.Context, applicationID, key string, bodyHash []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.envelopeKeys[applicationID+" "+key]
	if ok && !bytes.Equal(n.BodyHash, bodyHash) {
		return "", policies.Refuse(policies.IdempotencyKeyReused)
	}
	return n.Envelope.ID, nil
}

func (m *memory) Envelope(_ context.Context, id string) (signer.Envelope, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.envelopes[id]
	if !ok {
		return e, policies.Refuse(policies.RequestUnknown)
	}
	e.Signers = append([]signer.EnvelopeSigner{}, e.Signers...)
	for i, s := range e.Signers {
		e.Signers[i].State = m.requests[s.RequestID].State
	}
	return e, nil
}

func (m *memory) NextRequest(_ context.Context, id string, s signer.EnvelopeSigner, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.envelopes[id]
	r := m.requests[e.Signers[0].RequestID]
	r.ID, r.Identifier, r.State, r.CreatedAt, r.ClosedAt = s.RequestID, s.Identifier, signer.Received, now, time.Time{}
	m.requests[r.ID], e.Signers[s.Position-1].RequestID = r, r.ID
	return nil
}

func (m *memory) EndEnvelope(_ context.Context, id string, state signer.EnvelopeState, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.envelopes[id]
	if e.State != signer.EnvelopePending {
		return policies.Refuse(policies.RequestState)
	}
	e.State, e.ClosedAt = state, now
	m.envelopes[id] = e
	return nil
}

func (m *memory) Prefix(context.Context, string, int) ([]byte, error) {
	return nil, policies.Refuse(policies.NotFound)
}

func (m *memory) Withdraw(_ context.Context, id string) error {
	m.move(id, signer.Withdrawn)
	return nil
}

// EnvelopeResult is that of the first one who has signed.
func (c core) EnvelopeResult(ctx context.Context, e signer.Envelope, ordinal int) (requests.Result, error) {
	signed := e.Signed()
	if len(signed) == 0 {
		return requests.Result{}, policies.Refuse(policies.RequestState, "state", string(e.State))
	}
	r, err := c.Store.Request(ctx, signed[0].RequestID)
	if err != nil {
		return requests.Result{}, err
	}
	return c.Result(ctx, r, ordinal)
}

// together is an order of two signatures.
func together(change func(map[string]any)) string {
	return order(func(o map[string]any) {
		delete(o, "signer")
		o["order"], o["signers"] = "parallel", []any{map[string]any{"identifier": spaniard}, map[string]any{"identifier": "X1234567L"}}
		if change != nil {
			change(o)
		}
	})
}

func TestEnvelopes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	made := s.send(http.MethodPost, envelopesPath, asJSON, signatureScope, together(nil))
	var e rest.Envelope
	made.decode(t, &e)
	if made.status != http.StatusCreated || len(e.Signers) != 2 || made.header.Get("Location") != s.url+envelopesPath+"/"+e.ID {
		t.Fatalf("got %d %s, want an envelope for two", made.status, made.body)
	}
	where := envelopesPath + "/" + e.ID
	seen := s.get(where)
	asked := headers(s.tokens[signatureScope], "")
	asked["If-None-Match"] = seen.header.Get("ETag")
	if got := s.call(t, http.MethodGet, where, strings.NewReader(""), asked); got.status != http.StatusNotModified {
		t.Errorf("got %d, want 304", got.status)
	}
	wantRefusal(t, s.get(where+"/documents/1"), policies.RequestState)
	s.memory.move(*e.Signers[0].RequestID, signer.Signed)
	if got := s.get(where + "/documents/1"); got.status != http.StatusOK || string(got.body) != "%PDF- signed" {
		t.Errorf("got %d %s, want what one has signed", got.status, got.body)
	}
	ended := s.send(http.MethodDelete, where, "", signatureScope, "")
	if err := json.Unmarshal(ended.body, &e); err != nil || ended.status != http.StatusOK || string(e.State) != string(signer.EnvelopeCancelled) {
		t.Errorf("got %d %s %v, want it cancelled", ended.status, ended.body, err)
	}
	theirs := headers(s.token(t, "other"), "")
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		wantRefusal(t, s.call(t, method, where, strings.NewReader(""), theirs), policies.RequestUnknown)
	}
	wantRefusal(t, s.call(t, http.MethodGet, where+"/documents/1", strings.NewReader(""), theirs), policies.RequestUnknown)
}

// envelopeProblems are how those about several signers come about.
func envelopeProblems(s *scene, rows map[string]map[policies.Code]func() reply) {
	create := map[policies.Code]func() reply{}
	ordering := func(change func(map[string]any)) func() reply {
		return func() reply { return s.send(http.MethodPost, envelopesPath, asJSON, signatureScope, together(change)) }
	}
	// What is wrong with a signature request is wrong with an envelope.
	for code, provoke := range rows["createSignatureRequest"] {
		create[code] = func() reply {
			s.several = true
			defer func() { s.several = false }()
			return provoke()
		}
	}
	create[policies.IdentifierInvalid] = ordering(func(o map[string]any) {
		o["signers"] = []any{map[string]any{"identifier": "x"}, map[string]any{"identifier": spaniard}}
	})
	var e rest.Envelope
	if err := json.Unmarshal(ordering(nil)().body, &e); err != nil {
		s.Fatal(err)
	}
	pending := envelopesPath + "/" + e.ID
	var over rest.Envelope
	if err := json.Unmarshal(ordering(nil)().body, &over); err != nil {
		s.Fatal(err)
	}
	for _, signs := range over.Signers {
		s.memory.move(*signs.RequestID, signer.Signed)
	}
	signed := envelopesPath + "/" + over.ID
	at := func(path string) func() reply { return func() reply { return s.get(path) } }
	deleting := func(path string) func() reply {
		return func() reply { return s.send(http.MethodDelete, path, "", signatureScope, "") }
	}
	rows["createEnvelope"] = create
	rows["getEnvelope"] = map[policies.Code]func() reply{
		policies.RequestMalformed: at(pending + "?wait=61"), policies.RequestUnknown: at(envelopesPath + "/nobody"),
	}
	rows["cancelEnvelope"] = map[policies.Code]func() reply{policies.RequestUnknown: deleting(envelopesPath + "/nobody"), policies.RequestState: deleting(signed)}
	rows["getEnvelopeDocument"] = map[policies.Code]func() reply{
		policies.RequestMalformed: at(signed + "/documents/x"), policies.RequestUnknown: at(envelopesPath + "/nobody/documents/1"),
		policies.RequestState: at(pending + "/documents/1"), policies.NotFound: at(signed + "/documents/9"),
	}
}
