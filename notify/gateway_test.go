package notify_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rubrica-firma/rubrica/internal/cputest"
	"github.com/rubrica-firma/rubrica/internal/dev/inbox"
	"github.com/rubrica-firma/rubrica/notify"
)

const token = "the operator's token"

// phones is an operator's gateway and what arrived behind it.
func phones(t *testing.T) (*inbox.Box, *notify.Gateway) {
	t.Helper()
	box := inbox.New(token)
	return box, gateway(t, box.Handler())
}

func gateway(t *testing.T, handler http.Handler) *notify.Gateway {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &notify.Gateway{URL: server.URL + "/sms", Token: []byte(token), Timeout: 5 * time.Second, Client: http.DefaultClient}
}

func TestGateway(t *testing.T) {
	t.Parallel()
	box, g := phones(t)
	message := notify.Message{ID: "1", To: "+34600000421", Text: "Código 1234 5678\n@firma.example.es #12345678"}
	for range 2 { // the same id is the same message
		if err := g.Send(t.Context(), message); err != nil {
			t.Fatalf("Send: got %v, want it accepted", err)
		}
	}
	want := []inbox.Message{{ID: "1", Kind: "sms", To: message.To, Text: message.Text}}
	if diff := cmp.Diff(want, box.Find(""), cmpopts.IgnoreFields(inbox.Message{}, "At")); diff != "" {
		t.Errorf("messages differ (-want +got):\n%s", diff)
	}

	g.Token = []byte("another token")
	if err := g.Send(t.Context(), notify.Message{ID: "2", To: message.To, Text: "x"}); !errors.Is(err, notify.ErrNotAccepted) {
		t.Errorf("Send with another token: got %v, want ErrNotAccepted", err)
	}
	if got := len(box.Find("")); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
}

func TestGatewayRefuses(t *testing.T) {
	t.Parallel()
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	for name, handler := range map[string]http.HandlerFunc{
		"200, which is not a promise": answer(http.StatusOK),
		"400":                         answer(http.StatusBadRequest),
		"500":                         answer(http.StatusInternalServerError),
		"503":                         answer(http.StatusServiceUnavailable),
		"a connection that breaks":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := gateway(t, handler).Send(t.Context(), notify.Message{To: "+34600000421", Text: "x"}); !errors.Is(err, notify.ErrNotAccepted) {
				t.Errorf("Send: got %v, want ErrNotAccepted", err)
			}
		})
	}
}

// TestGatewaySilent meets gateways that hold a citizen up.
func TestGatewaySilent(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(w http.ResponseWriter){
		"before the answer": func(http.ResponseWriter) {},
		"within the answer": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusAccepted)
			_ = http.NewResponseController(w).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			g := gateway(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				begin(w)
				<-release
			}))
			defer close(release) // the server waits for its handlers
			g.Timeout = 100 * time.Millisecond
			awake := cputest.Awake(t)
			err := g.Send(t.Context(), notify.Message{To: "+34600000421", Text: "x"})
			if !errors.Is(err, notify.ErrNotAccepted) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Send: got %v, want ErrNotAccepted after the deadline", err)
			}
			if took := awake(); took > 3*time.Second {
				t.Errorf("Send took %v, want about %v", took, g.Timeout)
			}
		})
	}
}

// TestGatewayRedirects demands that token and code go to no other address,
// though it be on the same host, where Go's client would take both along.
func TestGatewayRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			elsewhere := make(chan struct{}, 8)
			other := gateway(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				elsewhere <- struct{}{}
				w.WriteHeader(http.StatusAccepted)
			}))
			g := gateway(t, http.RedirectHandler(other.URL, status))
			if err := g.Send(t.Context(), notify.Message{To: "+34600000421", Text: "x"}); !errors.Is(err, notify.ErrNotAccepted) {
				t.Errorf("Send: got %v, want ErrNotAccepted", err)
			}
			if got := len(elsewhere); got != 0 {
				t.Errorf("got %d calls of the other address, want none", got)
			}
		})
	}
}
