package signer_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// rotate begins the second epoch and has the running module learn of it.
func (s *spine) rotate(secret signer.Secret) {
	s.Helper()
	s.begin(secret, 2)
	s.refresh()
}

func (s *spine) refresh() {
	s.Helper()
	if err := s.module.Refresh(s.Context()); err != nil {
		s.Fatalf("refreshing: %v", err)
	}
}

// retire ends an epoch and destroys its key, as nothing needs it any more.
func (s *spine) retire(secret signer.Secret, epoch int) {
	s.Helper()
	s.clock.advance(5 * time.Minute) // by then every module has learnt of the next one
	if err := s.end(secret, epoch); err != nil {
		s.Fatalf("ending %s: %v", secret.Label(epoch), err)
	}
	if err := s.token.Destroy(s.Context(), secret.Label(epoch)); err != nil {
		s.Fatalf("destroying %s: %v", secret.Label(epoch), err)
	}
}

func (s *spine) end(secret signer.Secret, epoch int) error {
	return s.db.EndEpoch(s.Context(), secret, epoch, audit.Entry{
		Type: audit.KeyEpochDestroyed, Operation: "test", At: s.clock.Now(), Payload: map[string]any{"key": secret.Label(epoch)},
	})
}

func (s *spine) inUse(secret signer.Secret, epoch int) {
	s.Helper()
	s.clock.advance(61 * time.Second) // by then that is the only reason
	if err := s.end(secret, epoch); !errors.Is(err, store.ErrEpochInUse) {
		s.Errorf("ending %s: got %v, want %v", secret.Label(epoch), err, store.ErrEpochInUse)
	}
}

// A new pepper: boxes move at their next use, codes of the old one still work,
// and once nothing needs it, the old one can go.
func TestPepperRotation(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		waiting := must[citizen.Receipt](s.T)(s.register.Register(s.Context(), s.person(eva, evaPhone)))
		s.clock.advance(time.Minute)
		_, session := s.ready(ana, "uno")
		code := s.phone.last().Code
		s.rotate(signer.Pepper)
		s.inUse(signer.Pepper, 2) // the newest of its kind
		s.inUse(signer.Pepper, 1)
		if err := s.answer(session, code); err != nil {
			s.Errorf("a code under the old pepper: %v", err)
		}
		s.enter(s.person(eva, evaPhone), waiting.ActivationCode, password)
		s.inUse(signer.Pepper, 1) // Ana's box
		_, before := s.record()
		macs := s.keys.macs.Load()
		s.ask(ana, "dos")
		_ = s.again("", password)
		if got, want := s.keys.macs.Load()-macs, s.renewalMACs(); got != want {
			s.Errorf("moving a box costs %d HMACs, want %d", got, want)
		}
		_, after := s.record()
		if after.Sealed.Pepper != 2 || after.Generation != before.Generation+1 || after.Certificate.Serial != before.Certificate.Serial {
			s.Errorf("pepper %d, generation %d; want 2 and %d, with the same certificate", after.Sealed.Pepper, after.Generation, before.Generation+1)
		}
		_ = s.again("", password)
		if _, again := s.record(); again.Generation != after.Generation {
			s.Error("a box moves at each use")
		}
		s.retire(signer.Pepper, 1)
		s.signs(ana, password)
		s.signs(eva, password)
		s.strangerAlike()
		if err := s.change(password); err != nil {
			s.Errorf("changing the password: %v", err)
		}
	})
}

// renewalMACs are those of an identification that moves the box: the record's
// seal checked, the old sealing key, the new one, the record sealed again.
func (*spine) renewalMACs() int64 { return 4 }

// strangerAlike checks that an unknown citizen still answers like a wrong
// password.
func (s *spine) strangerAlike() {
	s.Helper()
	s.clock.advance(2 * time.Hour)
	_, known := s.identifyFrom(elsewhere, "", ana, "Equivocada-1")
	_, stranger := s.identifyFrom(elsewhere, "", "00000000T", "Equivocada-1")
	if known == nil || stranger == nil || known.Error() != stranger.Error() {
		s.Errorf("a stranger is told %v, a citizen %v", stranger, known)
	}
}

