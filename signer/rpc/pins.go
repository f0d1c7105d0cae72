package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
)

// Pins identifies by Cl@ve PIN. *citizen.Pins fulfils it in the signer process,
// Client.Pins in the api process.
type Pins interface {
	Ask(ctx context.Context, o citizen.PINOrder) (citizen.PINTicket, error)
	Identify(ctx context.Context, a citizen.PINAnswer) (signer.Session, error)
}

type pinServer struct{ pins Pins }

func (s *pinServer) AskPIN(ctx context.Context, r *connect.Request[signerv1.AskPINRequest]) (*connect.Response[signerv1.AskPINResponse], error) {
	id, err := citizen.ParseIdentifier(r.Msg.GetIdentifier())
	if err != nil {
		return nil, err
	}
	until, err := parseDay(r.Msg.GetDocumentUntil())
	if err != nil {
		return nil, err
	}
	key, err := citizen.ParseAccessKey(r.Msg.GetAccessKey())
	if err != nil {
		return nil, err
	}
	ticket, err := s.pins.Ask(ctx, citizen.PINOrder{Identifier: id, DocumentUntil: until, AccessKey: key, RemoteAddr: r.Msg.GetRemoteAddr()})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.AskPINResponse{Id: ticket.ID, ExpiresAt: timestamppb.New(ticket.ExpiresAt)}), nil
}

func (s *pinServer) IdentifyPIN(ctx context.Context, r *connect.Request[signerv1.IdentifyPINRequest]) (*connect.Response[signerv1.IdentifyPINResponse], error) {
	key, err := citizen.ParseAccessKey(r.Msg.GetAccessKey())
	if err != nil {
		return nil, err
	}
	pin, err := citizen.ParsePIN(r.Msg.GetPin())
	if err != nil {
		return nil, err
	}
	session, err := s.pins.Identify(ctx, citizen.PINAnswer{ID: r.Msg.GetId(), AccessKey: key, PIN: pin, RemoteAddr: r.Msg.GetRemoteAddr()})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.IdentifyPINResponse{Session: encodeSession(session)}), nil
}

// parseDay reads a day: midnight UTC.
func parseDay(t *timestamppb.Timestamp) (time.Time, error) {
	day := t.AsTime()
	if !t.IsValid() || !day.Equal(day.Truncate(24*time.Hour)) {
		return day, policies.Refuse(policies.RequestMalformed, "field", "document_until")
	}
	return day, nil
}

// PinClient reaches Pins in another process.
type PinClient struct{ c *Client }

// Pins is the client's part that identifies by PIN.
func (c *Client) Pins() PinClient { return PinClient{c} }

var _ Pins = PinClient{}

// Ask implements Pins.
func (p PinClient) Ask(ctx context.Context, o citizen.PINOrder) (citizen.PINTicket, error) {
	resp, err := p.c.pins.AskPIN(ctx, connect.NewRequest(&signerv1.AskPINRequest{
		Identifier: o.Identifier.String(), DocumentUntil: timestamppb.New(o.DocumentUntil), AccessKey: o.AccessKey.Reveal(), RemoteAddr: o.RemoteAddr,
	}))
	if err != nil {
		return citizen.PINTicket{}, decode(err)
	}
	return citizen.PINTicket{ID: resp.Msg.GetId(), ExpiresAt: resp.Msg.GetExpiresAt().AsTime()}, nil
}

// Identify implements Pins.
func (p PinClient) Identify(ctx context.Context, a citizen.PINAnswer) (signer.Session, error) {
	resp, err := p.c.pins.IdentifyPIN(ctx, connect.NewRequest(&signerv1.IdentifyPINRequest{
		Id: a.ID, AccessKey: a.AccessKey.Reveal(), Pin: a.PIN.Reveal(), RemoteAddr: a.RemoteAddr,
	}))
	if err != nil {
		return signer.Session{}, decode(err)
	}
	return decodeSession(resp.Msg.GetSession())
}
