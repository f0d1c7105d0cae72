package requests_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

func TestSubmit(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	got := h.submit(pdf(t), text(signer.CAdESDetached))
	want := signer.Request{
		ID: got.ID, Application: h.client.Application, Identifier: identifier, Title: "Solicitud de ayuda", Locale: "es",
		ReturnURL: returnURL, State: signer.Pending, CreatedAt: got.CreatedAt, ExpiresAt: got.CreatedAt.Add(time.Hour),
		Documents: []signer.Document{
			{Ordinal: 1, Name: "Solicitud.PDF", MediaType: "application/pdf", Format: signer.PAdES, Size: int64(len(pdf(t).Content)), Pages: 1, Level: cades.BB},
			{Ordinal: 2, Name: "acta.txt", MediaType: "text/plain; charset=utf-8", Format: signer.CAdESDetached, Size: 18, Level: cades.BB, Attributes: signer.Attributes{MimeType: "text/plain; charset=utf-8"}},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(signer.Document{}, "SHA256", "Layout", "Options"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	for i, want := range [][]byte{pdf(t).Content, text(signer.CAdESDetached).Content} {
		original, err := h.Original(t.Context(), got.ID, got.Documents[i])
		if err != nil {
			t.Fatalf("document %d: %v", i+1, err)
		}
		if content := whole(t, original); !bytes.Equal(content, want) {
			t.Errorf("document %d: got %d bytes, want it as it came", i+1, len(content))
		}
	}
}

func TestSubmitRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	upload := func(change func(*requests.Upload)) func(*requests.Submission) {
		return func(s *requests.Submission) { change(&s.Documents[1]) }
	}
	name := func(name string) func(*requests.Submission) {
		return upload(func(u *requests.Upload) { u.Name = name })
	}
	mediaType := func(kind string) func(*requests.Submission) {
		return upload(func(u *requests.Upload) { u.MediaType = kind })
	}
	for _, tt := range []struct {
		name   string
		change func(*requests.Submission)
		code   policies.Code
		params map[string]string
	}{
		{"no key", func(s *requests.Submission) { s.IdempotencyKey = "" }, policies.IdempotencyKeyMissing, nil},
		{"long key", func(s *requests.Submission) { s.IdempotencyKey = strings.Repeat("k", 256) }, policies.IdempotencyKeyMissing, nil},
		{"no return address", func(s *requests.Submission) { s.ReturnURL = "" }, policies.ReturnAddressUnknown, nil},
		{"another return address", func(s *requests.Submission) { s.ReturnURL += "&x" }, policies.ReturnAddressUnknown, nil},
		{"no title", func(s *requests.Submission) { s.Title = " " }, policies.RequestMalformed, map[string]string{"field": "title"}},
		{"long title", func(s *requests.Submission) { s.Title = strings.Repeat("ñ", 201) }, policies.RequestMalformed, map[string]string{"field": "title"}},
		{"title of two lines", func(s *requests.Submission) { s.Title = "a\u2028b" }, policies.RequestMalformed, map[string]string{"field": "title"}},
		{"title that turns round", func(s *requests.Submission) { s.Title = "a\u202eb" }, policies.RequestMalformed, map[string]string{"field": "title"}},
		{"title beyond UTF-8", func(s *requests.Submission) { s.Title = "a\xff" }, policies.RequestMalformed, map[string]string{"field": "title"}},
		{"no documents", func(s *requests.Submission) { s.Documents = nil }, policies.RequestMalformed, map[string]string{"field": "documents"}},
		{"four documents", func(s *requests.Submission) { s.Documents = append(s.Documents, s.Documents...) }, policies.RequestTooManyDocs, map[string]string{"limit": "3"}},
		{"no name", name(""), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"long name", name(strings.Repeat("n", 201)), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"path", name("../../etc/passwd"), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"path of Windows", name(`C:\acta.txt`), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"directory", name(".."), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"name with NUL", name("acta\x00.txt"), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"name with a header", name("acta\r\nX: y"), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"name with a C1 control", name("acta\u0085"), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"name whose end is disguised", name("acta\u202efdp.exe"), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"name with an isolate", name("acta\u2066"), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"name with a mark", name("acta\u200f"), policies.RequestMalformed, map[string]string{"field": "name", "document": "2"}},
		{"another format than its own", func(s *requests.Submission) { s.Client.Formats = []signer.Format{signer.PAdES} }, policies.FormatNotAllowed, map[string]string{"format": "cades-detached"}},
		{"another level than its own", func(s *requests.Submission) { s.Client.Levels = []cades.Level{cades.BT} }, policies.LevelNotAllowed, map[string]string{"level": "B-B"}},
		{"no media type", mediaType(""), policies.RequestMalformed, map[string]string{"field": "media_type", "document": "2"}},
		{"half a media type", mediaType("text"), policies.RequestMalformed, map[string]string{"field": "media_type", "document": "2"}},
		{"NUL in the media type", mediaType("text/plain\x00"), policies.RequestMalformed, map[string]string{"field": "media_type", "document": "2"}},
		{"header in the media type", mediaType("text/plain\r\nX: y"), policies.RequestMalformed, map[string]string{"field": "media_type", "document": "2"}},
		{"long media type", mediaType("text/" + strings.Repeat("x", 100)), policies.RequestMalformed, map[string]string{"field": "media_type", "document": "2"}},
		{"unknown format", upload(func(u *requests.Upload) { u.Format = "xades" }), policies.RequestMalformed, map[string]string{"field": "format", "document": "2"}},
		{"too many details", func(s *requests.Submission) { s.Particulars = make([]signer.Particular, 11) }, policies.RequestMalformed, map[string]string{"field": "details"}},
		{"a detail of two lines", func(s *requests.Submission) {
			s.Particulars = []signer.Particular{{Label: "Expediente", Value: "a\nb"}}
		}, policies.RequestMalformed, map[string]string{"field": "details/0"}},
		{"a detail without a label", func(s *requests.Submission) { s.Particulars = []signer.Particular{{Value: "1"}} }, policies.RequestMalformed, map[string]string{"field": "details/0"}},
		{"it expires at once", func(s *requests.Submission) { s.ExpiresAt = h.clock.Now().Add(time.Minute) }, policies.RequestMalformed, map[string]string{"field": "expires_at"}},
		{"it expires next year", func(s *requests.Submission) { s.ExpiresAt = h.clock.Now().AddDate(1, 0, 0) }, policies.RequestMalformed, map[string]string{"field": "expires_at"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := h.submission(text(signer.CAdESDetached), text(signer.CAdESAttached))
			tt.change(&s)
			_, err := h.Submit(t.Context(), s)
			wantRefusal(t, err, tt.code)
			var stored int
			if err := h.owner.QueryRow(t.Context(), `SELECT count(*) FROM requests`).Scan(&stored); err != nil || stored > 0 {
				t.Errorf("got %d requests stored, %v, want none", stored, err)
			}
			if refusal, ok := errors.AsType[*policies.Refusal](err); ok {
				for name, want := range tt.params {
					if got := refusal.Params[name]; got != want {
						t.Errorf("parameter %s: got %q, want %q", name, got, want)
					}
				}
			}
		})
	}
}

// What cannot be signed does not spoil the others; alone it is refused.
func TestSubmitRejectsOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	whole := pdf(t).Content
	for code, bad := range map[policies.Code]requests.Upload{
		policies.DocumentEmpty:    {Name: "bad.bin", MediaType: "text/plain", Format: signer.CAdESDetached},
		policies.DocumentTooLarge: {Name: "bad.bin", MediaType: "text/plain", Format: signer.CAdESDetached, Content: make([]byte, 1<<20+1)},
		policies.DocumentNotPDF:   {Name: "bad.bin", MediaType: "application/pdf", Format: signer.PAdES, Content: []byte("hola")},
		policies.DocumentDamaged:  {Name: "bad.bin", MediaType: "application/pdf", Format: signer.PAdES, Content: whole[:len(whole)/2]},
		policies.UploadUnknown:    {Name: "bad.bin", MediaType: "text/plain", Format: signer.CAdESDetached, ID: "nobody"},
	} {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			s := h.submission(text(signer.CAdESDetached), bad, pdf(t))
			s.IdempotencyKey = string(code)
			for range 2 { // the repetition tells the same
				r, err := h.Submit(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Documents) != 2 || r.Documents[1].Ordinal != 2 || r.Documents[1].Format != signer.PAdES {
					t.Errorf("got %d documents, want the two that are good", len(r.Documents))
				}
				if len(r.Rejected) != 1 || r.Rejected[0].Position != 2 || r.Rejected[0].Name != "bad.bin" || r.Rejected[0].Code != code {
					t.Errorf("got %v rejected, want the second for %s", r.Rejected, code)
				}
			}
			alone := h.submission(bad)
			alone.IdempotencyKey = string(code) + " alone"
			_, err := h.Submit(t.Context(), alone)
			wantRefusal(t, err, code)
			if got := h.count(`requests WHERE idempotency_key LIKE '% alone'`); got != 0 {
				t.Errorf("got %d requests stored, want none", got)
			}
		})
	}
}

