package witness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// maxBody bounds a request: 63 hashes, and a checkpoint with room for the
// signatures of dozens of other witnesses.
const maxBody = 64 << 10

// Handler is the HTTP interface of C2SP tlog-witness, both its prefixes in one,
// and /healthz. Each address may ask rate times a second, and for a moment four
// times as often.
func (w *Witness) Handler(rate float64) http.Handler {
	h := &handler{Witness: w, addresses: newAddresses(rate)}
	mux := http.NewServeMux()
	mux.Handle("POST /add-checkpoint", h.limited(h.add))
	mux.Handle("GET /{origin}/checkpoint", h.limited(h.checkpoint))
	mux.HandleFunc("GET /healthz", h.health)
	return mux
}

type handler struct {
	*Witness

	addresses *addresses
	answers   answers
}

// answers counts what add-checkpoint was answered with.
type answers struct{ cosigned, conflicts, refused, failed atomic.Int64 }

func (h *handler) limited(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.addresses.allow(r.RemoteAddr, time.Now()) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests from your address", http.StatusTooManyRequests)
			return
		}
		next(w, r)
	})
}

// add answers an add-checkpoint.
func (h *handler) add(w http.ResponseWriter, r *http.Request) {
	line, err := h.addBody(http.MaxBytesReader(w, r.Body, maxBody), r)
	if err == nil {
		h.answers.cosigned.Add(1)
		text(w, "text/plain; charset=utf-8", http.StatusOK, line)
		return
	}
	if conflict, ok := errors.AsType[*ConflictError](err); ok {
		h.answers.conflicts.Add(1)
		text(w, "text/x.tlog.size", http.StatusConflict, strconv.FormatInt(conflict.Size, 10)+"\n")
		return
	}
	status := statusOf(err)
	if status >= http.StatusInternalServerError {
		h.answers.failed.Add(1)
		h.Logger.ErrorContext(r.Context(), "witness_failed", "error", err)
		text(w, "text/plain; charset=utf-8", status, http.StatusText(status)+"\n")
		return
	}
	h.answers.refused.Add(1)
	h.Logger.InfoContext(r.Context(), "witness_refused", "status", status, "address", r.RemoteAddr, "error", err)
	text(w, "text/plain; charset=utf-8", status, err.Error()+"\n")
}

func (h *handler) addBody(body io.Reader, r *http.Request) (string, error) {
	content, err := io.ReadAll(body)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	request, err := ParseRequest(content)
	if err != nil {
		return "", err
	}
	return h.Add(r.Context(), request)
}

// statusOf is the norm's status for an error, and those of HTTP for what the
// norm does not know.
func statusOf(err error) int {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return http.StatusRequestEntityTooLarge
	}
	for _, row := range []struct {
		err    error
		status int
	}{
		{ErrMalformed, http.StatusBadRequest},
		{ErrOldSize, http.StatusBadRequest},
		{ErrSignature, http.StatusForbidden},
		{ErrUnknownLog, http.StatusNotFound},
		{ErrInconsistent, http.StatusUnprocessableEntity},
		{ErrClock, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, row.err) {
			return row.status
		}
	}
	return http.StatusInternalServerError
}

// checkpoint answers a monitor.
func (h *handler) checkpoint(w http.ResponseWriter, r *http.Request) {
	signed, found := h.Checkpoint(r.PathValue("origin"))
	if !found {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	text(w, "text/plain; charset=utf-8", http.StatusOK, string(signed))
}

// health says how the witness does: 503 if it could not write, the last time.
func (h *handler) health(w http.ResponseWriter, r *http.Request) {
	body := struct {
		Report

		Cosigned  int64 `json:"cosigned"` // since the start, as the others
		Conflicts int64 `json:"conflicts"`
		Refused   int64 `json:"refused"`
		Failed    int64 `json:"failed"`
	}{h.Report(), h.answers.cosigned.Load(), h.answers.conflicts.Load(), h.answers.refused.Load(), h.answers.failed.Load()}
	content, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		h.Logger.ErrorContext(r.Context(), "witness_health", "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	status := http.StatusOK
	if body.Broken {
		status = http.StatusServiceUnavailable
	}
	text(w, "application/json", status, string(content)+"\n")
}

func text(w http.ResponseWriter, kind string, status int, content string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, content) // whoever asked may have gone
}
