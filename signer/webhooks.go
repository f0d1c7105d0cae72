package signer

import "time"

// Webhook is an address at which an application wants to be told of what
// becomes of its requests.
type Webhook struct {
	ID            string
	ApplicationID string
	URL           string
	CreatedAt     time.Time
	StoppedAt     time.Time // zero unless it answered that it is gone
}

// EventType names what became of a request.
type EventType string

// What applications are told of.
const (
	EventSigned       EventType = "signature_request.signed"
	EventRefused      EventType = "signature_request.refused"
	EventExpired      EventType = "signature_request.expired"
	EventInterrupted  EventType = "signature_request.interrupted"   // no signature came of a consent: the citizen is asked again
	EventLevelReached EventType = "signature_request.level_reached" // by all its signatures, after they were made
	EventWithdrawn    EventType = "signature_request.withdrawn"     // its envelope has ended
)

// Ended is what applications are told of an envelope's end.
func (s EnvelopeState) Ended() EventType { return EventType("envelope." + string(s)) }

// After is the number of an event among those of its request, counted from how
// often the request was interrupted: no counter can lag behind.
func (t EventType) After(interrupted int) int {
	switch t {
	case EventInterrupted:
		return interrupted
	case EventLevelReached:
		return interrupted + 2
	default:
		return interrupted + 1
	}
}

// Event is what an application is told, of a request or of an envelope. It names
// nobody.
type Event struct {
	ID         string
	Type       EventType
	RequestID  string // empty where it is about an envelope
	EnvelopeID string // empty where it is about a request
	State      State  // of either, when it happened
	Sequence   int
	CreatedAt  time.Time
}

// WebhookState is how a delivery stands.
type WebhookState string

// The states of a delivery. All but the first are final, until a replay.
const (
	WebhookWaiting   WebhookState = "waiting"
	WebhookDelivered WebhookState = "delivered"
	WebhookGivenUp   WebhookState = "given_up" // nothing answered for as long as it was tried
	WebhookStopped   WebhookState = "stopped"  // the address answered that it is gone
)

// WebhookDelivery is one event on its way to one address.
type WebhookDelivery struct {
	ID      string
	Event   Event
	Webhook Webhook
	State   WebhookState
	// Round counts replays from 1, BeganAt is when this one began.
	Round    int
	BeganAt  time.Time
	Attempts int // in this round
	NextAt   time.Time
	LastAt   time.Time
	Status   int    // of the last answer, 0 if there was none
	Problem  string // why there was none
	EndedAt  time.Time
}

// WebhookCall is the job that delivers.
type WebhookCall struct {
	DeliveryID    string
	ApplicationID string
	Round         int
}

// WebhookQuery selects deliveries of one application, the newest first.
type WebhookQuery struct {
	ApplicationID string
	RequestID     string       // empty: of all
	State         WebhookState // empty: in any
	Before        string       // id of the last delivery of the page before
	Limit         int
}
