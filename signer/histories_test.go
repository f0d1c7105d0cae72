package signer_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// seeds are how many histories are made of each kind, by eight clients each.
const (
	seeds   = 4
	clients = 8
)

// history records what clients did, on one clock.
type history struct {
	mu         sync.Mutex
	began      time.Time
	operations []porcupine.Operation
}

func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

func (h *history) add(o porcupine.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, o)
}

// judge finds an order of the operations that the model allows, one at a time.
func (s *spine) judge(h *history, model porcupine.Model) {
	s.Helper()
	if !porcupine.CheckOperations(model, h.operations) {
		for _, o := range h.operations {
			s.Logf("client %d %8d–%8d %v: %v", o.ClientId, o.Call, o.Return, o.Input, o.Output)
		}
		s.Error("no order of these operations explains their answers")
	}
}

// codeState is one code as the model has it.
type codeState struct {
	counted int // tries
	state   string
}

// codeInput is one of the two moments of an answer: the try is counted, and then
// the code is compared and, if it is right, consumed.
type codeInput struct {
	counts bool
	right  bool
}

// oneCode is a code of three tries: each is counted while the code can still be
// used, one right answer consumes it, the third wrong one exhausts it.
func oneCode() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return codeState{state: "sent"} },
		Step: func(state, input, output any) (bool, any) {
			now, isState := state.(codeState)
			in, isInput := input.(codeInput)
			out, isOutput := output.(string)
			if !isState || !isInput || !isOutput {
				return false, state
			}
			if in.counts {
				return countTry(now, out)
			}
			return compareTry(now, in.right, out)
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

func countTry(now codeState, out string) (bool, any) {
	switch out {
	case "counted":
		return now.state == "sent" && now.counted < 3, codeState{now.counted + 1, now.state}
	case string(policies.CodeUsed), string(policies.SessionExpired):
		return now.state == "consumed", now
	case string(policies.CodeExhausted):
		return now.state == "exhausted" || now.state == "sent" && now.counted == 3, now
	}
	return false, now
}

func compareTry(now codeState, right bool, out string) (bool, any) {
	switch {
	case right && out == "ok":
		return now.state == "sent", codeState{now.counted, "consumed"}
	case right:
		return out == string(policies.CodeUsed) && now.state != "sent", now
	case out == string(policies.CodeExhausted):
		if now.state == "sent" {
			now.state = "exhausted"
		}
		return now.counted == 3, now
	}
	return out == string(policies.CodeWrong), now
}

func TestHistoriesOfOneCode(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	_, _ = s.consent(ana, password, "primera")
	for seed := range seeds {
		s.clock.advance(time.Hour)
		request, session := s.ready(ana, fmt.Sprint("documento ", seed))
		right, h := s.phone.last().Code, &history{began: time.Now()}
		var group sync.WaitGroup
		for client := range clients {
			code := right
			if wrong := seed == 0 || client%(seed+1) != 0; wrong && client > 0 {
				code = s.otherCode(client + 1)
			}
			group.Go(func() { s.answerOnce(h, client, signer.Answer{Ticket: session.Ticket, Code: code}, code == right) })
		}
		group.Wait()
		s.judge(h, oneCode())
		s.invariants()
		if n := s.logged("sign.authorised", request); n > 1 {
			t.Errorf("%d consents to one request, want no more than 1", n)
		}
	}
}

// answerOnce authorises through a module of the client's own, which tells when
// the try has been counted.
func (s *spine) answerOnce(h *history, client int, answer signer.Answer, right bool) {
	called, counted := h.now(), int64(0)
	config := s.module.Config
	config.Step = func(name string) {
		if name == "code/counted" {
			counted = h.now()
		}
	}
	_, err := signer.New(config).Authorise(s.Context(), answer)
	returned, out := h.now(), outcome(err)
	if counted == 0 {
		h.add(porcupine.Operation{ClientId: client, Input: codeInput{counts: true, right: right}, Call: called, Output: out, Return: returned})
		return
	}
	h.add(porcupine.Operation{ClientId: client, Input: codeInput{counts: true, right: right}, Call: called, Output: "counted", Return: counted})
	h.add(porcupine.Operation{ClientId: client, Input: codeInput{right: right}, Call: counted, Output: out, Return: returned})
}

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	if r, ok := errors.AsType[*policies.Refusal](err); ok {
		return string(r.Code)
	}
	return err.Error()
}

