package validation

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
)

const (
	// maxPath bounds the request in an address. RFC 5019, section 5 has those
	// up to 255 octets sent so, a few send all.
	maxPath = 8 << 10
	// shared is how old a question may be for others to share its answer.
	shared = 400 * time.Millisecond
)

// errBusy means that enough is with the signer already.
var errBusy = errors.New("too many questions are with the signer")

// pace says how long whoever asks has to wait.
type pace func(c echo.Context) time.Duration

func (d *Desk) postOCSP(pace pace) echo.HandlerFunc {
	return func(c echo.Context) error {
		request, err := body(c, ocspRequest)
		if err != nil {
			return err
		}
		a := d.answer(c, request, pace)
		return send(c, a.posted, a.der)
	}
}

func (d *Desk) getOCSP(pace pace) echo.HandlerFunc {
	return func(c echo.Context) error {
		path := c.Request().URL.EscapedPath()
		if len(path) > maxPath {
			return policies.Refuse(policies.DocumentTooLarge)
		}
		a := failed(malformedRequest)
		if request, ok := decode(path); ok {
			a = d.answer(c, request, pace)
		}
		if holds(c.Request(), a.tag) {
			h := c.Response().Header()
			h["Etag"], h["Cache-Control"] = a.got["Etag"], a.got["Cache-Control"]
			return c.NoContent(http.StatusNotModified)
		}
		return send(c, a.got, a.der)
	}
}

// decode reads the request in an address: the escaped base64 of its DER (RFC
// 6960, appendix A.1). Clients escape all, some or none of "+", "/" and "=",
// leave the padding out, put one slash too many, or make a blank of a plus.
// None of that can make one request of another.
func decode(path string) ([]byte, bool) {
	text, err := url.PathUnescape(strings.TrimPrefix(path, "/ocsp"))
	if err != nil {
		return nil, false
	}
	// A SEQUENCE begins with "M": a slash in front belongs to the address.
	text = strings.TrimRight(strings.TrimLeft(text, "/"), "=")
	text = strings.ReplaceAll(text, " ", "+")
	request, err := base64.RawStdEncoding.DecodeString(text)
	return request, err == nil && len(request) > 0
}

// answer finds the answer to a request: in memory, or by asking.
func (d *Desk) answer(c echo.Context, request []byte, pace pace) *answer {
	if len(request) == 0 {
		return failed(malformedRequest)
	}
	now := d.Now()
	if a, ok := d.memory.recall(request, now); ok && now.Before(a.renew) {
		return a
	}
	if wait := pace(c); wait > 0 {
		retryAfter(c, wait)
		return failed(tryLater)
	}
	a, err := d.ask(c.Request().Context(), request, now)
	if err == nil {
		return a
	}
	if !errors.Is(err, errBusy) {
		d.Logger.WarnContext(c.Request().Context(), "signer gave no OCSP answer", "error", err)
	}
	// Past half its life an answer still holds, if nothing better is to be had.
	if a, ok := d.memory.recall(request, d.Now()); ok {
		return a
	}
	retryAfter(c, time.Second)
	return failed(tryLater)
}

// ask puts a question to the signer, and others who ask the same meanwhile get
// the same answer.
func (d *Desk) ask(ctx context.Context, request []byte, now time.Time) (*answer, error) {
	key := binary.BigEndian.AppendUint64(nil, uint64(now.Sub(d.started)/shared)) //nolint:gosec // a name, not a number
	got, err, _ := d.flights.Do(string(append(key, request...)), func() (any, error) {
		if !d.asking.TryAcquire(1) {
			return nil, errBusy
		}
		defer d.asking.Release(1)
		// A client that leaves takes nothing from those who share its question.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		epoch := d.memory.now()
		from, err := d.Validation.OCSP(ctx, request)
		if err != nil {
			return nil, err
		}
		a := newAnswer(from, now)
		if from.Cacheable {
			d.memory.keep(request, a, epoch)
		}
		return a, nil
	})
	if err != nil {
		return nil, err
	}
	a, ok := got.(*answer)
	if !ok || len(a.der) == 0 {
		return nil, errors.New("empty answer")
	}
	return a, nil
}
