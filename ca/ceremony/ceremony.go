package ceremony

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
)

// Token keeps key pairs, found by label. hsm.Token fulfils it.
type Token interface {
	Exists(ctx context.Context, label string) (bool, error)
	ServiceKey(ctx context.Context, label string) (crypto.Signer, error)
	CreateServiceKey(ctx context.Context, label, algorithm string) (crypto.Signer, error)
}

// Secret is a secret key of the service's token in its first epoch, known by a
// value that only it can compute.
type Secret struct {
	Kind       string // kek, pepper, seal
	Epoch      int
	Label      string
	CheckValue []byte
}

// Secrets makes the secret keys that are not there yet, and says how all of
// them answer.
type Secrets interface {
	Make(ctx context.Context) ([]Secret, error)
}

// Record is what one step leaves in the database.
type Record struct {
	Step    string // never done twice
	Members []ca.Member
	Secrets []Secret
	Keeper  string   // of citizens' keys; empty: as it is
	Retire  []string // members with whose keys nothing new is done
	List    *ca.PublishedList
}

// ErrStepDone means that a step was recorded before, by somebody else.
var ErrStepDone = errors.New("this step of the ceremony has been done already, by somebody else: run the command again")

// Store keeps what is done. Each method that writes is one transaction.
type Store interface {
	Hierarchy(ctx context.Context) (ca.Hierarchy, error)
	CeremonySteps(ctx context.Context) (map[string]time.Time, error)
	// Record stores a step with its log entries, or ErrStepDone.
	Record(ctx context.Context, r Record, entries ...audit.Entry) error
	// Log writes an intent down before a key is used.
	Log(ctx context.Context, entries ...audit.Entry) error
	// Secrets lists the secret keys that are recorded.
	Secrets(ctx context.Context) ([]Secret, error)

	// Shard is the revocation list that a certificate issued now will name.
	Shard(ctx context.Context, issuer string, now time.Time) (string, error)
	NewestList(ctx context.Context, shard string) (ca.PublishedList, error)
	RevokedMembers(ctx context.Context, issuer string) ([]ca.Revocation, error)
	RevokeMember(ctx context.Context, name string, reason ca.Reason, list *ca.PublishedList, e audit.Entry) error

	// Alone keeps other ceremonies out until release is called. It fails with
	// ErrHeld if one is being held.
	Alone(ctx context.Context) (release func(), err error)
}

// ErrHeld means that another ceremony is being held on the same database.
var ErrHeld = errors.New("another key ceremony is being held on this database: wait for its end, and run the command again")

// Console is where the people are.
type Console interface {
	// Say prints a line.
	Say(line string)
	// Confirm asks whether to go on.
	Confirm(ctx context.Context, question string) (bool, error)
}

// ErrStopped means that a person said no. What was done before stays done.
var ErrStopped = errors.New("stopped by hand: nothing of this step was done; the same command goes on here")

// Settings are what a deployment chooses.
type Settings struct {
	Base string // public address of the service, http, without a slash at its end

	// Organisation and OrganisationIdentifier name the root; those below it are
	// named after it.
	Organisation           string
	OrganisationIdentifier string

	RootAlgorithm, IssuingAlgorithm, OCSPAlgorithm, TSAAlgorithm string

	RootYears, IssuingYears int
	RootListMonths          int    // from a list of the root to its next one
	Keeper                  string // where citizens' keys are kept at first

	Profile ca.Profile
}

// House is where ceremonies are held.
type House struct {
	Settings

	Store   Store
	Console Console
	Service Token
	Secrets Secrets
	// Root opens the root's token. It is asked when a step needs the root's key.
	// Whatever it fails with tells the person what to do.
	Root func(ctx context.Context) (Token, error)
	// RootKept is where new roots have their key: ca.RootToken, or
	// ca.ServiceToken where a deployment has but one token.
	RootKept string
	Lint     ca.Lint
	Now      func() time.Time
}

// ceremony is what is held: its name is the beginning of its steps' names.
type ceremony struct {
	name  string
	title string
	steps []step
}

// step is one of a ceremony's. Its do returns what is to be recorded, with
// entries for the log and lines for the minutes.
type step struct {
	name string
	what string // will be done, in the infinitive
	do   func(ctx context.Context) (outcome, error)
}

type outcome struct {
	Record

	entries []audit.Entry
	lines   []string
}

