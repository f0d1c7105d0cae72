package rpc

import (
	"context"

	"connectrpc.com/connect"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
)

// Cards identifies by municipal card. *citizen.Cards fulfils it in the signer
// process, Client.Cards in the api process.
type Cards interface {
	AskKey(ctx context.Context, o citizen.KeyOrder) error
	Identify(ctx context.Context, a citizen.CardAnswer) (signer.Session, error)
}

// cardServer has no cards where the deployment has none.
type cardServer struct{ cards Cards }

func (s *cardServer) AskOperationsKey(ctx context.Context, r *connect.Request[signerv1.AskOperationsKeyRequest]) (*connect.Response[signerv1.AskOperationsKeyResponse], error) {
	if s.cards == nil {
		return nil, policies.Refuse(policies.NotFound)
	}
	number, pin, err := parseCard(r.Msg.GetNumber(), r.Msg.GetPin())
	if err != nil {
		return nil, err
	}
	if err := s.cards.AskKey(ctx, citizen.KeyOrder{Number: number, PIN: pin, RemoteAddr: r.Msg.GetRemoteAddr()}); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.AskOperationsKeyResponse{}), nil
}

func (s *cardServer) IdentifyCard(ctx context.Context, r *connect.Request[signerv1.IdentifyCardRequest]) (*connect.Response[signerv1.IdentifyCardResponse], error) {
	if s.cards == nil {
		return nil, policies.Refuse(policies.NotFound)
	}
	number, pin, err := parseCard(r.Msg.GetNumber(), r.Msg.GetPin())
	if err != nil {
		return nil, err
	}
	key, err := citizen.ParseOperationsKey(r.Msg.GetOperationsKey())
	if err != nil {
		return nil, err
	}
	session, err := s.cards.Identify(ctx, citizen.CardAnswer{Number: number, PIN: pin, Key: key, RemoteAddr: r.Msg.GetRemoteAddr()})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.IdentifyCardResponse{Session: encodeSession(session)}), nil
}

func parseCard(number, pin string) (citizen.CardNumber, citizen.CardPIN, error) {
	n, err := citizen.ParseCardNumber(number)
	if err != nil {
		return n, citizen.CardPIN{}, err
	}
	p, err := citizen.ParseCardPIN(pin)
	return n, p, err
}

// CardClient reaches Cards in another process.
type CardClient struct{ c *Client }

// Cards is the client's part that identifies by municipal card.
func (c *Client) Cards() CardClient { return CardClient{c} }

var _ Cards = CardClient{}

// AskKey implements Cards.
func (k CardClient) AskKey(ctx context.Context, o citizen.KeyOrder) error {
	_, err := k.c.cards.AskOperationsKey(ctx, connect.NewRequest(&signerv1.AskOperationsKeyRequest{
		Number: o.Number.String(), Pin: o.PIN.Reveal(), RemoteAddr: o.RemoteAddr,
	}))
	return decode(err)
}

// Identify implements Cards.
func (k CardClient) Identify(ctx context.Context, a citizen.CardAnswer) (signer.Session, error) {
	resp, err := k.c.cards.IdentifyCard(ctx, connect.NewRequest(&signerv1.IdentifyCardRequest{
		Number: a.Number.String(), Pin: a.PIN.Reveal(), OperationsKey: a.Key.Reveal(), RemoteAddr: a.RemoteAddr,
	}))
	if err != nil {
		return signer.Session{}, decode(err)
	}
	return decodeSession(resp.Msg.GetSession())
}
