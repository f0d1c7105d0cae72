package rpc

import (
	"context"

	"connectrpc.com/connect"

	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
)

// Envelopes end requests whose envelope has ended. *signer.Service fulfils it.
type Envelopes interface {
	Withdraw(ctx context.Context, requestID string) error
}

var _ Envelopes = (*Client)(nil)

// Withdraw implements Envelopes.
func (c *Client) Withdraw(ctx context.Context, requestID string) error {
	_, err := c.envelopes.Withdraw(ctx, connect.NewRequest(&signerv1.WithdrawRequest{RequestId: requestID}))
	return decode(err)
}

type envelopeServer struct{ envelopes Envelopes }

func (s *envelopeServer) Withdraw(ctx context.Context, r *connect.Request[signerv1.WithdrawRequest]) (*connect.Response[signerv1.WithdrawResponse], error) {
	if err := s.envelopes.Withdraw(ctx, r.Msg.GetRequestId()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.WithdrawResponse{}), nil
}