// The application says until when, and what the citizen reads.
func TestSubmitParticulars(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.submission(text(signer.CAdESDetached))
	s.ExpiresAt = h.clock.Now().Add(2 * time.Hour)
	s.Particulars = []signer.Particular{{Label: "Expediente", Value: "2026/1234"}}
	r, err := h.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Particulars, r.Particulars); diff != "" || !r.ExpiresAt.Equal(s.ExpiresAt) {
		t.Errorf("got %s until %s, want it as asked\n%s", r.ID, r.ExpiresAt, diff)
	}
	h.clock.mu.Lock()
	h.clock.now = h.clock.now.Add(3 * time.Hour)
	h.clock.mu.Unlock()
	if again, err := h.Submit(t.Context(), s); err != nil || again.ID != r.ID {
		t.Errorf("a late repetition: got %v, %v, want the same request", again.ID, err)
	}
}

func TestSubmitAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.submission(pdf(t))
	made := make([]string, 10)
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() {
			r, err := h.Submit(t.Context(), first)
			if err != nil || r.State != signer.Pending {
				t.Errorf("Submit %d: got %s, %v, want it pending", i, r.State, err)
			}
			made[i] = r.ID
		})
	}
	all.Wait()
	for i, id := range made {
		if id != made[0] || id == "" {
			t.Errorf("Submit %d: got request %q, want %q as of the first", i, id, made[0])
		}
	}
	var stored, logged int
	err := h.owner.QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM requests), (SELECT count(*) FROM log_entries WHERE type = 'sign.requested')`).Scan(&stored, &logged)
	if err != nil || stored != 1 || logged != 1 {
		t.Errorf("got %d requests, %d log entries, %v, want one of each", stored, logged, err)
	}

	other := first
	other.BodyHash = bytes.Repeat([]byte{1}, 32)
	_, err = h.Submit(t.Context(), other)
	wantRefusal(t, err, policies.IdempotencyKeyReused)
	other.IdempotencyKey = "another key"
	if r, err := h.Submit(t.Context(), other); err != nil || r.ID == made[0] {
		t.Errorf("with another key: got request %q, %v, want a new one", r.ID, err)
	}
}

// TestSubmitAfterDeath repeats a request that was stored, but not opened
// because a process died.
func TestSubmitAfterDeath(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	made := h.submit(text(signer.CAdESDetached))
	h.exec(`UPDATE requests SET state = 'received' WHERE id = @id`, pgx.NamedArgs{"id": made.ID})
	if again := h.submit(text(signer.CAdESDetached)); again.ID != made.ID || again.State != signer.Pending {
		t.Errorf("got request %s %s, want %s pending", again.ID, again.State, made.ID)
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	const certificate, registration, person = `UPDATE certificates SET `, `UPDATE registrations SET `, `UPDATE citizens SET `
	for _, tt := range []struct {
		name string
		sql  []string // how the citizen differs from one who can sign
		want []policies.Code
	}{
		{"can sign", nil, nil},
		{"can sign whatever the registration's age", []string{registration + `assured_at = assured_at - interval '6 years'`}, nil},
		{"registered only", []string{person + `status = 'registered'`, `DELETE FROM certificates`}, []policies.Code{policies.CitizenInactive, policies.CredentialMissing}},
		{"blocked", []string{person + `status = 'blocked'`}, []policies.Code{policies.CitizenBlocked}},
		{"deregistered", []string{person + `status = 'deregistered'`}, []policies.Code{policies.CitizenDeregistered}},
		{"no certificate", []string{`DELETE FROM certificates`}, []policies.Code{policies.CredentialMissing}},
		{
			"certificate on its way",
			[]string{certificate + `state = 'intent', der = NULL`},
			[]policies.Code{policies.CredentialMissing},
		},
		{"revoked", []string{certificate + `revoked_at = now(), reason = 0`}, []policies.Code{policies.CertificateRevoked}},
		{"suspended", []string{certificate + `revoked_at = now(), reason = 6`}, []policies.Code{policies.CertificateSuspended}},
		{"expired", []string{certificate + `not_before = now() - interval '2 years', not_after = now() - interval '1 year'`}, []policies.Code{policies.CertificateExpired}},
		{
			"registration too old for a certificate",
			[]string{`DELETE FROM certificates`, registration + `assured_at = assured_at - interval '6 years'`},
			[]policies.Code{policies.RegistrationTooOld, policies.CredentialMissing},
		},
		{
			"registered on line",
			[]string{`DELETE FROM certificates`, registration + `mode = 'certificate'`},
			[]policies.Code{policies.RegistrationTelematic, policies.CredentialMissing},
		},
		{
			"basic level",
			[]string{`DELETE FROM certificates`, registration + `level = 'basic'`},
			[]policies.Code{policies.RegistrationLevel, policies.CredentialMissing},
		},
		{
			"DNI out of date",
			[]string{`DELETE FROM certificates`, person + `document_until = '2020-01-01'`},
			[]policies.Code{policies.IdentityDocumentExpiry, policies.CredentialMissing},
		},
		{"unknown", []string{person + `identifier = '00000000T'`}, []policies.Code{policies.CitizenUnknown}},
		{"unknown, but it no longer matters", []string{
			person + `identifier = '00000000T'`, `UPDATE requests SET state = 'refused', closed_at = now()`,
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.citizen()
			made := h.submit(text(signer.CAdESDetached))
			for _, sql := range tt.sql {
				h.exec(sql, nil)
			}
			refusals, err := h.Preflight(t.Context(), h.read(made.ID))
			if err != nil {
				t.Fatalf("Preflight: %v", err)
			}
			var got []policies.Code
			for _, r := range refusals {
				got = append(got, r.Code)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOutlook asks before there is any request.
func TestOutlook(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.citizen()
	got, err := h.Outlook(t.Context(), identifier)
	if err != nil {
		t.Fatalf("Outlook: %v", err)
	}
	ends := h.signer.Certificate.NotAfter
	if len(got.Sign) != 0 || !got.CertificateUntil.Equal(ends) || got.RegistrationUntil.IsZero() {
		t.Errorf("got %+v, want a citizen who can sign until %v", got, ends)
	}
	if got, err := h.Outlook(t.Context(), "00000000T"); err != nil || len(got.Certify) != 1 || got.Certify[0].Code != policies.CitizenUnknown {
		t.Errorf("a stranger: got %+v, %v, want citizen_unknown", got, err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if got, err := h.Outlook(over, identifier); err == nil {
		t.Errorf("without a database: got %+v, want an error", got)
	}
}

func TestReturnURL(t *testing.T) {
	t.Parallel()
	got, err := requests.ReturnURL(signer.Request{ID: "R&1", ReturnURL: returnURL, State: signer.Signed})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"t": {"7"}, "request": {"R&1"}, "state": {"signed"}}
	if diff := cmp.Diff(want, u.Query()); diff != "" || !strings.HasPrefix(got, "https://sede.example/vuelta?") {
		t.Errorf("got %q (-want +got):\n%s", got, diff)
	}
}
