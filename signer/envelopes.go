package signer

import (
	"cmp"
	"slices"
	"time"
)

// Envelope is what a back end asks of several citizens: the same documents, each
// of them signed by a request of their own.
type Envelope struct {
	ID            string
	ApplicationID string
	Title         string
	Ordering      Ordering
	State         EnvelopeState
	CreatedAt     time.Time
	ExpiresAt     time.Time
	ClosedAt      time.Time        // zero while it is pending
	Signers       []EnvelopeSigner // in the order of their positions
}

// Ordering is when the signers of an envelope are asked.
type Ordering string

// The orderings.
const (
	Parallel   Ordering = "parallel"   // all at once
	Sequential Ordering = "sequential" // each after the one before has signed
)

// Known reports whether o is one of them.
func (o Ordering) Known() bool { return o == Parallel || o == Sequential }

// EnvelopeState is where an envelope stands. All but the first are final.
type EnvelopeState string

// The states of an envelope.
const (
	EnvelopePending   EnvelopeState = "pending"
	EnvelopeCompleted EnvelopeState = "completed" // all have signed
	EnvelopeRejected  EnvelopeState = "rejected"  // one of them did not want to
	EnvelopeExpired   EnvelopeState = "expired"   // one of them did not in time
	EnvelopeCancelled EnvelopeState = "cancelled" // by the application
)

// EnvelopeSigner is one who is to sign.
type EnvelopeSigner struct {
	Position   int    // from 1
	Identifier string // DNI or NIE
	Title      string // that this signer reads
	Locale     string
	// Options say how the signature looks in each document, as Document.Options.
	Options   []string
	RequestID string // empty while it is not this signer's turn
	State     State  // of the request, empty while there is none
	// Revision is how many of the others' signatures stand before this one in
	// what is signed in a PDF.
	Revision int
}

// Open reports whether the signer may still sign, or is about to be asked.
func (s EnvelopeSigner) Open() bool { return s.State == Received || s.State == Pending }

// Signed are those who have signed, in the order in which their signatures stand
// in a PDF.
func (e Envelope) Signed() []EnvelopeSigner {
	signed := slices.DeleteFunc(slices.Clone(e.Signers), func(s EnvelopeSigner) bool { return s.State != Signed })
	slices.SortStableFunc(signed, func(a, b EnvelopeSigner) int { return cmp.Compare(a.Revision, b.Revision) })
	return signed
}

// NewEnvelope is an envelope as a door has parsed and prepared it.
type NewEnvelope struct {
	Envelope Envelope
	// Requests are those of the first signers: of all, or of the first one. Their
	// documents and contents are the same.
	Requests       []NewRequest
	IdempotencyKey string
	BodyHash       []byte
}
