package pages_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/internal/thread"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const (
	identifier = "12345678Z"
	present    = "Ventana-vieja-7"
	next       = "Ventana-nueva-8"
	rightCode  = "24681357"
	wrongCode  = "75318642"
	requestID  = "PETICION"
)

// far is the other side of the RPC, and what it writes into the database, for
// one citizen with one request: what the doors see of the signer, and no more.
type far struct {
	pages.Store // what is not asked for panics
	signer.Module
	pages.Register

	mu        sync.Mutex
	refusal   error // of the next identification
	sends     error // of the next code
	signs     func(context.Context) error
	tickets   map[string]*signer.Visitor
	codes     map[string]*signer.SentCode
	password  string
	waits     bool // a change of password waits for a link
	certified bool
	replaces  bool
	// certificate, if there is one, is the citizen's; assured is when the
	// identity was proved.
	certificate *signer.Certificate
	assured     time.Time
	changes     []citizen.CertificateChange
	orderedBy   string // the last code
	hierarchy   ca.Hierarchy
	request     signer.Request
	sad         signer.SAD
}

func (f *far) Identify(_ context.Context, who signer.Identification) (signer.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refusal; err != nil {
		f.refusal = nil
		return signer.Session{}, err
	}
	if who.Identifier != identifier || string(who.Password) != f.password {
		return signer.Session{}, policies.Refuse(policies.CredentialsWrong, "tries", "4")
	}
	ticket, until := signer.NewTicket(), time.Now().Add(10*time.Minute)
	purpose := signer.ForSignature
	if who.RequestID == "" {
		purpose = signer.ForAffairs
	}
	f.tickets[string(ticket.Hash())] = &signer.Visitor{
		Purpose: purpose, RequestID: who.RequestID, ExpiresAt: until, CredentialID: "CRED", Certified: f.certified, Replaces: f.replaces,
		Citizen: signer.Citizen{
			ID: "ANA", Identifier: identifier, GivenName: "Ana", Surnames: "Núñez Pérez", Phone: "+34600000421", Status: signer.Active,
			DocumentUntil: until.AddDate(1, 0, 0),
			Registration:  signer.Registration{Mode: string(policies.ModeOffice), Level: string(policies.LevelAdvanced), AssuredAt: f.assured},
		},
		Credential: &signer.Credential{State: signer.Usable, Certificate: &signer.Certificate{NotBefore: time.Now().Add(-time.Hour), NotAfter: until.AddDate(1, 0, 0)}},
	}
	if f.certificate != nil {
		f.certify(f.tickets[string(ticket.Hash())])
	}
	return signer.Session{Ticket: ticket, ExpiresAt: until, Certified: f.tickets[string(ticket.Hash())].Certified}, nil
}

// certify has a ticket show the certificate as it is now.
func (f *far) certify(v *signer.Visitor) {
	v.Credential = &signer.Credential{State: signer.Usable, Certificate: f.certificate}
	v.Certified = v.Credential.Certified(time.Now())
}

