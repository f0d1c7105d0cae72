package csc

import (
	"context"
	"fmt"
	"math/big"

	"github.com/rubrica-firma/rubrica/ca/tsa"
	"github.com/rubrica-firma/rubrica/policies"
)

// timestamp asks the deployment's own time-stamping authority (RFC 3161).
func (d *Door) timestamp(ctx context.Context, c call) (answer, error) {
	text, err := c.body.must("hash")
	if err != nil {
		return answer{}, err
	}
	if text == "" {
		return answer{}, invalid("Empty hash parameter")
	}
	digest, ok64 := unbase64(text)
	if !ok64 {
		return answer{}, invalid("Invalid Base64 hash string parameter")
	}
	oid, given := c.body.text("hashAlgo")
	hash, known := digestOf(oid)
	if !given || !known {
		return answer{}, invalidParameter("hashAlgo")
	}
	if len(digest) != hash.Size() {
		return answer{}, invalid("Invalid digest value length")
	}
	query := tsa.Request{Hash: hash, Digest: digest}
	if c.body.has("nonce") {
		if query.Nonce = nonce(c.body); query.Nonce == nil {
			return answer{}, invalidParameter("nonce")
		}
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	der, err := query.Marshal()
	if err != nil {
		return answer{}, err
	}
	response, err := d.TimeStamps.TimeStamp(ctx, der)
	if err != nil {
		return answer{}, fmt.Errorf("asking for a time-stamp: %w", err)
	}
	token, err := tsa.Token(response)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", policies.Refuse(policies.TimeStampUnavailable), err)
	}
	return ok(stamped{base64Of(token)})
}

type stamped struct {
	Timestamp string `json:"timestamp"`
}

// longestNonce is as long as the authority repeats.
const longestNonce = 32 // hexadecimal digits

// nonce reads a number in hexadecimal, nil if it is none.
func nonce(o object) *big.Int {
	text, given := o.text("nonce")
	if !given || text == "" || len(text) > longestNonce || text[0] == '-' || text[0] == '+' {
		return nil
	}
	n, ok := new(big.Int).SetString(text, 16)
	if !ok {
		return nil
	}
	return n
}
