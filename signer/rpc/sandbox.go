package rpc

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
	"github.com/rubrica-firma/rubrica/signer/sandbox"
)

// Sandbox reveals codes of the sandbox's citizens. *sandbox.Outbox fulfils it in
// the signer process, Client.Sandbox in the api process.
type Sandbox interface {
	Code(ctx context.Context, id string) (sandbox.Message, error)
}

// sandboxServer has no codes where the deployment is no sandbox.
type sandboxServer struct{ sandbox Sandbox }

func (s *sandboxServer) LastCode(ctx context.Context, r *connect.Request[signerv1.LastCodeRequest]) (*connect.Response[signerv1.LastCodeResponse], error) {
	if s.sandbox == nil {
		return nil, policies.Refuse(policies.NotFound)
	}
	m, err := s.sandbox.Code(ctx, r.Msg.GetId())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.LastCodeResponse{
		Identifier: m.Identifier, Purpose: string(m.Purpose), Reference: m.Reference, Code: m.Code.Reveal(), SentAt: timestamppb.New(m.SentAt),
	}), nil
}

// SandboxClient reaches Sandbox in another process.
type SandboxClient struct{ c *Client }

// Sandbox is the client's part that reveals codes.
func (c *Client) Sandbox() SandboxClient { return SandboxClient{c} }

var _ Sandbox = SandboxClient{}

// Code implements Sandbox.
func (s SandboxClient) Code(ctx context.Context, id string) (sandbox.Message, error) {
	resp, err := s.c.sandbox.LastCode(ctx, connect.NewRequest(&signerv1.LastCodeRequest{Id: id}))
	if err != nil {
		return sandbox.Message{}, decode(err)
	}
	code, err := signer.ParseCode(resp.Msg.GetCode())
	return sandbox.Message{
		Identifier: resp.Msg.GetIdentifier(), Purpose: signer.Purpose(resp.Msg.GetPurpose()), Reference: resp.Msg.GetReference(),
		Code: code, SentAt: resp.Msg.GetSentAt().AsTime(),
	}, err
}
