package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/cputest"
)

// timeAuthority is an authority outside: the environment's own, by another way,
// which a test may block.
type timeAuthority struct {
	*httptest.Server

	// fault answers in its place where there is one.
	fault atomic.Pointer[http.HandlerFunc]
}

func newTimeAuthority(own string) *timeAuthority {
	a := &timeAuthority{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := a.fault.Load(); fault != nil {
			(*fault)(w, r)
			return
		}
		request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, own, r.Body)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		request.Header = r.Header.Clone()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = response.Body.Close() }()
		w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body) // who asked may have been killed
	}))
	return a
}

// fails has the authority misbehave until the test ends or mend is called.
func (a *timeAuthority) fails(t *testing.T, fault http.HandlerFunc) (mend func()) {
	t.Helper()
	mend = func() { a.fault.Store(nil) }
	a.fault.Store(&fault)
	t.Cleanup(mend)
	return mend
}

// lacking demands a signature at B-B that says what it lacks, in the request and
// with the download.
func lacking(t *testing.T, r *client.SignatureRequest, ordinal int) []byte {
	t.Helper()
	signed, document := collect(t, r, ordinal)
	if *document.LevelReached != client.LevelB || document.LevelMissing == nil || document.LevelMissing.Code != "time_stamp_unavailable" ||
		!strings.Contains(document.LevelMissing.Title, "sello de tiempo") {
		t.Errorf("document %d: got %s lacking %v, want B-B lacking a time-stamp", ordinal, *document.LevelReached, document.LevelMissing)
	}
	return signed
}

// lifted has the job of a request run now, and waits for what comes of it.
func lifted(t *testing.T, r *client.SignatureRequest, ordinal int) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		_, document := collect(t, r, ordinal)
		if *document.LevelReached == document.Level && document.LevelMissing == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("document %d: got %s lacking %v for half a minute", ordinal, *document.LevelReached, document.LevelMissing)
		}
	}
}

func stamped(t *testing.T) []client.NewDocument {
	t.Helper()
	pdf, text := sample(t, "cairo.pdf"), note()
	pdf.Level, text.Level = new(client.LevelLTA), new(client.LevelT)
	return []client.NewDocument{pdf, text}
}

const runNow = `UPDATE river_job SET state = 'available', scheduled_at = now() WHERE kind = 'augmentation' AND args->>'request_id' = $1`

// TestTimeStampsFail takes the authority away (F7): the signature is there at
// once, at B-B, and says so, also to its citizen; a job lifts it later. A process
// that is killed over it changes nothing in that.
func TestTimeStampsFail(t *testing.T) {
	c := certified(t)
	mend := shared.authority.fails(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	refused := ask(t, c, stamped(t)...)
	b, digits := confirming(t, c, refused)
	awake := cputest.Awake(t)
	submit(t, b, form{"code": digits})
	at(t, b, "/hecho")
	says(t, b, http.StatusOK, "Falta el sello de tiempo")
	if took := awake(); took > 3*time.Second {
		t.Errorf("the citizen waited %v", took)
	}
	before := lacking(t, refused, 1)
	lacking(t, refused, 2)

	// Another one is cut off in the middle of the first try.
	asked := make(chan struct{}, 8)
	mend()
	mend = shared.authority.fails(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	cut := ask(t, c, stamped(t)...)
	b, digits = confirming(t, c, cut)
	pid, answered := pidOf(t, "api"), make(chan struct{})
	go func() {
		defer close(answered)
		_ = b.Submit(t.Context(), form{"code": digits}) // nobody answers
	}()
	<-asked
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-answered
	shared.recovered(t, "api", pid, time.Now())
	wantState(t, cut.ID, "signed")
	lacking(t, cut, 1)
	lacking(t, cut, 2)
	checkInvariants(t)

	mend()
	for _, r := range []*client.SignatureRequest{refused, cut} {
		shared.exec(t, runNow, r.ID)
	}
	for _, r := range []*client.SignatureRequest{refused, cut} {
		lifted(t, r, 1)
		lifted(t, r, 2)
	}
	after, _ := collect(t, refused, 1)
	if original := *sample(t, "cairo.pdf").Content; !bytes.HasPrefix(after, original) || len(after) <= len(before) {
		t.Errorf("got %d octets after %d, want more behind the same document", len(after), len(before))
	}
	if got := verified(t, after, nil); got.Indication != "TOTAL-PASSED" || got.Level != "B-LTA" {
		t.Errorf("got %+v in the end", got)
	}
}
