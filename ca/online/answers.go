package online

import (
	"context"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/policies"
)

// OCSP answers a request (RFC 6960). What is wrong with the request the answer
// says; what is wrong here the operator reads.
func (c *CA) OCSP(ctx context.Context, request []byte) (ocsp.Answer, error) {
	answer, err := c.responder.Answer(ctx, request)
	if err != nil {
		c.Logger.ErrorContext(ctx, "ocsp_failed", "error", err)
	}
	return answer, nil
}

// TimeStamp answers a query (RFC 3161). Without a time-stamping unit it is
// policies.Unavailable.
func (c *CA) TimeStamp(ctx context.Context, query []byte) ([]byte, error) {
	unit := c.standing.Load().stamps
	if unit == nil {
		return nil, policies.Refuse(policies.Unavailable)
	}
	response, err := unit.Answer(ctx, query)
	if err != nil {
		c.Logger.WarnContext(ctx, "time_stamp_refused", "error", err)
	}
	return response, nil
}
