package sandbox_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/sandbox"
)

// TestCitizens reads their data as an office's are read.
func TestCitizens(t *testing.T) {
	t.Parallel()
	numbers := map[string]bool{}
	for _, c := range sandbox.Citizens() {
		id, err := citizen.ParseIdentifier(c.Identifier)
		name, nameErr := citizen.ParseName(sandbox.GivenName, c.Surnames)
		phone, phoneErr := citizen.ParsePhone(c.Phone)
		_, mailErr := citizen.ParseEmail(c.Email)
		if err := errors.Join(err, nameErr, phoneErr, mailErr); err != nil || id.String() != c.Identifier || phone.String() != c.Phone {
			t.Errorf("%s: got %v, want data that an office could bring", c.Surnames, err)
		}
		password, err := citizen.ParsePassword([]byte(sandbox.Password))
		if err == nil {
			err = citizen.CheckPassword(password, citizen.PasswordContext{Name: name, Identifier: id})
		}
		if err != nil {
			t.Errorf("%s: got %v, want the password allowed", c.Surnames, err)
		}
		for _, own := range []string{c.Identifier, c.Phone, c.Email, c.Surnames} {
			if numbers[own] {
				t.Errorf("%s: got %s twice", c.Surnames, own)
			}
			numbers[own] = true
		}
	}
}

// outside hears what leaves the process.
type outside struct {
	signer.Courier

	codes, messages []string
}

func (o *outside) SendCode(_ context.Context, m signer.CodeMessage) error {
	o.codes = append(o.codes, m.Phone)
	return nil
}

func (o *outside) Send(_ context.Context, m notify.Message) error {
	o.messages = append(o.messages, m.To)
	return nil
}

const sent = "12345679"

// post is an outbox to which a code was sent.
func post(t *testing.T, now *time.Time, surnames string, purpose signer.Purpose) (*sandbox.Outbox, error) {
	t.Helper()
	code, err := signer.ParseCode(sent)
	if err != nil {
		t.Fatal(err)
	}
	o := &sandbox.Outbox{Now: func() time.Time { return *now }}
	beyond := &outside{}
	for _, c := range sandbox.Citizens() {
		if c.Surnames == surnames {
			err = o.Courier(beyond).SendCode(t.Context(), signer.CodeMessage{Phone: c.Phone, RequestID: "r", Purpose: purpose, Code: code})
		}
	}
	if len(beyond.codes) > 0 {
		t.Errorf("%s: got a code sent outside, want none", surnames)
	}
	return o, err
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		surnames string
		purpose  signer.Purpose
		after    time.Duration
		want     []string // as it is read, one time after the other
	}{
		{"OK", signer.ForSignature, 0, []string{sent, sent}},
		{"Wrong Code", signer.ForSignature, 0, []string{"12345670", sent, sent}},
		{"Wrong Code", signer.ForCertificate, 0, []string{sent}},
		{"Slow SMS", signer.ForSignature, sandbox.Delay - time.Second, []string{""}},
		{"Slow SMS", signer.ForSignature, sandbox.Delay, []string{sent}},
		{"Slow SMS", signer.ForCertificate, 0, []string{sent}},
		{"No SMS", signer.ForCertificate, 0, []string{sent}},
	} {
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		o, err := post(t, &now, test.surnames, test.purpose)
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(test.after)
		for i, want := range test.want {
			m, err := o.Code(t.Context(), "r")
			if want == "" && errors.Is(err, policies.Refuse(policies.NotFound)) {
				continue
			}
			if err != nil || m.Code.Reveal() != want {
				t.Errorf("%s, %s, reading %d: got %q and %v, want %q", test.surnames, test.purpose, i+1, m.Code.Reveal(), err, want)
			}
		}
		if _, err := o.Code(t.Context(), "another"); !errors.Is(err, policies.Refuse(policies.NotFound)) {
			t.Errorf("got %v for another request, want nothing found", err)
		}
	}
	now := time.Now()
	if _, err := post(t, &now, "No SMS", signer.ForSignature); !errors.Is(err, policies.Refuse(policies.SMSFailed)) {
		t.Errorf("got %v, want %s", err, policies.SMSFailed)
	}
}

// TestOthers: whoever is none of the citizens gets SMS as ever.
func TestOthers(t *testing.T) {
	t.Parallel()
	const stranger = "+34600000421"
	ours := sandbox.Citizens()[0].Phone
	o, beyond := &sandbox.Outbox{Now: time.Now}, &outside{}
	if err := o.Courier(beyond).SendCode(t.Context(), signer.CodeMessage{Phone: stranger}); err != nil || len(beyond.codes) != 1 {
		t.Errorf("got %v and %v, want the code on its way", err, beyond.codes)
	}
	for _, to := range []string{ours, stranger} {
		if err := o.Sender(beyond).Send(t.Context(), notify.Message{To: to}); err != nil {
			t.Errorf("%s: got %v", to, err)
		}
	}
	if len(beyond.messages) != 1 || beyond.messages[0] != stranger {
		t.Errorf("got messages to %v, want one to %s", beyond.messages, stranger)
	}
}

// people keep what the register stores.
type people struct {
	citizen.Store
	citizen.People
	citizen.Vault

	stored  signer.Citizen
	entries []audit.Entry
}

func (*people) ByIdentifier(context.Context, string) (signer.Citizen, *signer.Credential, error) {
	return signer.Citizen{}, nil, policies.Refuse(policies.CitizenUnknown)
}

func (*people) Change(context.Context, signer.Citizen, *signer.Credential) (signer.Change, error) {
	return signer.Change{}, nil
}

func (*people) Epochs() signer.Epochs { return signer.Epochs{} }

func (*people) CheckActivation(context.Context, int, string, string) ([]byte, error) {
	return []byte("mac"), nil
}

func (p *people) Register(_ context.Context, r citizen.Registering, entries ...audit.Entry) error {
	p.stored, p.entries = r.Citizen, entries
	return nil
}

func TestRegister(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for identifier, want := range map[string]struct {
		level policies.Level
		years int
	}{
		"99999101T": {policies.LevelAdvanced, 0}, "99999104A": {policies.LevelBasic, 0}, "99999105G": {policies.LevelAdvanced, 6}, "12345678Z": {policies.LevelAdvanced, 0},
	} {
		id, err := citizen.ParseIdentifier(identifier)
		if err != nil {
			t.Fatal(err)
		}
		p := &people{}
		register := sandbox.Register{Config: citizen.Config{Store: p, People: p, Vault: p, Now: func() time.Time { return now }}}
		_, err = register.Perform(t.Context(), citizen.Statement{
			Kind: citizen.ActRegister, OfficeName: "Oficina", Officer: "Rosa Gil", Application: citizen.Application{Identifier: id, DocumentUntil: now.AddDate(1, 0, 0)},
		})
		got := p.stored.Registration
		if err != nil || got.Level != string(want.level) || !got.AssuredAt.Equal(now.AddDate(-want.years, 0, 0)) || got.Office != "Oficina" {
			t.Errorf("%s: got %+v and %v, want level %s, %d years ago", identifier, got, err, want.level, want.years)
		}
		for _, e := range p.entries {
			if !e.At.Equal(now) {
				t.Errorf("%s: got %s in the log at %s, want it now", identifier, e.Type, e.At)
			}
		}
	}
}
