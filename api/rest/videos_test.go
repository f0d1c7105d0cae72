package rest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

const videosPath = "/v1/video-registrations"

// AddVideo implements rest.Videos: a recording comes once.
func (m *memory) AddVideo(_ context.Context, v citizen.Video) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, known := range m.videos {
		if known.Provider == v.Provider && known.Evidence.Recording == v.Evidence.Recording {
			return policies.Refuse(policies.IdempotencyKeyReused)
		}
	}
	if c, ok := m.clients[v.Office]; !ok || c.Scopes[0] != api.ScopeRegistration {
		return policies.Refuse(policies.RequestMalformed, "field", "office")
	}
	m.videos = append(m.videos, v)
	return nil
}

func TestVideoRegistrations(t *testing.T) { //nolint:tparallel // the last part waits for the first
	t.Parallel()
	h := build(t)
	token := h.token(t, "provider")
	form := func(change ...string) string {
		return strings.NewReplacer(change...).Replace(`{"office":"office","citizen":{"identifier":"x1234567l","given_name":"María","surnames":"Pérez Núñez","phone":"612 345 678",` +
			`"email":"Maria@Example.org","document_until":"2031-05-20","locale":"gl"},"recording":{"reference":"rec-1","sha256":"` + strings.Repeat("7f", 32) +
			`","recorded_at":"2026-11-21T10:00:00Z","url":"https://video.example.es/rec-1","checks":{"liveness":"passed"}}}`)
	}
	post := func(t *testing.T, token, body string) reply {
		t.Helper()
		asked := headers(token, "")
		asked["Content-Type"] = "application/json"
		return h.call(t, http.MethodPost, videosPath, strings.NewReader(body), asked)
	}
	t.Run("refused", func(t *testing.T) { //nolint:paralleltest // what comes after waits for all of it
		for name, tt := range map[string]struct {
			body  string
			code  policies.Code
			field string
		}{
			"check letter":     {form("x1234567l", "x1234567m"), policies.IdentifierInvalid, ""},
			"turned name":      {form("María", "Mar\u202eía"), policies.NameInvalid, "given"},
			"300 letters":      {form("Pérez", strings.Repeat("é", 300)), policies.NameInvalid, "surnames"},
			"landline":         {form("612 345 678", "912345678"), policies.PhoneInvalid, ""},
			"two addresses":    {form("Maria@Example.org", "a@b.es, c@d.es"), policies.EmailInvalid, ""},
			"no such day":      {form("2031-05-20", "2031-02-30"), policies.IdentityDocumentExpiry, ""},
			"another office":   {form(`"office":"office"`, `"office":"sede"`), policies.RequestMalformed, "office"},
			"no office":        {form(`"office":"office"`, `"office":""`), policies.RequestMalformed, "office"},
			"no reference":     {form("rec-1\",\"sha", "\",\"sha"), policies.RequestMalformed, "recording/reference"},
			"half a hash":      {form(strings.Repeat("7f", 32), strings.Repeat("7f", 16)), policies.RequestMalformed, "recording/sha256"},
			"capitals":         {form(strings.Repeat("7f", 32), strings.Repeat("7F", 32)), policies.RequestMalformed, "recording/sha256"},
			"a script":         {form("https://video.example.es/rec-1", "javascript:alert(1)"), policies.RequestMalformed, "recording/url"},
			"a plain address":  {form("https://video", "http://video"), policies.RequestMalformed, "recording/url"},
			"a turned finding": {form("passed", "pas\u202esed"), policies.RequestMalformed, "recording/checks"},
			"a level":          {form(`"locale":"gl"`, `"level":"advanced"`), policies.RequestMalformed, "/citizen/level"},
			"too much":         {form("passed", strings.Repeat("p", 20_000)), policies.DocumentTooLarge, ""},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				problem := wantRefusal(t, post(t, token, tt.body), tt.code)
				got := ""
				if problem.Params != nil {
					got = (*problem.Params)["field"]
				}
				if got != tt.field {
					t.Errorf("got field %q, want %q", got, tt.field)
				}
			})
		}
	})
	if r := post(t, h.token(t, "office"), form()); r.status != http.StatusForbidden {
		t.Errorf("an office: got %d, want 403", r.status)
	}
	if r := post(t, "", form()); r.status != http.StatusUnauthorized {
		t.Errorf("nobody: got %d, want 401", r.status)
	}
	if len(h.memory.videos) > 0 {
		t.Fatalf("got %v kept, want none", h.memory.videos)
	}
	if r := post(t, token, form()); r.status != http.StatusAccepted {
		t.Fatalf("got %d, want 202: %s", r.status, r.body)
	}
	want := citizen.Video{
		Provider: "provider", Office: "office", State: citizen.VideoPending,
		Person: citizen.VideoPerson{Identifier: "X1234567L", GivenName: "María", Surnames: "Pérez Núñez", Phone: "+34612345678", Email: "Maria@example.org", DocumentUntil: "2031-05-20", Locale: "gl"},
		Evidence: citizen.VideoEvidence{
			Recording: "rec-1", SHA256: strings.Repeat("7f", 32), RecordedAt: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), URL: "https://video.example.es/rec-1", Checks: map[string]string{"liveness": "passed"},
		},
	}
	got := h.memory.videos[0]
	if got.ID == "" || got.ReceivedAt.IsZero() {
		t.Errorf("got id %q and time %v, want both", got.ID, got.ReceivedAt)
	}
	got.ID, got.ReceivedAt = "", time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantRefusal(t, post(t, token, form()), policies.IdempotencyKeyReused)
}
