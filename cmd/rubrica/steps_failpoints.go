//go:build failpoints

package main

import (
	"context"
	"net/http"
	"os"

	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/internal/failpoint"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc"
)

// steps is where a process of that name dies (package failpoint), nil where
// nobody has asked for it.
func steps(process string) func(string) {
	file := os.Getenv(failpoint.Variable)
	if file == "" {
		return nil
	}
	return failpoint.Hook(process, file)
}

// announcing is a client of the signer that says how far its caller has come.
type announcing struct {
	*rpc.Client
	step func(string)
}

func announced(c *rpc.Client) announcing { return announcing{c, stepsOfAPI()} }

func stepsOfAPI() func(string) {
	if step := steps("api"); step != nil {
		return step
	}
	return func(string) {}
}

// Open implements signer.Module.
func (a announcing) Open(ctx context.Context, requestID string) error {
	a.step("request/stored")
	return a.Client.Open(ctx, requestID)
}

// Authorise implements signer.Module.
func (a announcing) Authorise(ctx context.Context, answer signer.Answer) (signer.Authorised, error) {
	a.step("consent/given")
	authorised, err := a.Client.Authorise(ctx, answer)
	if err == nil {
		a.step("consent/authorised")
	}
	return authorised, err
}

// Sign implements signer.Module.
func (a announcing) Sign(ctx context.Context, sad signer.SAD) error {
	err := a.Client.Sign(ctx, sad)
	if err == nil {
		a.step("consent/signed")
	}
	return err
}

// Withdraw implements requests.Withdrawer.
func (a announcing) Withdraw(ctx context.Context, requestID string) error {
	a.step("envelope/ended")
	return a.Client.Withdraw(ctx, requestID)
}

// errands is an authorisation server that says how far its caller has come.
type errands struct {
	*oauth.Server
	step func(string)
}

func announcedErrands(s *oauth.Server) errands { return errands{s, stepsOfAPI()} }

// Done implements pages.Authorisations.
func (e errands) Done(ctx context.Context, id string, who signer.Citizen, credentialID string) (string, error) {
	e.step("errand/done")
	return e.Server.Done(ctx, id, who, credentialID)
}

// answering announces the step when a form or a call has been handled and its
// answer, if it is short, still waits in the server's buffer.
func answering(process, name string, h http.Handler) http.Handler {
	step := steps(process)
	if step == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			step(name)
		}
	})
}
