package validation

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	timestampQuery = "application/timestamp-query"
	timestampReply = "application/timestamp-reply"
)

// systemFailure is the TimeStampResp that rejects with this bit of
// PKIFailureInfo alone (RFC 3161, section 2.4.2).
func systemFailure() []byte {
	return []byte{0x30, 12, 0x30, 10, 2, 1, 2, 3, 5, 6, 0, 0, 0, 0x40}
}

// stamp answers as RFC 3161, section 3.4 has it: a query gets a response, also
// where there is nothing to respond with.
func (d *Desk) stamp(pace pace) echo.HandlerFunc {
	return func(c echo.Context) error {
		query, err := body(c, timestampQuery)
		if err != nil {
			return err
		}
		if wait := pace(c); wait > 0 {
			return rejectStamp(c, wait)
		}
		if !d.stamping.TryAcquire(1) {
			return rejectStamp(c, time.Second)
		}
		defer d.stamping.Release(1)
		ctx, cancel := context.WithTimeout(c.Request().Context(), patience)
		defer cancel()
		reply, err := d.Validation.TimeStamp(ctx, query)
		if err != nil || len(reply) == 0 {
			d.Logger.WarnContext(ctx, "signer gave no time-stamp", "error", err)
			return rejectStamp(c, time.Second)
		}
		return send(c, header(timestampReply, len(reply)), reply)
	}
}

func rejectStamp(c echo.Context, wait time.Duration) error {
	retryAfter(c, wait)
	reply := systemFailure()
	return send(c, header(timestampReply, len(reply)), reply)
}
