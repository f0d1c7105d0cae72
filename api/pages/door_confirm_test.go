package pages_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

const signingPath = "/firma/" + requestID

// confirming is a browser at the last step of a signature. The review, which
// needs the documents, is passed over: the code is on its way.
func confirming(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.confirm()
	return h
}

// confirm brings the browser there.
func (h *house) confirm() {
	h.Helper()
	h.far.certified = false
	h.open(signingPath)
	h.submit(form{"identifier": identifier, "password": present})
	h.far.set(func() {
		for hash, ticket := range h.far.tickets {
			ticket.Certified = true
			h.far.codes[hash+string(signer.ForSignature)] = &signer.SentCode{
				State: signer.CodeSent, SentAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute),
			}
		}
	})
	h.open(signingPath + "/confirmar")
	h.says(signingPath+"/confirmar", http.StatusOK, "Compruebe que el SMS dice")
}

func TestConsent(t *testing.T) {
	t.Parallel()
	h := confirming(t)
	h.submit(form{"code": wrongCode})
	h.says(signingPath+"/confirmar", http.StatusUnprocessableEntity, "Le quedan 2 intentos")
	h.submit(form{"code": rightCode})
	h.says(signingPath+"/hecho", http.StatusOK)
	h.open(signingPath + "/confirmar")
	h.says(signingPath+"/hecho", http.StatusOK)
	for _, secret := range []string{h.far.sad.Encode(), rightCode} {
		if strings.Contains(h.seen.String(), secret) || strings.Contains(h.logged.String(), secret) {
			t.Errorf("got %q in a page, an address or the log, want it nowhere", secret)
		}
	}
}

// TestDelivered: once the operator has reported what became of the message, the
// page says so and looks no more.
func TestDelivered(t *testing.T) {
	t.Parallel()
	h := confirming(t)
	for _, test := range []struct {
		reported signer.DeliveryState
		says     string
		never    string
		looks    bool
	}{
		{"", "Le hemos enviado un SMS", "entregado", true},
		{signer.DeliveryDone, "móvil terminado en 421 entregado", "no entregado", false},
		{signer.DeliveryFailed, "no entregado", "421 entregado", false},
	} {
		h.far.set(func() {
			for _, sent := range h.far.codes {
				sent.Delivery = test.reported
			}
		})
		h.open(signingPath + "/confirmar")
		h.says(signingPath+"/confirmar", http.StatusOK, "Compruebe que el SMS dice", test.says)
		if text := h.Text(); strings.Contains(text, test.never) {
			t.Errorf("reported %q: got %q in %s", test.reported, test.never, text)
		}
		if looks := strings.Contains(h.page.String(), "data-look="); looks != test.looks {
			t.Errorf("reported %q: got that the page looks again %t, want %t", test.reported, looks, test.looks)
		}
	}
}

// TestUnsigned has a consent whose signature failed: the person is told to
// identify again, on that page and wherever they go back to.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"the key":           policies.Refuse(policies.SignatureFailed),
		"the authorisation": policies.Refuse(policies.AuthorisationInvalid),
		"too late":          policies.Refuse(policies.AuthorisationExpired),
		"no answer":         policies.Refuse(policies.Unavailable).After(5 * time.Second),
		"who knows":         errors.New("the line broke"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := confirming(t)
			h.far.signs = func(context.Context) error { return failure }
			h.submit(form{"code": rightCode})
			h.says(signingPath+"/confirmar", http.StatusServiceUnavailable, "La firma se interrumpió", "Identifíquese otra vez")
			for _, path := range []string{"/confirmar", "/revisar", "/rechazar"} {
				h.open(signingPath + path)
				h.says(signingPath+path, http.StatusServiceUnavailable, "La firma se interrumpió")
			}
			h.open(signingPath)
			h.says(signingPath, http.StatusOK, "Identifíquese para firmar")
		})
	}
}

// TestConsentOutlivesTheBrowser has a browser that goes away in the middle.
func TestConsentOutlivesTheBrowser(t *testing.T) {
	t.Parallel()
	h := confirming(t)
	gone, leave := context.WithCancel(t.Context())
	after := make(chan error, 1)
	h.far.signs = func(ctx context.Context) error {
		leave()
		time.Sleep(50 * time.Millisecond) // the server hears of it
		after <- ctx.Err()
		return ctx.Err()
	}
	if err := h.Submit(gone, form{"code": rightCode}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the browser gone", err)
	}
	if err := <-after; err != nil {
		t.Errorf("got the signature broken off: %v", err)
	}
}

// TestWorking is the page of a signature that is being made.
func TestWorking(t *testing.T) {
	t.Parallel()
	h := confirming(t)
	h.far.signs = func(context.Context) error {
		h.far.set(func() { h.far.request.State = signer.Signing })
		return policies.Refuse(policies.Unavailable)
	}
	h.submit(form{"code": rightCode})
	h.says(signingPath, http.StatusOK, "Estamos firmando")
}

// TestSessionReplaced tells a session that has merely ended from a signature
// that was broken off.
func TestSessionReplaced(t *testing.T) {
	t.Parallel()
	h := confirming(t)
	h.far.set(func() {
		for _, ticket := range h.far.tickets {
			ticket.Spent = true
		}
	})
	h.submit(form{"code": rightCode})
	h.says(signingPath+"/confirmar", http.StatusForbidden, "Su sesión ha terminado")
}

// TestReplaces tells plainly that a certificate gives way to a new one.
func TestReplaces(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.far.certified = false
	h.far.replaces = true
	h.open(signingPath)
	h.submit(form{"identifier": identifier, "password": present})
	h.says(signingPath+"/certificado", http.StatusOK, "Cree de nuevo su certificado de firma", "Su clave se destruye cuando se crea la nueva, no antes.")
}
