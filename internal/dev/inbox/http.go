package inbox

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed page.html style.css
var files embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{"text": highlight}).ParseFS(files, "page.html"))

// maxSMS bounds the body of a request to the gateway.
const maxSMS = 16 << 10

// Handler serves the page (/), the same for scripts (/inbox.json), both with
// an optional ?phone= or ?to=, and the gateway (POST /sms, GET /sms/{id}).
func (b *Box) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", b.page)
	mux.HandleFunc("GET /inbox.json", b.json)
	mux.HandleFunc("POST /sms", b.sms)
	mux.HandleFunc("GET /sms/{id}", b.state)
	mux.Handle("GET /style.css", http.FileServerFS(files))
	return mux
}

// sms takes {"to":"+34…","text":"…","id":"…"} and answers 202 with the id. The
// same id again is the same message: a gateway client may retry.
func (b *Box) sms(w http.ResponseWriter, r *http.Request) {
	if !b.admit(w, r) {
		return
	}
	var m Message
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSMS)).Decode(&m); err != nil {
		http.Error(w, "the body is no JSON message", http.StatusBadRequest)
		return
	}
	if !strings.HasPrefix(m.To, "+") || m.Text == "" {
		http.Error(w, "to (an E.164 number) and text are needed", http.StatusUnprocessableEntity)
		return
	}
	m = Message{ID: m.ID, Kind: "sms", To: m.To, Text: m.Text, At: time.Now()}
	if m.ID == "" {
		m.ID = rand.Text()
	}
	if !b.has(m.ID) {
		b.add(m)
	}
	answer(w, http.StatusAccepted, map[string]string{"id": m.ID})
}

// state tells what became of a message: here each arrives at once.
func (b *Box) state(w http.ResponseWriter, r *http.Request) {
	switch {
	case !b.admit(w, r):
	case !b.has(r.PathValue("id")):
		http.Error(w, "there is no such message", http.StatusNotFound)
	default:
		answer(w, http.StatusOK, map[string]string{"state": "delivered"})
	}
}

func (b *Box) admit(w http.ResponseWriter, r *http.Request) bool {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if bearer && subtle.ConstantTimeCompare([]byte(token), []byte(b.token)) == 1 {
		return true
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	http.Error(w, "the bearer token is missing or wrong", http.StatusUnauthorized)
	return false
}

func (b *Box) has(id string) bool {
	for _, m := range b.Find("") {
		if m.ID == id {
			return true
		}
	}
	return false
}

func (b *Box) json(w http.ResponseWriter, r *http.Request) {
	messages := b.Find(recipient(r))
	if messages == nil {
		messages = []Message{}
	}
	answer(w, http.StatusOK, messages)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // strings and times; the reader is gone if it fails
}

func recipient(r *http.Request) string {
	if phone := r.FormValue("phone"); phone != "" {
		return phone
	}
	return r.FormValue("to")
}

type view struct {
	Phone    string
	Watching bool
	SMS      []Message
	Mail     []Message
}

func (b *Box) page(w http.ResponseWriter, r *http.Request) {
	v := view{Phone: recipient(r), Watching: r.FormValue("watch") != "0"}
	for _, m := range b.Find(v.Phone) {
		if m.Kind == "sms" {
			v.SMS = append(v.SMS, m)
		} else {
			v.Mail = append(v.Mail, m)
		}
	}
	var text bytes.Buffer
	if err := page.Execute(&text, v); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	_, _ = text.WriteTo(w) // the reader is gone if it fails
}

// highlight sets the code apart from the rest of the text, for the eye and for
// a double click.
func highlight(m Message) template.HTML {
	found := m.Code()
	text := template.HTMLEscapeString(m.Text)
	if found == "" {
		return template.HTML(text) //nolint:gosec // escaped two lines above
	}
	return template.HTML(strings.Replace(text, found, "<strong>"+found+"</strong>", 1)) //nolint:gosec // escaped above; a code is digits and a blank
}
