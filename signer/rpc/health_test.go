package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rubrica-firma/rubrica/signer/rpc"
)

// TestHealth asks more often than the module has to be asked.
func TestHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			asked int
			state error
		)
		ready := func(ctx context.Context) error {
			asked++
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("got no bound to the time of an answer")
			}
			return state
		}
		handler := rpc.Handler(rpc.Services{Ready: ready, Logger: slog.New(slog.DiscardHandler)})
		for turn, want := range []struct {
			state         error
			status, asked int
		}{
			{nil, http.StatusNoContent, 1},
			{errors.New("no log"), http.StatusServiceUnavailable, 2},
			{nil, http.StatusNoContent, 3},
		} {
			state = want.state
			for range 5 {
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", http.NoBody))
				if answer.Code != want.status {
					t.Errorf("turn %d: got status %d, want %d", turn, answer.Code, want.status)
				}
			}
			if asked != want.asked {
				t.Errorf("turn %d: got the module asked %d times, want %d", turn, asked, want.asked)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestHealthOverTheWire is what the api makes of a module that is not ready.
func TestHealthOverTheWire(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]error{"ready": nil, "not ready": errors.New("no log")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket := t.TempDir() + "/s"
			listener, err := rpc.Listen(t.Context(), rpc.ListenConfig{Socket: socket, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			logger := slog.New(slog.DiscardHandler)
			server := rpc.NewServer(rpc.Handler(rpc.Services{Ready: func(context.Context) error { return state }, Logger: logger}), logger)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = server.Serve(listener) // ends with ErrServerClosed
			}()
			t.Cleanup(func() {
				_ = server.Close()
				<-done
			})
			if err := dial(t, rpc.DialConfig{Socket: socket}).Healthy(t.Context()); (err == nil) != (state == nil) {
				t.Errorf("got %v, want the state of the module, %v", err, state)
			}
		})
	}
}
