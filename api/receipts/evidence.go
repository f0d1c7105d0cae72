package receipts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/signer"
)

// Evidence is a receipt, checked, for whoever draws it.
type Evidence struct {
	Request signer.Request
	// File is the receipt itself, FileName what it is called.
	File     []byte
	FileName string
	Facts    []audit.Fact // intent and outcome
	Signed   audit.Signed // the checkpoint, and who cosigned it
	// StampedAt is the time of the checkpoint's time-stamp, zero without one;
	// whether it can be relied on is for whoever verifies the receipt.
	StampedAt time.Time
}

// FileName is what a request's receipt is called.
func FileName(requestID string) string { return requestID + ".rubrica-receipt.json" }

// Evidence draws the receipt of a signed request for people, with the receipt
// attached.
func (s *Service) Evidence(ctx context.Context, r signer.Request) ([]byte, error) {
	receipt, err := s.Receipt(ctx, r)
	if err != nil {
		return nil, err
	}
	policy, err := audit.ParsePolicy([]byte(receipt.Policy))
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	e := Evidence{Request: r, FileName: FileName(r.ID)}
	// What cannot be verified is not handed out as evidence.
	if e.Signed, e.Facts, err = receipt.Check(policy); err != nil && !errors.Is(err, audit.ErrUnwitnessed) {
		return nil, fmt.Errorf("checking a receipt: %w", err)
	}
	if e.File, err = receipt.Bytes(); err != nil {
		return nil, err
	}
	if stamp, err := tsa.Read(receipt.Timestamp); len(receipt.Timestamp) > 0 && err == nil {
		e.StampedAt = stamp.Time
	}
	return s.Draw(e)
}