// oneConsent is an authorisation that one of its uses spends, and a block voids.
func oneConsent() porcupine.Model {
	type consent struct{ waits, blocked bool }
	return porcupine.Model{
		Init: func() any { return consent{waits: true} },
		Step: func(state, input, output any) (bool, any) {
			now, ok := state.(consent)
			if !ok {
				return false, state
			}
			switch {
			case input == "block":
				return output == "ok" && !now.blocked, consent{blocked: true}
			case output == "ok":
				return now.waits, consent{blocked: now.blocked}
			case output == string(policies.AuthorisationInvalid):
				return !now.waits, now
			case output == string(policies.CitizenBlocked):
				return now.blocked, now
			}
			return false, now
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

func TestHistoriesOfOneConsent(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		for seed := range seeds {
			request, sad := s.consent(ana, password, fmt.Sprint("documento ", seed))
			h := &history{began: time.Now()}
			var group sync.WaitGroup
			run := func(client int, input string, act func() error) {
				group.Go(func() {
					time.Sleep(time.Duration(client*seed) * time.Millisecond)
					called := h.now()
					err := act()
					h.add(porcupine.Operation{ClientId: client, Input: input, Call: called, Output: outcome(err), Return: h.now()})
				})
			}
			for client := range clients {
				if client == clients/2 && seed%2 == 1 {
					run(client, "block", func() error { return s.register.Block(s.Context(), s.identifier(ana), order()) })
					continue
				}
				run(client, "sign", func() error { return s.module.Sign(s.Context(), sad) })
			}
			group.Wait()
			s.judge(h, oneConsent())
			if n := s.logged("sign.intent", request); n > 1 {
				s.Errorf("%d intents for one consent, want no more than 1", n)
			}
			s.invariants()
			if seed%2 == 1 {
				if err := s.register.Unblock(s.Context(), s.identifier(ana), order()); err != nil {
					s.Fatalf("unblocking: %v", err)
				}
			}
		}
	})
}

// The models themselves refuse what must not happen.
func TestModelsRefuse(t *testing.T) {
	t.Parallel()
	at := func(n int64, in, out any) porcupine.Operation {
		return porcupine.Operation{ClientId: int(n), Input: in, Call: n * 10, Output: out, Return: n*10 + 5}
	}
	count, right, wrong := codeInput{counts: true}, codeInput{right: true}, codeInput{}
	codes := map[string][]porcupine.Operation{
		"two successes": {at(0, count, "counted"), at(1, count, "counted"), at(2, right, "ok"), at(3, right, "ok")},
		"a fourth try":  {at(0, count, "counted"), at(1, count, "counted"), at(2, count, "counted"), at(3, count, "counted")},
		"right when exhausted": {
			at(0, count, "counted"), at(1, count, "counted"), at(2, count, "counted"), at(3, wrong, string(policies.CodeExhausted)), at(4, right, "ok"),
		},
		"used by nobody": {at(0, count, string(policies.CodeUsed))},
	}
	for name, operations := range codes {
		if porcupine.CheckOperations(oneCode(), operations) {
			t.Errorf("%s: the model allows it", name)
		}
	}
	for name, operations := range map[string][]porcupine.Operation{
		"signed twice":          {at(0, "sign", "ok"), at(1, "sign", "ok")},
		"signed when blocked":   {at(0, "block", "ok"), at(1, "sign", "ok")},
		"refused while waiting": {at(0, "sign", string(policies.AuthorisationInvalid)), at(1, "sign", "ok")},
	} {
		if porcupine.CheckOperations(oneConsent(), operations) {
			t.Errorf("%s: the model allows it", name)
		}
	}
}
