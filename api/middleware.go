package api

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/policies"
)

// grantKey is where a request's context has the Grant that was let in.
const grantKey = "rubrica.grant"

// identify names a request, for the log and for support. A name that the
// client chose would let it write into the log.
func identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderXRequestID, rand.Text()[:16])
		return next(c)
	}
}

// requestID is the name that identify gave.
func requestID(c echo.Context) string {
	return c.Response().Header().Get(echo.HeaderXRequestID)
}

// secure sets what holds for every answer; pages widen the content policy to
// what they need (OWASP ASVS 5.0, section 3.4). The lines are shared between
// answers: whoever sets one puts another slice in its place.
func (s *Site) secure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		maps.Copy(c.Response().Header(), s.headers)
		return next(c)
	}
}

// SandboxHeader is on every answer of a sandbox.
const SandboxHeader = "Rubrica-Sandbox"

// commonHeaders are those of every answer.
func commonHeaders(scheme string, sandbox bool) http.Header {
	h := securityHeaders(scheme)
	if sandbox {
		h.Set(SandboxHeader, "true")
	}
	return h
}

func securityHeaders(scheme string) http.Header {
	h := http.Header{}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	if scheme == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return h
}

// record writes the access log: the route, not the address that was asked for,
// so that nothing of what anybody typed ends there. At a public desk, only what
// went wrong is worth a line.
func (s *Site) record(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := s.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		request, response := c.Request(), c.Response()
		level := slog.LevelInfo
		if s.public[c.Path()] && response.Status < http.StatusBadRequest {
			level = slog.LevelDebug
		}
		if !s.Logger.Enabled(request.Context(), level) {
			return nil
		}
		s.Logger.LogAttrs(request.Context(), level, "request served",
			slog.String("request_id", requestID(c)),
			slog.String("method", request.Method),
			slog.String("route", c.Path()),
			slog.Int("status", response.Status),
			slog.Int64("bytes", response.Size),
			slog.Duration("took", s.Now().Sub(start)),
			slog.String("address", c.RealIP()),
			slog.String("client", ClientOf(c).ID),
		)
		return nil
	}
}

// panicError is a panic on its way to the log.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

// recovered turns a panic into an error, save the one that net/http knows.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if cause, ok := value.(error); ok && errors.Is(cause, http.ErrAbortHandler) {
				panic(value)
			}
			err = &panicError{value: value, stack: debug.Stack()}
		}()
		return next(c)
	}
}

// sameOrigin keeps foreign pages from posting with a citizen's cookies.
// Clients that are no browsers pass.
func (s *Site) sameOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.origin.Check(c.Request()); err != nil {
			return fmt.Errorf("%w: %w", policies.Refuse(policies.RequestMalformed, "field", "Origin"), err)
		}
		return next(c)
	}
}

// isDoor is whether an address belongs to programs.
func (s *Site) isDoor(path string) bool {
	return slices.ContainsFunc(s.doors, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// isPerson is whether a page should answer. Where there is no route, only the
// Accept header tells; at a door it tells nothing, because some HTTP clients
// ask for HTML unless told otherwise.
func (s *Site) isPerson(c echo.Context) bool {
	r := c.Request()
	return !s.isDoor(r.URL.Path) && (c.Path() != "" || strings.Contains(r.Header.Get(echo.HeaderAccept), "text/html"))
}

// smallForms bounds what people send. Doors bound each route themselves.
func (s *Site) smallForms(next echo.HandlerFunc) echo.HandlerFunc {
	bounded := s.Accept(FormBytes)(whole(next))
	return func(c echo.Context) error {
		if s.isDoor(c.Request().URL.Path) {
			return next(c)
		}
		return bounded(c)
	}
}

// whole reads a form whose length was not told before anybody parses it: who
// asks for a field is not told that the form was cut off.
func whole(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.ContentLength >= 0 {
			return next(c)
		}
		form, err := io.ReadAll(r.Body)
		if err != nil {
			return fmt.Errorf("%w: %w", policies.Refuse(policies.RequestMalformed, "field", "body"), err)
		}
		r.Body = io.NopCloser(bytes.NewReader(form))
		return next(c)
	}
}
