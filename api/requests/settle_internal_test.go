package requests

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/signer"
)

// model is an envelope whose database is this struct, and what must never be.
type model struct {
	e     signer.Envelope
	now   time.Time
	made  int
	ended signer.EnvelopeState
}

func (m *model) request(id string) *signer.EnvelopeSigner {
	for i := range m.e.Signers {
		if m.e.Signers[i].RequestID == id {
			return &m.e.Signers[i]
		}
	}
	return nil
}

// obey does part of a move, as a process that dies in the midst of it, in the way
// of the store: what is done already is not done again.
func (m *model) obey(t *rapid.T, next move, steps int) {
	step := func() bool { steps--; return steps >= 0 }
	if next.end != "" && step() {
		if m.e.State != signer.EnvelopePending {
			t.Fatalf("an envelope that is %s is to be %s", m.e.State, next.end)
		}
		m.e.State, m.ended = next.end, next.end
	}
	if next.ask != nil && step() {
		s := &m.e.Signers[next.ask.Position-1]
		if s.RequestID != "" {
			t.Fatalf("signer %d is asked twice", s.Position)
		}
		m.made++
		s.RequestID, s.State = fmt.Sprintf("R%d", m.made), signer.Received
	}
	for _, id := range next.open {
		if s := m.request(id); step() && s.State == signer.Received {
			s.State = signer.Pending
		}
	}
	for _, id := range next.withdraw {
		if s := m.request(id); step() && s.Open() {
			s.State = signer.Withdrawn
		}
	}
}

// outcome lets something become of a request that waits or signs.
func (m *model) outcome(t *rapid.T) {
	s := &m.e.Signers[rapid.IntRange(0, len(m.e.Signers)-1).Draw(t, "who")]
	switch {
	case s.State == signer.Pending && m.e.State == signer.EnvelopePending && !m.rejected(): // as store.inTurn has it
		s.State = rapid.SampledFrom([]signer.State{signer.Signing, signer.Refused, signer.Expired}).Draw(t, "outcome")
	case s.State == signer.Signing:
		s.State = rapid.SampledFrom([]signer.State{signer.Signed, signer.Pending}).Draw(t, "end")
	}
}

func (m *model) rejected() bool {
	for _, s := range m.e.Signers {
		if s.State == signer.Refused || s.State == signer.Expired || s.State == signer.Withdrawn {
			return true
		}
	}
	return false
}

func (m *model) settled(t *rapid.T) {
	for range 100 {
		next := next(m.e, m.now)
		if next.nothing() {
			return
		}
		m.obey(t, next, 100)
	}
	t.Fatal("it does not come to rest")
}

func (m *model) check(t *rapid.T) {
	signed, open := 0, 0
	for i, s := range m.e.Signers {
		if s.State == signer.Signed {
			signed++
		}
		if s.Open() || s.State == signer.Signing {
			open++
		}
		if m.e.Ordering == signer.Sequential && i > 0 && s.RequestID != "" && m.e.Signers[i-1].State != signer.Signed {
			t.Fatalf("signer %d was asked before signer %d had signed", i+1, i)
		}
	}
	if m.e.Ordering == signer.Sequential && open > 1 {
		t.Fatalf("%d are asked at once", open)
	}
	if m.e.State == signer.EnvelopeCompleted && signed != len(m.e.Signers) {
		t.Fatalf("completed by %d of %d", signed, len(m.e.Signers))
	}
	if m.ended != "" && m.e.State != m.ended {
		t.Fatalf("%s became %s", m.ended, m.e.State)
	}
}

// TestEnvelopeStates: whatever becomes of the requests, whoever dies in the midst
// of settling and whoever settles twice, an envelope ends once, asks each signer
// once and in the order that was asked for, and leaves nobody waiting in vain.
func TestEnvelopeStates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
		m := &model{now: start, e: signer.Envelope{
			State: signer.EnvelopePending, Ordering: rapid.SampledFrom([]signer.Ordering{signer.Parallel, signer.Sequential}).Draw(t, "order"),
			ExpiresAt: start.Add(time.Hour),
		}}
		for i := range rapid.IntRange(fewestSigners, mostSigners).Draw(t, "signers") {
			m.e.Signers = append(m.e.Signers, signer.EnvelopeSigner{Position: i + 1})
		}
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				if m.e.State == signer.EnvelopePending && rapid.IntRange(0, 9).Draw(t, "really") == 0 {
					m.e.State, m.ended = signer.EnvelopeCancelled, signer.EnvelopeCancelled
				}
			case 1:
				m.now = m.now.Add(time.Minute)
			case 2, 3, 4, 5:
				m.outcome(t)
			case 6, 7:
				m.settled(t)
			default: // two processes at once, of which one has read what the other has changed since
				stale := next(m.e, m.now)
				m.obey(t, next(m.e, m.now), rapid.IntRange(0, 3).Draw(t, "done"))
				if stale.ask == nil && stale.end == "" { // these two the store compares
					m.obey(t, stale, rapid.IntRange(0, 3).Draw(t, "done again"))
				}
			}
			m.check(t)
		}
		m.settled(t)
		m.check(t)
		for _, s := range m.e.Signers {
			if m.e.State != signer.EnvelopePending && s.Open() {
				t.Fatalf("signer %d waits although the envelope is %s", s.Position, m.e.State)
			}
			if m.e.State == signer.EnvelopePending && s.State == signer.Received {
				t.Fatalf("signer %d is not asked", s.Position)
			}
		}
	})
}

func TestInitials(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"María de los Ángeles Pérez Núñez": "M. Á. P. N.", "": "", " ": "", "José-Luis d'Ors": "J.", "Íñigo  ǅ": "Í. ǅ.",
	} {
		if got := initials(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