func (c *ceremony) add(name, what string, do func(ctx context.Context) (outcome, error)) {
	c.steps = append(c.steps, step{name: c.name + "/" + name, what: what, do: do})
}

// hold does the steps that are not done yet.
func (h *House) hold(ctx context.Context, c ceremony) error {
	done, err := h.Store.CeremonySteps(ctx)
	if err != nil {
		return fmt.Errorf("reading what has been done: %w", err)
	}
	h.Console.Say(c.title)
	for i, s := range c.steps {
		place := fmt.Sprintf("[%d/%d] %s", i+1, len(c.steps), s.name)
		if at, is := h.doneAt(done, s.name); is {
			h.Console.Say(fmt.Sprintf("%s: done on %s.", place, at.Format(time.DateTime)))
			continue
		}
		h.Console.Say(place + ": " + s.what)
		if err := h.confirmed(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := h.perform(ctx, c, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (h *House) confirmed(ctx context.Context) error {
	yes, err := h.Console.Confirm(ctx, "Go on?")
	if err == nil && !yes {
		err = ErrStopped
	}
	return err
}

func (h *House) perform(ctx context.Context, c ceremony, s step) error {
	o, err := s.do(ctx)
	if err != nil {
		return err
	}
	o.Step = s.name
	now := h.Now()
	facts := map[string]any{"step": s.name}
	if len(o.Retire) > 0 {
		facts["retired"] = o.Retire
	}
	entries := append([]audit.Entry{{Type: audit.KeyCeremony, Payload: facts}}, o.entries...)
	for i := range entries {
		entries[i].Operation, entries[i].At = operation(c.name), now
	}
	// A key was used or made: whoever gives up now must not lose the record.
	if err := h.Store.Record(context.WithoutCancel(ctx), o.Record, entries...); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	for _, line := range o.lines {
		h.Console.Say("    " + line)
	}
	return nil
}

// operation is the name of a ceremony in the log.
func operation(name string) string { return "ceremony:" + name }

// firstOfOld is the one step of the first ceremony before there were steps.
const firstOfOld = "ceremony-1"

// doneAt is when a step was done. The one step of old did most of what the
// first ceremony is now; what it did not is left to do.
func (h *House) doneAt(done map[string]time.Time, name string) (time.Time, bool) {
	if at, is := done[name]; is {
		return at, true
	}
	at, old := done[firstOfOld]
	switch strings.TrimPrefix(name, "init/") {
	case "secrets", "root-key", "root", "issuing-1-key", "issuing-1":
		return at, old
	default:
		return time.Time{}, false
	}
}

// authority is an issuing member with its key, ready to certify.
func (h *House) authority(ctx context.Context, m ca.Member) (*ca.Authority, error) {
	certificate, err := m.Certificate()
	if err != nil {
		return nil, err
	}
	key, err := h.Service.ServiceKey(ctx, m.KeyLabel)
	if err != nil {
		return nil, fmt.Errorf("finding the key of %s: %w", m.Name, err)
	}
	return ca.New(ca.Config{
		Certificate: certificate, Signer: key, Profile: h.Profile, Lint: h.Lint,
		Addresses: ca.Addresses{Issuer: h.address(m.Name + ".cer"), OCSP: h.Base + "/ocsp"},
	})
}

func (h *House) address(file string) string { return h.Base + "/ca/" + file }

// member is one of the hierarchy that must be there.
func (h *House) member(ctx context.Context, name string) (ca.Member, *x509.Certificate, error) {
	hierarchy, err := h.Store.Hierarchy(ctx)
	if err != nil {
		return ca.Member{}, nil, fmt.Errorf("reading the hierarchy: %w", err)
	}
	m, there := hierarchy.Named(name)
	if !there {
		return ca.Member{}, nil, fmt.Errorf("%w: %s", ErrNoMember, name)
	}
	certificate, err := m.Certificate()
	return m, certificate, err
}

// Errors that a person can mend.
var (
	ErrNoMember = errors.New("the hierarchy has no such member (rubrica ca status lists them; rubrica ca init makes the first)")
	ErrOtherKey = errors.New("another key than expected")
	// ErrUnable is a token's refusal, for good, to make a key of that algorithm.
	ErrUnable = errors.New("this token makes no such keys: bring its firmware and its PKCS#11 module up to date, " +
		"or name another module or token; rubrica hsm probe says what a token can do")
)
