package ocsp

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// State is what is known of a certificate.
type State int

// The states of RFC 6960, section 2.2. A suspended certificate is Revoked with
// reason 6, certificateHold.
const (
	Unknown State = iota // never issued
	Good
	Revoked
)

// Status is a certificate's status.
type Status struct {
	State     State
	RevokedAt time.Time // if Revoked
	Reason    int       // if Revoked: of RFC 5280, section 5.3.1; 0 says nothing
	// Version changes with each change of the status.
	Version int64
}

// Kept is an answer about one certificate that was signed before, without a
// nonce.
type Kept struct {
	Serial     string
	Version    int64 // of the status that it tells
	DER        []byte
	ThisUpdate time.Time
	NextUpdate time.Time
}

// Statuses is where the status of certificates is known and where answers are
// kept. It is used by many at once. Serials are in the form of Serial.
type Statuses interface {
	// Status tells the committed status of an issuer's certificates. One that
	// was never issued is left out, or Unknown.
	Status(ctx context.Context, issuer string, serials []string) (map[string]Status, error)
	// Kept is the answer kept for a certificate, or the zero Kept.
	Kept(ctx context.Context, serial string) (Kept, error)
	// Keep replaces the answer kept for a certificate, unless that one is of a
	// later version. It is no matter whether k still tells the status: who
	// reads it compares.
	Keep(ctx context.Context, k Kept) error
}

// Serial is a serial number in lower-case hexadecimal, two digits an octet,
// without leading zero octets: what fmt's %x makes of big.Int.Bytes.
func Serial(n *big.Int) string { return hex.EncodeToString(n.Bytes()) }

// canonicalSerial brings a serial number in hexadecimal to the form of Serial.
func canonicalSerial(s string) (string, error) {
	n, ok := new(big.Int).SetString(s, 16)
	if !ok || n.Sign() <= 0 || strings.ContainsAny(s, "+-_") {
		return "", fmt.Errorf("reading serial number %q: not a positive hexadecimal number", s)
	}
	return Serial(n), nil
}
