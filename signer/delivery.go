package signer

import "time"

// DeliveryState is what is known of a message that was sent.
type DeliveryState string

// The states of a message. Where an operator tells of no deliveries it stays
// accepted.
const (
	DeliveryAccepted DeliveryState = "accepted"  // by an operator
	DeliveryDone     DeliveryState = "delivered" // to the telephone
	DeliveryFailed   DeliveryState = "failed"    // for good
)

// Delivery is what an operator says of a message.
type Delivery struct {
	ID         string // ours: that of the code that it carries
	Operator   string
	OperatorID string // what the operator calls it; empty if it tells of no deliveries
	State      DeliveryState
	At         time.Time
}

// The subjects of which the messages of an hour are counted.
const (
	QuotaNumber  = "number"
	QuotaPrefix  = "prefix"
	QuotaService = "service"
)

// SMSQuota is how many messages of one hour a subject may have.
type SMSQuota struct {
	Kind    string // QuotaNumber, QuotaPrefix or QuotaService
	Subject string // the number, its beginning, or nothing
	Limit   int
}
