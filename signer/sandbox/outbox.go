package sandbox

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/rubrica-firma/rubrica/notify"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// memory is how long a code is kept: well beyond its life.
const memory = time.Hour

// Message is a code that was sent to one of the citizens.
type Message struct {
	Identifier string
	Purpose    signer.Purpose
	Reference  string // of the documents, as the signing page shows it
	Code       signer.Code
	SentAt     time.Time
}

// Outbox is the telephones of the citizens: what goes to them goes nowhere else,
// and is gone with the process. Everybody else's messages pass.
type Outbox struct {
	Now func() time.Time

	mu sync.Mutex
	// last is the last message of a signature request, by its id, and of what no
	// request asked for, by DNI.
	last map[string]*held
}

type held struct {
	Message

	arrives time.Time
	lies    bool // to whoever reads it next
}

// Code is the last code of a signature request, or of what no request asked for
// of the citizen with that DNI (policies.NotFound).
func (o *Outbox) Code(_ context.Context, id string) (Message, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h, ok := o.last[id]
	if !ok || o.Now().Before(h.arrives) {
		return Message{}, policies.Refuse(policies.NotFound)
	}
	m := h.Message
	if h.lies {
		h.lies = false
		var err error
		if m.Code, err = another(m.Code); err != nil {
			return Message{}, err
		}
	}
	return m, nil
}

// another is a code that differs in its last digit.
func another(c signer.Code) (signer.Code, error) {
	digits := []byte(c.Reveal())
	last := len(digits) - 1
	digits[last] = '0' + (digits[last]-'0'+1)%10
	return signer.ParseCode(string(digits))
}

func (o *Outbox) keep(c Citizen, m signer.CodeMessage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.Now()
	for id, h := range o.last {
		if now.Sub(h.SentAt) > memory {
			delete(o.last, id)
		}
	}
	h := &held{
		Identifier: c.Identifier, Purpose: m.Purpose, Reference: m.Reference, Code: m.Code, SentAt: now, arrives: now,
	}
	if m.Purpose == signer.ForSignature {
		h.lies = c.Code == Wrong
		if c.Code == Late {
			h.arrives = now.Add(Delay)
		}
	}
	if o.last == nil {
		o.last = map[string]*held{}
	}
	o.last[cmp.Or(m.RequestID, c.Identifier)] = h
}

// Courier keeps the codes of the citizens, and leaves all others to next.
func (o *Outbox) Courier(next signer.Courier) signer.Courier { return courier{next, o} }

type courier struct {
	signer.Courier

	outbox *Outbox
}

// SendCode implements signer.Courier.
func (c courier) SendCode(ctx context.Context, m signer.CodeMessage) error {
	to, ours := byPhone(m.Phone)
	switch {
	case !ours:
		return c.Courier.SendCode(ctx, m)
	case to.Code == NotTaken && m.Purpose == signer.ForSignature:
		return policies.Refuse(policies.SMSFailed)
	}
	c.outbox.keep(to, m)
	return nil
}

// Sender has no message for the citizens leave the process: their numbers may be
// somebody's.
func (o *Outbox) Sender(next notify.Sender) notify.Sender { return sender{next} }

type sender struct{ next notify.Sender }

// Send implements notify.Sender.
func (s sender) Send(ctx context.Context, m notify.Message) error {
	if _, ours := byPhone(m.To); ours {
		return nil
	}
	return s.next.Send(ctx, m)
}
