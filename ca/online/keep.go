package online

import (
	"context"
	"time"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/policies"
)

// answerLife is how long an answer about a certificate is good for.
const answerLife = 24 * time.Hour

// turn is how long a change may wait for its list.
const turn = time.Second

// Keep keeps the hierarchy, the lists and the answers fresh until ctx ends.
func (c *CA) Keep(ctx context.Context) {
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for {
		if err := c.Refresh(ctx); err != nil && ctx.Err() == nil {
			c.Logger.ErrorContext(ctx, "hierarchy_unreadable", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// OCSP answers a request (RFC 6960).
func (c *CA) OCSP(ctx context.Context, request []byte) (ocsp.Answer, error) {
	answer, err := c.responder.Answer(ctx, request)
	if err != nil {
		c.Logger.ErrorContext(ctx, "ocsp_failed", "error", err)
	}
	return answer, nil
}

// TimeStamp answers a query (RFC 3161).
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