// A new sealing key of records: a record moves at its citizen's next use.
func TestSealRotation(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.activate(eva, evaPhone)
		receipt := must[citizen.Receipt](s.T)(s.register.RenewActivation(s.Context(), s.identifier(eva), citizen.By{Office: "office"}))
		a := s.person(eva, evaPhone)
		s.clock.advance(time.Hour)
		activation, _, err := s.register.StartActivation(s.Context(), citizen.Claim{Identifier: a.Identifier, Email: a.Email, Code: receipt.ActivationCode})
		if err != nil {
			s.Fatalf("starting an activation: %v", err)
		}
		s.rotate(signer.SealKey)
		// An activation under way goes on.
		if err := s.register.Confirm(s.Context(), signer.Answer{Ticket: activation.Ticket, Code: s.phone.last().Code}); err != nil {
			s.Fatalf("confirming: %v", err)
		}
		if err := s.register.SetPassword(s.Context(), activation.Ticket, s.chosen(second)); err != nil {
			s.Fatalf("setting a password: %v", err)
		}
		s.inUse(signer.SealKey, 1) // Ana's record
		s.signs(ana, password)
		if c, _ := s.record(); c.Seal.Epoch != 2 {
			s.Errorf("the record is sealed in epoch %d, want 2", c.Seal.Epoch)
		}
		s.gone("") // tickets that have ended, and were sealed
		s.retire(signer.SealKey, 1)
		s.signs(ana, password)
		s.signs(eva, second)
		s.strangerAlike()
	})
}

// A dearer guess: boxes move to it at their next use.
func TestCostRaised(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		s.signs(ana, password)
		_, before := s.record()
		dearer := signer.Cost{MemoryKiB: 128, Passes: 2, Lanes: 1}
		config := s.module.Config
		config.Vault = signer.NewVault(signer.VaultConfig{Keys: s.keys, Epochs: s.vault.Epochs(), Parallel: 2, Queue: 64, Cost: dearer})
		s.module = signer.New(config)
		_, err := s.identify("", ana, "Equivocada-1")
		s.wants(err, policies.CredentialsWrong)
		if _, k := s.record(); k.Sealed.Cost != before.Sealed.Cost {
			s.Errorf("a wrong password moved the box to %+v", k.Sealed.Cost)
		}
		s.signs(ana, password)
		if _, k := s.record(); k.Sealed.Cost != dearer || k.Generation != before.Generation+1 {
			s.Errorf("cost %+v in generation %d, want %+v in %d", k.Sealed.Cost, k.Generation, dearer, before.Generation+1)
		}
	})
}

// A key that is kept as keys no longer are does not move: at its citizen's next
// use another takes its place, whose certificate supersedes the old one's.
func TestReplacedKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		from   signer.KeeperName
		change func(s *spine)
		keeper signer.KeeperName
		kek    int
	}{
		{"sealed to token", signer.SealedKeeper, func(s *spine) { s.setKeeper(signer.TokenKeeper) }, signer.TokenKeeper, 1},
		{"token to sealed", signer.TokenKeeper, func(s *spine) { s.setKeeper(signer.SealedKeeper) }, signer.SealedKeeper, 1},
		{"another KEK", signer.SealedKeeper, func(s *spine) { s.rotate(signer.KEK) }, signer.SealedKeeper, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSpine(t, c.from)
			s.activate(ana, anaPhone)
			_, sad := s.consent(ana, password, "consentido antes")
			_, before := s.record()
			c.change(s)
			request := s.ask(ana, "uno")
			s.clock.advance(time.Minute)
			session := s.again(request, password)
			if session.Certified {
				t.Error("the session may sign with a key that has to be replaced")
			}
			s.fix(request, session)
			_, err := s.module.SendCode(t.Context(), signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature})
			s.wants(err, policies.CredentialMissing)
			next := s.certify(session)
			if !next.Certified {
				t.Error("the session may not sign after the replacement")
			}
			s.wants(s.module.Sign(t.Context(), sad), policies.AuthorisationInvalid)
			_, after := s.record()
			if after.Keeper != c.keeper || after.KEK != c.kek || bytes.Equal(after.PublicKey, before.PublicKey) || (after.KeyLabel != "") != (c.keeper == signer.TokenKeeper) {
				t.Errorf("the key is kept by %s under KEK %d as %q, want another by %s under %d", after.Keeper, after.KEK, after.KeyLabel, c.keeper, c.kek)
			}
			revoked := s.revocations()
			if len(revoked) != 0 {
				t.Errorf("revoked %+v, want none: it would cast doubt on what was signed", revoked)
			}
			s.gone(before.KeyLabel)
			s.fix(request, next)
			s.clock.advance(time.Minute)
			s.send(next, signer.ForSignature)
			if err := s.sign(next); err != nil {
				t.Errorf("signing with the new key: %v", err)
			}
			s.signs(ana, password)
			if c.kek == 2 {
				s.retire(signer.KEK, 1)
				s.signs(ana, password)
			}
		})
	}
}

