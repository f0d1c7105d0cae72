package rpc

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	healthTime = 1500 * time.Millisecond // less than api waits
	// healthAge is how old an answer may be: whoever asks all the time costs no
	// more than once in that time.
	healthAge = time.Second
)

// health answers whether the module can do its work at all. Why it cannot is
// for the log.
type health struct {
	ask    func(ctx context.Context) error
	logger *slog.Logger

	mu    sync.Mutex
	asked time.Time
	err   error
}

func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.now(r.Context()) != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *health) now(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.asked) < healthAge {
		return h.err
	}
	// Others will read the answer: it does not end with who asked first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTime)
	defer cancel()
	if h.err = h.ask(ctx); h.err != nil {
		h.logger.WarnContext(ctx, "not_ready", "error", h.err)
	}
	h.asked = time.Now()
	return h.err
}
