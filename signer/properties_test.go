package signer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// walk is one citizen's world: two requests with a ticket each, and whatever
// may happen to the citizen, to the keys of the token and to the process.
type walk struct {
	*spine

	password string
	requests [2]string
	sessions [2]signer.Session
	sads     [2]signer.SAD
	epochs   map[signer.Secret]int
	steps    []string
	done     []string // what has happened, for the reader of a failure
}

// Any order of what citizens, offices, operators, thieves, time and crashes do
// keeps the invariants, and is answered by refusals, never by a fault. At the
// end the citizen can still sign.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)
	s.signs(ana, password)
	w := &walk{spine: s, password: password, epochs: map[signer.Secret]int{}, steps: steps(t)}
	for _, secret := range signer.Secrets() {
		w.epochs[secret] = 1
	}
	rapid.Check(t, func(rt *rapid.T) {
		w.done = nil
		for i := range w.requests {
			w.requests[i] = s.ask(ana, fmt.Sprint("documento ", s.requests))
		}
		rt.Repeat(w.actions())
	})
	w.settle()
}

// steps are the names at which the code says that a process may die.
func steps(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	named := regexp.MustCompile(`s\.Step\("([^"]+)"\)`)
	for _, file := range must[[]string](t)(filepath.Glob("*.go")) {
		for _, m := range named.FindAllSubmatch(must[[]byte](t)(os.ReadFile(file)), -1) {
			found[string(m[1])] = true
		}
	}
	if len(found) < 14 {
		t.Fatalf("found the steps %v, want at least fourteen", found)
	}
	return slices.Sorted(maps.Keys(found))
}

func (w *walk) actions() map[string]func(*rapid.T) {
	wrong := must[signer.Code](w.T)(signer.ParseCode("00000000"))
	which := func(r *rapid.T) int { return rapid.IntRange(0, 1).Draw(r, "which") }
	rare := func(r *rapid.T) bool { return rapid.IntRange(0, 2).Draw(r, "mood") == 0 }
	return map[string]func(*rapid.T){
		"identify": func(r *rapid.T) { w.try("identify", w.identifyFor(w.module, which(r))) },
		"send": func(r *rapid.T) {
			purpose := rapid.SampledFrom([]signer.Purpose{signer.ForSignature, signer.ForSignature, signer.ForCertificate}).Draw(r, "purpose")
			w.try("send", w.sendFor(w.module, which(r), purpose))
		},
		"certify":   func(r *rapid.T) { w.try("certify", w.certifyFor(w.module, which(r))) },
		"authorise": func(r *rapid.T) { w.try("authorise", w.authoriseFor(w.module, which(r), w.phone.last().Code)) },
		"guess":     func(r *rapid.T) { w.try("guess", w.authoriseFor(w.module, which(r), wrong)) },
		"spend":     func(r *rapid.T) { w.try("spend", w.module.Sign(w.Context(), w.sads[which(r)])) },
		"ceremony": func(r *rapid.T) {
			w.clock.advance(time.Minute)
			w.try("ceremony", w.ceremony(w.module, which(r)))
		},
		"refuse": func(r *rapid.T) {
			if rare(r) {
				w.try("refuse", w.module.Refuse(w.Context(), w.sessions[which(r)].Ticket))
			}
		},
		"die": func(r *rapid.T) {
			step, n := rapid.SampledFrom(w.steps).Draw(r, "step"), which(r)
			w.clock.advance(time.Minute)
			w.done = append(w.done, "die at "+step)
			w.dieAt(step, func(module *signer.Service) { _ = w.ceremony(module, n) })
		},
		"change password": func(r *rapid.T) {
			if rare(r) {
				w.try("change password", w.changePassword())
			}
		},
		"block":   func(r *rapid.T) { w.office(r, "block", w.register.Block) },
		"unblock": func(r *rapid.T) { w.office(r, "unblock", w.register.Unblock) },
		"revoke": func(r *rapid.T) {
			if rare(r) {
				w.try("revoke", w.register.Revoke(w.Context(), w.identifier(ana), order(), citizen.KeyCompromise))
			}
		},
		"forget": func(r *rapid.T) {
			if rare(r) {
				w.try("forget", w.reactivate())
			}
		},
		"rotate": func(r *rapid.T) {
			secret := rapid.SampledFrom(signer.Secrets()).Draw(r, "secret")
			if rare(r) {
				w.epochs[secret]++
				w.begin(secret, w.epochs[secret])
				w.refresh()
				w.done = append(w.done, "rotate "+string(secret))
			}
		},
		"keeper": func(r *rapid.T) {
			if rare(r) {
				keeper := rapid.SampledFrom([]signer.KeeperName{signer.SealedKeeper, signer.TokenKeeper}).Draw(r, "keeper")
				w.setKeeper(keeper)
				w.done = append(w.done, "keeper "+string(keeper))
			}
		},
		"reap": func(*rapid.T) { w.try("reap", w.module.Reap(w.Context())) },
		"wait": func(r *rapid.T) {
			w.clock.advance(time.Duration(rapid.IntRange(1, 900).Draw(r, "seconds")) * time.Second)
		},
		"": func(*rapid.T) {
			if err := w.checker.Check(w.Context()); err != nil {
				w.Fatalf("after %q: %v", w.done, err)
			}
		},
	}
}