func (s *spine) setKeeper(keeper signer.KeeperName) {
	s.Helper()
	if err := s.db.SetKeeper(s.Context(), keeper, keeperChanged(keeper, s.clock.Now())); err != nil {
		s.Fatalf("choosing a keeper: %v", err)
	}
	s.refresh()
}

// Where the rules allow no new certificate the old key goes on to its end.
func TestOldKeyGoesOn(t *testing.T) {
	t.Parallel()
	for _, from := range []signer.KeeperName{signer.SealedKeeper, signer.TokenKeeper} {
		t.Run(string(from), func(t *testing.T) {
			t.Parallel()
			s := newSpine(t, from)
			s.activate(ana, anaPhone)
			s.signs(ana, password)
			_, before := s.record()
			s.age(5*365*24*time.Hour + 72*time.Hour)
			to := signer.TokenKeeper
			if from == to {
				to = signer.SealedKeeper
			}
			s.setKeeper(to)
			s.rotate(signer.KEK)
			s.signs(ana, password)
			_, after := s.record()
			if after.Keeper != from || after.Certificate.Serial != before.Certificate.Serial {
				t.Errorf("the key is kept by %s, want still by %s", after.Keeper, from)
			}
			if from == signer.SealedKeeper {
				s.inUse(signer.KEK, 1)
			}
		})
	}
}

// A process that dies while it makes a key leaves nothing in the token, once
// the reaper has been.
func TestNoKeyIsLeftBehind(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.TokenKeeper)
	s.activate(ana, anaPhone)
	for _, step := range []string{"issue/begun", "issue/generated", "issue/certified"} {
		s.clock.advance(time.Hour)
		session := s.again(s.ask(ana, step), password)
		s.send(session, signer.ForCertificate)
		s.dieAt(step, func(module *signer.Service) {
			_, _ = module.IssueCredential(context.WithoutCancel(t.Context()), signer.Answer{Ticket: session.Ticket, Code: s.phone.last().Code})
		})
		label := s.insider().text(`SELECT label FROM token_keys`)
		if got, want := must[bool](t)(s.token.Exists(t.Context(), label)), step != "issue/begun"; got != want {
			t.Errorf("dead at %s: the token has the key: %t, want %t", step, got, want)
		}
		s.gone("") // its lease is not over
		if step != "issue/begun" && !must[bool](t)(s.token.Exists(t.Context(), label)) {
			t.Errorf("dead at %s: destroyed before its lease was over", step)
		}
		s.clock.advance(2 * time.Minute)
		s.gone(label)
		if n := s.rows("token_keys"); n != 0 {
			t.Errorf("dead at %s: %d keys noted, want none", step, n)
		}
		s.invariants()
	}
	s.signs(ana, password)
	if n := s.rows("token_keys"); n != 1 {
		t.Errorf("%d keys noted, want Ana's", n)
	}
}

func keeperChanged(to signer.KeeperName, at time.Time) audit.Entry {
	return audit.Entry{
		Type: audit.KeeperChanged, Operation: "test", At: at, Payload: map[string]any{"from": "sealed", "to": string(to)},
	}
}
