package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
)

// Journal keeps what became of messages. *store.DB fulfils it.
type Journal interface {
	// HandedOver stores that an operator has accepted a message.
	HandedOver(ctx context.Context, d signer.Delivery) error
	// Arrived stores how it ended. It reports whether the operator's message is
	// known.
	Arrived(ctx context.Context, d signer.Delivery) (bool, error)
}

// Operator is an account at somebody who carries SMS.
type Operator struct {
	Name string // of the account, unique
	// Submit hands a message over and returns the operator's name for it, empty if
	// the operator tells of no deliveries.
	Submit func(ctx context.Context, m Message) (string, error)
}

// Operators hands a message to the first operator that accepts it in time. One
// that did not answer may have accepted it all the same: a code that arrives
// twice does less harm than one that does not.
type Operators struct {
	All      []Operator    // those to ask first, first
	Patience time.Duration // with each
	Journal  Journal
	Now      func() time.Time
	Logger   *slog.Logger
}

// Send hands one message over.
func (o *Operators) Send(ctx context.Context, m Message) error {
	var failures []error
	for _, operator := range o.All {
		id, err := o.submit(ctx, operator, m)
		if err != nil {
			o.Logger.WarnContext(ctx, "sms_operator_failed", "operator", operator.Name, "message", m.ID, "error", err)
			failures = append(failures, fmt.Errorf("operator %s: %w", operator.Name, err))
			continue
		}
		err = o.Journal.HandedOver(context.WithoutCancel(ctx), signer.Delivery{
			ID: m.ID, Operator: operator.Name, OperatorID: id, State: signer.DeliveryAccepted, At: o.Now(),
		})
		if err != nil { // it is on its way: only what is told about it is lost
			o.Logger.ErrorContext(ctx, "sms_unrecorded", "message", m.ID, "error", err)
		}
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNotAccepted, errors.Join(failures...))
}

func (o *Operators) submit(ctx context.Context, operator Operator, m Message) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Patience)
	defer cancel()
	return operator.Submit(ctx, m)
}

// Arrived records what an operator says of a message: it may say so before
// [Operators.Send] has stored the message's name, and is given a moment.
func (o *Operators) Arrived(ctx context.Context, operator, id string, delivered bool) {
	d := signer.Delivery{Operator: operator, OperatorID: id, State: signer.DeliveryFailed, At: o.Now()}
	if delivered {
		d.State = signer.DeliveryDone
	}
	for wait := 100 * time.Millisecond; wait < 2*time.Second; wait *= 4 {
		known, err := o.Journal.Arrived(ctx, d)
		if err != nil {
			o.Logger.ErrorContext(ctx, "sms_receipt_unrecorded", "operator", operator, "error", err)
		}
		if known {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
	o.Logger.InfoContext(ctx, "sms_receipt_unknown", "operator", operator)
}