func (f *far) IssueCredential(_ context.Context, answer signer.Answer) (signer.Session, error) {
	if err := f.spend(answer, signer.ForCertificate); err != nil {
		return signer.Session{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.tickets[string(answer.Ticket.Hash())]
	f.certificate = &signer.Certificate{Serial: "0b", NotBefore: old.SpentAt.Truncate(time.Second), NotAfter: time.Now().AddDate(4, 0, 0)}
	f.certify(old)
	ticket, next := signer.NewTicket(), *old
	next.Spent, next.SpentAt = false, time.Time{}
	f.tickets[string(ticket.Hash())] = &next
	return signer.Session{Ticket: ticket, ExpiresAt: next.ExpiresAt, Certified: true}, nil
}

func (f *far) ChangeCertificate(_ context.Context, ch citizen.CertificateChange) error {
	if err := f.spend(ch.Answer, ch.Purpose); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes = append(f.changes, ch)
	now := *f.certificate
	switch ch.Purpose { //nolint:exhaustive // of a change
	case signer.ForSuspension:
		now.RevokedAt, now.Reason = time.Now(), citizen.CertificateHold
	case signer.ForRelease:
		now.RevokedAt, now.Reason = time.Time{}, 0
	}
	f.certificate = &now
	v := f.tickets[string(ch.Answer.Ticket.Hash())]
	f.certify(v)
	if ch.Purpose == signer.ForRevocation {
		f.certificate, v.Credential, v.Certified, f.password = nil, nil, false, ""
	}
	return nil
}

func (f *far) Visitor(_ context.Context, hash []byte, _ time.Time) (signer.Visitor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v := f.tickets[string(hash)]; v != nil {
		return *v, nil
	}
	return signer.Visitor{}, policies.Refuse(policies.SessionExpired)
}

func (f *far) SendCode(_ context.Context, order signer.CodeOrder) (signer.Challenge, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.sends; err != nil {
		f.sends = nil
		return signer.Challenge{}, err
	}
	now := time.Now()
	f.orderedBy = order.ApplicationID
	f.codes[string(order.Ticket.Hash())+string(order.Purpose)] = &signer.SentCode{State: signer.CodeSent, SentAt: now, ExpiresAt: now.Add(5 * time.Minute)}
	return signer.Challenge{}, nil
}

func (f *far) Delivery(context.Context, string) (signer.DeliveryState, error) { return "", nil }

func (f *far) Challenge(_ context.Context, hash []byte, purpose signer.Purpose) (*signer.SentCode, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sent := f.codes[string(hash)+string(purpose)]; sent != nil {
		told := *sent
		return &told, nil
	}
	return nil, nil //nolint:nilnil // the contract: nil if there is none
}

// spend is what the signer does with both factors.
func (f *far) spend(answer signer.Answer, purpose signer.Purpose) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	hash := string(answer.Ticket.Hash())
	ticket, sent := f.tickets[hash], f.codes[hash+string(purpose)]
	if ticket == nil || ticket.Spent || sent == nil {
		return policies.Refuse(policies.SessionExpired)
	}
	if answer.Code.Reveal() != rightCode {
		return policies.Refuse(policies.CodeWrong, "tries", "2")
	}
	sent.State = signer.CodeConsumed
	if purpose == signer.ForPassword {
		ticket.Verified = true
	} else {
		ticket.Spent, ticket.SpentAt = true, time.Now()
	}
	return nil
}

func (f *far) Confirm(_ context.Context, answer signer.Answer) error {
	return f.spend(answer, signer.ForPassword)
}

func (f *far) ChangePassword(_ context.Context, t signer.Ticket, p citizen.Password) (bool, error) {
	id, err := citizen.ParseIdentifier(identifier)
	if err != nil {
		return false, err
	}
	name, err := citizen.ParseName("Ana", "Núñez Pérez")
	if err != nil {
		return false, err
	}
	previous, err := citizen.ParsePassword([]byte(f.password))
	if err != nil {
		return false, err
	}
	if err := citizen.CheckPassword(p, citizen.PasswordContext{Name: name, Identifier: id, Previous: previous}); err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	ticket := f.tickets[string(t.Hash())]
	if ticket == nil || ticket.Spent || !ticket.Verified {
		return false, policies.Refuse(policies.SessionExpired)
	}
	ticket.Spent, ticket.SpentAt = true, time.Now()
	ticket.Credential.PasswordAt = ticket.SpentAt
	f.password = string(p.Reveal())
	return f.waits, nil
}

func (f *far) Authorise(_ context.Context, answer signer.Answer) (signer.Authorised, error) {
	err := f.spend(answer, signer.ForSignature)
	return signer.Authorised{SAD: f.sad, ExpiresAt: time.Now().Add(5 * time.Minute)}, err
}

func (f *far) Sign(ctx context.Context, sad signer.SAD) error {
	if sad.Encode() != f.sad.Encode() {
		return policies.Refuse(policies.AuthorisationInvalid)
	}
	if err := f.signs(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.request.State, f.request.ClosedAt = signer.Signed, time.Now()
	return nil
}

func (f *far) Request(_ context.Context, id string) (signer.Request, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id != requestID {
		return signer.Request{}, policies.Refuse(policies.RequestUnknown)
	}
	return f.request, nil
}

func (f *far) Hierarchy(context.Context) (ca.Hierarchy, error) { return f.hierarchy, nil }

// set changes what the signer says next.
func (f *far) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// core lifts no signature: there is none.
type core struct{ pages.Requests }

func (core) AugmentSoon(context.Context, string) {}

// house is the doors on a real server, and a browser before it.
type house struct {
	*testing.T
	*thread.Browser
	far    *far
	apps   *waiting
	url    string
	seen   *bytes.Buffer // all that was sent to the browser
	page   *bytes.Buffer // the last of it
	logged *bytes.Buffer
	words  *catalogue.Catalogue
	drawn  *pages.Pages
}

// Words and templates are read once: they are immutable.
var (
	spoken = sync.OnceValues(catalogue.New)
	parsed = sync.OnceValues(func() (*pages.Pages, error) {
		words, err := spoken()
		if err != nil {
			return nil, err
		}
		return pages.New(pages.Options{Catalogue: words, Development: true, Branding: pages.Branding{Organisation: "Gijón"}})
	})
)

// shared are the words and pages of all tests here.
func shared(t *testing.T) (*catalogue.Catalogue, *pages.Pages) {
	t.Helper()
	words, err := spoken()
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return words, drawn
}

func newHouse(t *testing.T) *house {
	t.Helper()
	words, drawn := shared(t)
	h := &house{T: t, seen: &bytes.Buffer{}, page: &bytes.Buffer{}, logged: &bytes.Buffer{}, words: words, drawn: drawn, far: &far{
		tickets: make(map[string]*signer.Visitor), codes: make(map[string]*signer.SentCode), password: present, certified: true, assured: time.Now(), sad: signer.NewSAD(),
		signs: func(context.Context) error { return nil },
		request: signer.Request{
			ID: requestID, State: signer.Pending, Title: "Solicitud", Identifier: identifier, ReturnURL: "https://sede.example.es/vuelta",
			Application: signer.Application{Name: "Sede", Organisation: "Gijón"}, ExpiresAt: time.Now().Add(time.Hour),
		},
	}}
	h.apps = &waiting{}
	door := pages.NewDoor(pages.DoorConfig{
		Pages: drawn, Store: h.far, Requests: core{}, Module: h.far, Register: h.far, Grants: h.apps, Rules: policies.DefaultRules(),
		CodeInterval: 30 * time.Second, Development: true, Now: time.Now,
	})
	server := httptest.NewUnstartedServer(nil)
	h.url = "http://" + server.Listener.Addr().String()
	h.apps.url = h.url
	site, err := api.New(api.Config{
		PublicURL: h.url, Catalogue: words, ErrorPage: door.Trouble,
		Rooms:  []func(*api.Site){door.Room, pages.AuthoriseRoom{Door: door, Authorisations: h.apps}.Room},
		Limits: api.DefaultLimits(), Logger: slog.New(slog.NewTextHandler(h.logged, nil)), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.page.Reset()
		site.ServeHTTP(&witness{w, io.MultiWriter(h.seen, h.page)}, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	if h.Browser, err = thread.NewBrowser(); err != nil {
		t.Fatal(err)
	}
	return h
}

// witness keeps what pages say and where they lead, cookies left out.
type witness struct {
	http.ResponseWriter
	seen io.Writer
}

func (w *witness) Write(p []byte) (int, error) {
	if _, err := w.seen.Write(p); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

func (w *witness) WriteHeader(status int) {
	_, _ = io.WriteString(w.seen, w.Header().Get("Location")+"\n")
	w.ResponseWriter.WriteHeader(status)
}

func (h *house) open(path string) {
	h.Helper()
	if err := h.Open(h.Context(), h.url+path); err != nil {
		h.Fatal(err)
	}
}

type form map[string]string

func (h *house) submit(fields form) {
	h.Helper()
	if err := h.Submit(h.Context(), fields); err != nil {
		h.Fatal(err)
	}
}

// says checks where the browser is, how it was answered, and what it reads.
func (h *house) says(path string, status int, sentences ...string) {
	h.Helper()
	if h.URL().Path != path || h.Status() != status {
		h.Fatalf("got %d at %s, want %d at %s: %s", h.Status(), h.URL().Path, status, path, h.Text())
	}
	for _, sentence := range sentences {
		if !strings.Contains(h.Text(), sentence) {
			h.Errorf("at %s: got no %q: %s", path, sentence, h.Text())
		}
	}
}
