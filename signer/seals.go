package signer

import (
	"context"
	"crypto/hmac"
	"fmt"
	"strconv"

	"github.com/rubrica-firma/rubrica/policies"
)

// Seal is an HMAC over a record of that kind; the record's own key must be
// among the fields.
func (v *Vault) Seal(ctx context.Context, kind string, fields ...string) (int, []byte, error) {
	epoch := v.Epochs().Seal
	mac, err := v.keys.MAC(ctx, SealKey.Label(epoch), bind(append([]string{"record", kind}, fields...)...))
	if err != nil {
		return 0, nil, fmt.Errorf("sealing a record: %w", err)
	}
	return epoch, mac, nil
}

// CheckSeal refuses a record that this service did not write as it stands
// (policies.RecordTampered).
func (v *Vault) CheckSeal(ctx context.Context, epoch int, mac []byte, kind string, fields ...string) error {
	if epoch < 1 {
		return policies.Refuse(policies.RecordTampered)
	}
	want, err := v.keys.MAC(ctx, SealKey.Label(epoch), bind(append([]string{"record", kind}, fields...)...))
	if err != nil {
		return fmt.Errorf("checking a record's seal: %w", err)
	}
	if !hmac.Equal(mac, want) {
		return policies.Refuse(policies.RecordTampered)
	}
	return nil
}

// SealTicket seals the ticket of an activation or of the own pages, which need
// not guard a key that would authenticate it.
func (v *Vault) SealTicket(ctx context.Context, t TicketRow) (TicketRow, error) {
	var err error
	t.Seal.Epoch, t.Seal.MAC, err = v.Seal(ctx, "ticket", t.statement()...)
	return t, err
}

// CheckTicket refuses one that this service did not write as it stands.
func (v *Vault) CheckTicket(ctx context.Context, t TicketRow) error {
	return v.CheckSeal(ctx, t.Seal.Epoch, t.Seal.MAC, "ticket", t.statement()...)
}

// Genuine refuses a ticket that this service did not make for its holder: an
// activation's without its seal, another's that does not open what it guards.
func (v *Vault) Genuine(ctx context.Context, t TicketRow, holder Ticket) error {
	if t.Purpose == ForActivation || t.Purpose == ForAccess {
		return v.CheckTicket(ctx, t)
	}
	ks, err := t.SealingKey(holder)
	zero(ks)
	return err
}

func (t TicketRow) statement() []string {
	fields := []string{hexOf(t.Hash), string(t.Purpose), t.CitizenID, strconv.FormatBool(t.Verified), t.Source, instant(t.ExpiresAt)}
	if t.Via != "" {
		fields = append(fields, "via "+string(t.Via))
	}
	return fields
}
