package inbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rubrica-firma/rubrica/internal/dev/inbox"
)

const token = "the token"

func send(t *testing.T, server *httptest.Server, bearer, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/sms", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", bearer)
	return do(t, request)
}

func do(t *testing.T, request *http.Request) (status int, body string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func list(t *testing.T, server *httptest.Server, query string) []inbox.Message {
	t.Helper()
	response, err := http.Get(server.URL + "/inbox.json" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var messages []inbox.Message
	if err := json.NewDecoder(response.Body).Decode(&messages); err != nil {
		t.Fatal(err)
	}
	return messages
}

func TestGateway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bearer, body string
		want         int
	}{
		"good":         {"Bearer " + token, `{"to":"+34600000421","text":"Código 1234 5678"}`, http.StatusAccepted},
		"no token":     {"", `{"to":"+34600000421","text":"x"}`, http.StatusUnauthorized},
		"other token":  {"Bearer other", `{"to":"+34600000421","text":"x"}`, http.StatusUnauthorized},
		"no JSON":      {"Bearer " + token, `to=+34600000421`, http.StatusBadRequest},
		"too long":     {"Bearer " + token, `{"to":"+34600000421","text":"` + strings.Repeat("x", 20<<10) + `"}`, http.StatusBadRequest},
		"no text":      {"Bearer " + token, `{"to":"+34600000421"}`, http.StatusUnprocessableEntity},
		"local number": {"Bearer " + token, `{"to":"600000421","text":"x"}`, http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(inbox.New(token).Handler())
			defer server.Close()
			got, _ := send(t, server, test.bearer, test.body)
			if got != test.want {
				t.Errorf("got status %d, want %d", got, test.want)
			}
			if arrived := len(list(t, server, "")) == 1; arrived != (test.want == http.StatusAccepted) {
				t.Errorf("got arrived = %t for status %d", arrived, got)
			}
		})
	}
}

// The gateway tells whoever may send what became of a message.
func TestGatewayTellsOfDeliveries(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(inbox.New(token).Handler())
	defer server.Close()
	if status, answer := send(t, server, "Bearer "+token, `{"id":"1","to":"+34600000421","text":"x"}`); status != http.StatusAccepted {
		t.Fatalf("got %s, want it accepted", answer)
	}
	for name, test := range map[string]struct {
		bearer, id string
		want       int
	}{
		"arrived":     {"Bearer " + token, "1", http.StatusOK},
		"unknown":     {"Bearer " + token, "2", http.StatusNotFound},
		"other token": {"Bearer other", "1", http.StatusUnauthorized},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/sms/"+test.id, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", test.bearer)
		got, body := do(t, request)
		if got != test.want || (got == http.StatusOK) != strings.Contains(body, `"state":"delivered"`) {
			t.Errorf("%s: got status %d and %q, want %d", name, got, body, test.want)
		}
	}
}

func TestInbox(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(inbox.New(token).Handler())
	defer server.Close()
	for _, body := range []string{
		`{"id":"1","to":"+34600000421","text":"Ref. K7QF. Código 1234 5678. <b>No lo comparta</b>"}`,
		`{"id":"1","to":"+34600000421","text":"a retry of the same"}`,
		`{"id":"2","to":"+34600000422","text":"for somebody else"}`,
		`{"id":"3","to":"+34600000421","text":"the newest"}`,
	} {
		if status, answer := send(t, server, "Bearer "+token, body); status != http.StatusAccepted {
			t.Fatalf("got %s, want it accepted", answer)
		}
	}
	want := []inbox.Message{
		{ID: "3", Kind: "sms", To: "+34600000421", Text: "the newest"},
		{ID: "1", Kind: "sms", To: "+34600000421", Text: "Ref. K7QF. Código 1234 5678. <b>No lo comparta</b>"},
	}
	for _, query := range []string{"?phone=600000421", "?phone=" + url.QueryEscape("600 000 421"), "?phone=%2B34600000421", "?phone=+34600000421"} {
		got := list(t, server, query)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(inbox.Message{}, "At")); diff != "" {
			t.Errorf("messages with %s differ (-want +got):\n%s", query, diff)
		}
	}

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/?phone=600000421", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	_, page := do(t, request)
	for _, wanted := range []string{`<p class="code">1234 5678</p>`, "<strong>1234 5678</strong>", "&lt;b&gt;No lo comparta", `http-equiv="refresh"`} {
		if !strings.Contains(page, wanted) {
			t.Errorf("got a page without %q:\n%s", wanted, page)
		}
	}
	if strings.Contains(page, "for somebody else") {
		t.Error("got another phone's message on the page")
	}
}

func TestBound(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(inbox.New(token).Handler())
	defer server.Close()
	for i := range 510 {
		send(t, server, "Bearer "+token, fmt.Sprintf(`{"id":"%d","to":"+34600000421","text":"x"}`, i))
	}
	got := list(t, server, "")
	if len(got) != 500 || got[0].ID != "509" {
		t.Errorf("got %d messages, the newest %s; want 500, the newest 509", len(got), got[0].ID)
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	box := inbox.New(token)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer box.ServeSMTP(t.Context(), l)()
	for name, test := range map[string]struct{ mail, subject, text string }{
		"plain": {
			"Subject: =?utf-8?q?Activaci=C3=B3n?=\r\n\r\nHola\r\n",
			"Activación", "Hola",
		},
		"quoted-printable": {
			"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nC=C3=B3digo\r\n",
			"x", "Código",
		},
		"alternatives": {
			"Subject: x\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n" +
				"--a\r\nContent-Type: text/html\r\n\r\n<p>no</p>\r\n--a\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nc8Ot\r\n--a--\r\n--m--\r\n",
			"x", "sí",
		},
	} {
		to := strings.ReplaceAll(name, " ", "") + "@example.es"
		if err := smtp.SendMail(l.Addr().String(), nil, "rubrica@example.es", []string{to}, []byte(test.mail)); err != nil {
			t.Fatalf("%s: sending: %v", name, err)
		}
		want := []inbox.Message{{Kind: "mail", To: to, From: "rubrica@example.es", Subject: test.subject, Text: test.text}}
		if diff := cmp.Diff(want, box.Find(to), cmpopts.IgnoreFields(inbox.Message{}, "At", "ID")); diff != "" {
			t.Errorf("%s: mail differs (-want +got):\n%s", name, diff)
		}
	}
}
