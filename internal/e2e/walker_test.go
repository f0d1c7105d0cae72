package e2e

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// walker is a person who goes on with whatever the page asks.
type walker struct {
	*thread.Citizen
	request *client.SignatureRequest
	browser *thread.Browser
	since   time.Time // codes sent after it count
}

// walk is somebody whose signature was asked for.
func walk(t *testing.T, c *thread.Citizen) *walker {
	t.Helper()
	return &walker{Citizen: c, request: persist(t, crand.Text(), order(c, note())), browser: plainBrowser(t), since: time.Now()}
}

func order(c *thread.Citizen, documents ...client.NewDocument) client.NewSignatureRequest {
	return client.NewSignatureRequest{
		Signer: client.Signer{Identifier: c.Identifier}, Title: "Solicitud", ReturnURL: shared.world.ReturnURL, Documents: documents,
	}
}

// persist asks as a good back end does.
func persist(t *testing.T, key string, order client.NewSignatureRequest) *client.SignatureRequest {
	t.Helper()
	request, err := askAgain(t.Context(), key, order)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// askAgain asks with the same key until there is an answer that is not a failure
// of the service. Connections to a database that was killed are found dead one
// after the other.
func askAgain(ctx context.Context, key string, order client.NewSignatureRequest) (*client.SignatureRequest, error) {
	for limit := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		answer, err := shared.world.Sede.CreateSignatureRequestWithResponse(ctx, &client.CreateSignatureRequestParams{IdempotencyKey: key}, order)
		failure := client.Check(answer, err)
		switch {
		case failure == nil:
			return answer.JSON201, nil
		case err == nil && answer.StatusCode() < http.StatusInternalServerError, time.Now().After(limit):
			return nil, fmt.Errorf("asking: %w", failure)
		}
	}
}

// step answers the page that is open, and reports whether the thread has ended.
// After an error, which is one of the connection, the page is still the same.
func (w *walker) step(ctx context.Context) (done bool, err error) {
	done, err = w.answer(ctx)
	if _, unanswered := errors.AsType[*url.Error](err); err == nil || unanswered {
		return done, err
	}
	// Nothing is asked here, or no longer.
	time.Sleep(100 * time.Millisecond)
	return false, w.browser.Open(ctx, w.request.SigningURL)
}

// errStranded is a page that only the address of the request leads on from.
var errStranded = errors.New("nothing to do here")

func (w *walker) answer(ctx context.Context) (done bool, err error) {
	b := w.browser
	switch path := b.URL().Path; {
	case strings.HasSuffix(path, "/hecho"), strings.HasPrefix(b.URL().String(), shared.world.ReturnURL):
		return true, nil
	case b.Status() >= http.StatusBadRequest || strings.Contains(b.Text(), "interrumpió"):
		return false, errStranded
	case strings.HasSuffix(path, "/certificado"):
		w.since = time.Now()
		return false, b.Press(ctx, "/certificado")
	case strings.HasSuffix(path, "/revisar"):
		w.since = time.Now()
		return false, b.Press(ctx, "/codigo")
	case strings.HasSuffix(path, "/confirmar"), strings.HasSuffix(path, "/certificado/codigo"):
		code, err := w.Code(ctx, w.since)
		if err != nil { // another may be sent
			return false, errStranded
		}
		return false, b.Submit(ctx, form{"code": code})
	}
	return false, b.Submit(ctx, form{"identifier": w.Identifier, "password": w.Password})
}

// errEndless is a ceremony that leads nowhere.
var errEndless = errors.New("the ceremony does not end")

// persevere goes on to the end through whatever breaks: what was not answered is
// done once more, as by pressing a button again.
func (w *walker) persevere(ctx context.Context) error {
	open, b := false, w.browser
	for limit := time.Now().Add(time.Minute); ; {
		var done bool
		var err error
		if open {
			done, err = w.step(ctx)
		} else if err = b.Open(ctx, w.request.SigningURL); err == nil {
			open = true
		}
		switch {
		case done:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(limit) && open:
			return fmt.Errorf("request %s: %w: %s (%d): %s", w.request.ID, errEndless, b.URL().Path, b.Status(), b.Text())
		case time.Now().After(limit):
			return fmt.Errorf("request %s: %w: %w", w.request.ID, errEndless, err)
		case err != nil:
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// finish goes on to the end.
func (w *walker) finish(t *testing.T) {
	t.Helper()
	open(t, w.browser, w.request.SigningURL)
	for limit := time.Now().Add(30 * time.Second); !w.mustStep(t); {
		if time.Now().After(limit) {
			t.Fatalf("the ceremony does not end: %s: %s", w.browser.URL().Path, w.browser.Text())
		}
	}
	wantState(t, w.request.ID, "signed")
}

// reach goes on until a page whose address ends like this.
func (w *walker) reach(t *testing.T, suffix string) {
	t.Helper()
	open(t, w.browser, w.request.SigningURL)
	for range 10 {
		if strings.HasSuffix(w.browser.URL().Path, suffix) {
			return
		}
		w.mustStep(t)
	}
	at(t, w.browser, suffix)
}

func (w *walker) mustStep(t *testing.T) (done bool) {
	t.Helper()
	done, err := w.step(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done
}
