package rpc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"connectrpc.com/connect"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
)

// refusals turns errors into their form on the wire: a refusal keeps its code
// and facts, anything else is logged here, once, and crosses as a reference.
func refusals(logger *slog.Logger) connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			resp, err := next(ctx, req)
			if err == nil {
				return resp, nil
			}
			r, ok := errors.AsType[*policies.Refusal](err)
			switch {
			case !ok:
				reference := rand.Text()[:10]
				logger.ErrorContext(ctx, "rpc_failed", "procedure", req.Spec().Procedure, "reference", reference, "error", err)
				r = policies.Refuse(policies.Internal, "reference", reference)
			case r.Code == policies.Unavailable:
				logger.WarnContext(ctx, "rpc_unavailable", "procedure", req.Spec().Procedure, "error", err)
			}
			return nil, encode(r)
		}
	}
}

func encode(r *policies.Refusal) error {
	out := connect.NewError(connect.CodeFailedPrecondition, r)
	detail, err := connect.NewErrorDetail(&signerv1.Refusal{
		Code: string(r.Code), Source: r.Source, Params: r.Params, RetryAfterMs: r.RetryAfter.Milliseconds(),
	})
	if err != nil {
		return fmt.Errorf("encoding a refusal: %w", err)
	}
	out.AddDetail(detail)
	return out
}

// decode is encode's inverse; an error without a refusal means that the module
// cannot be reached or broke off, and whether it acted is unknown.
func decode(err error) error {
	var ce *connect.Error
	if err == nil || !errors.As(err, &ce) {
		return err
	}
	for _, d := range ce.Details() {
		v, valueErr := d.Value()
		if valueErr != nil {
			continue
		}
		if w, ok := v.(*signerv1.Refusal); ok {
			return &policies.Refusal{
				Code: policies.Code(w.GetCode()), Source: w.GetSource(), Params: w.GetParams(),
				RetryAfter: time.Duration(w.GetRetryAfterMs()) * time.Millisecond,
			}
		}
	}
	return fmt.Errorf("%w: %w", policies.Refuse(policies.Unavailable).After(5*time.Second), err)
}