// try notes what has happened: a success, or a refusal that is not a fault.
func (w *walk) try(what string, err error) {
	w.Helper()
	w.done = append(w.done, what+": "+outcome(err))
	if err == nil {
		return
	}
	r, ok := errors.AsType[*policies.Refusal](err)
	faults := []policies.Code{policies.SignatureFailed, policies.RecordTampered, policies.Internal, policies.Unavailable, policies.SMSFailed}
	if !ok || slices.Contains(faults, r.Code) {
		w.Fatalf("after %q: %v", w.done, err)
	}
}

func (w *walk) identifyFor(module *signer.Service, n int) error {
	session, err := module.Identify(w.Context(), signer.Identification{
		RequestID: w.requests[n], Identifier: ana, Password: []byte(w.password), RemoteAddr: home,
	})
	if err != nil {
		return err
	}
	w.sessions[n] = session
	w.fix(w.requests[n], session)
	return nil
}

func (w *walk) sendFor(module *signer.Service, n int, purpose signer.Purpose) error {
	_, err := module.SendCode(w.Context(), signer.CodeOrder{Ticket: w.sessions[n].Ticket, Purpose: purpose})
	if err == nil {
		w.checker.Secrets = append(w.checker.Secrets, w.phone.last().Code.Reveal())
	}
	return err
}

func (w *walk) certifyFor(module *signer.Service, n int) error {
	session, err := module.IssueCredential(w.Context(), signer.Answer{Ticket: w.sessions[n].Ticket, Code: w.phone.last().Code})
	if err != nil {
		return err
	}
	w.sessions[n] = session
	w.fix(w.requests[n], session)
	return nil
}

func (w *walk) authoriseFor(module *signer.Service, n int, code signer.Code) error {
	a, err := module.Authorise(w.Context(), signer.Answer{Ticket: w.sessions[n].Ticket, Code: code})
	if err == nil {
		w.sads[n] = a.SAD
	}
	return err
}

// ceremony goes from the password to the signature, as far as it gets.
func (w *walk) ceremony(module *signer.Service, n int) error {
	if err := w.identifyFor(module, n); err != nil {
		return err
	}
	if !w.sessions[n].Certified {
		if err := w.sendFor(module, n, signer.ForCertificate); err != nil {
			return err
		}
		if err := w.certifyFor(module, n); err != nil {
			return err
		}
	}
	if err := w.sendFor(module, n, signer.ForSignature); err != nil {
		return err
	}
	if err := w.authoriseFor(module, n, w.phone.last().Code); err != nil {
		return err
	}
	return module.Sign(w.Context(), w.sads[n])
}

func (w *walk) office(r *rapid.T, name string, act func(ctx context.Context, id citizen.Identifier, o citizen.Order) error) {
	if name == "unblock" || rapid.IntRange(0, 2).Draw(r, "mood") == 0 {
		w.try(name, act(w.Context(), w.identifier(ana), order()))
	}
}

// changePassword goes between two passwords, since the last one is refused.
func (w *walk) changePassword() error {
	session, err := w.identify("", ana, w.password)
	if err != nil {
		return err
	}
	if _, err := w.module.SendCode(w.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForPassword}); err != nil {
		return err
	}
	if err := w.register.Confirm(w.Context(), signer.Answer{Ticket: session.Ticket, Code: w.phone.last().Code}); err != nil {
		return err
	}
	next := w.next()
	if err := w.register.ChangePassword(w.Context(), session.Ticket, w.chosen(next)); err != nil {
		return err
	}
	w.password = next
	return nil
}

func (w *walk) next() string {
	if w.password == password {
		return second
	}
	return password
}

func (w *walk) reactivate() error {
	receipt, err := w.register.RenewActivation(w.Context(), w.identifier(ana), citizen.By{Office: "office"})
	if err != nil {
		return err
	}
	a := w.person(ana, anaPhone)
	session, _, err := w.register.StartActivation(w.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: receipt.ActivationCode})
	if err != nil {
		return err
	}
	if err := w.register.Confirm(w.Context(), signer.Answer{Ticket: session.Ticket, Code: w.phone.last().Code}); err != nil {
		return err
	}
	next := w.next()
	if err := w.register.SetPassword(w.Context(), session.Ticket, w.chosen(next)); err != nil {
		return err
	}
	w.password = next
	return nil
}

// settle lets time end what is under way, and has the citizen sign once more.
func (w *walk) settle() {
	w.Helper()
	w.clock.advance(25 * time.Hour)
	for range 2 { // what the first time interrupts, the second finds expired
		if err := w.module.Reap(w.Context()); err != nil {
			w.Fatalf("reaping: %v", err)
		}
	}
	if err := w.checker.Settled(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.try("unblock", w.register.Unblock(w.Context(), w.identifier(ana), order()))
	w.clock.advance(time.Hour)
	w.forget(w.next())
	w.password = w.next()
	w.signs(ana, w.password)
}
