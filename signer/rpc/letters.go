package rpc

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
)

// Letters invites people to register. *citizen.Letters fulfils it in the signer
// process, Client.Letters in the api process.
type Letters interface {
	Request(ctx context.Context, o citizen.LetterOrder) error
	Answer(ctx context.Context, a citizen.LetterAnswer) (citizen.Redeemed, error)
}

// letterServer has no letters where the deployment has none.
type letterServer struct{ letters Letters }

func (s *letterServer) RequestLetter(ctx context.Context, r *connect.Request[signerv1.RequestLetterRequest]) (*connect.Response[signerv1.RequestLetterResponse], error) {
	if s.letters == nil {
		return nil, policies.Refuse(policies.NotFound)
	}
	id, err := citizen.ParseIdentifier(r.Msg.GetIdentifier())
	if err != nil {
		return nil, err
	}
	until, err := parseDay(r.Msg.GetDocumentUntil())
	if err != nil {
		return nil, err
	}
	iban, err := citizen.ParseIBAN(r.Msg.GetIban())
	if err != nil {
		return nil, err
	}
	err = s.letters.Request(ctx, citizen.LetterOrder{Identifier: id, DocumentUntil: until, IBAN: iban, RemoteAddr: r.Msg.GetRemoteAddr()})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.RequestLetterResponse{}), nil
}

func (s *letterServer) AnswerLetter(ctx context.Context, r *connect.Request[signerv1.AnswerLetterRequest]) (*connect.Response[signerv1.AnswerLetterResponse], error) {
	if s.letters == nil {
		return nil, policies.Refuse(policies.NotFound)
	}
	id, err := citizen.ParseIdentifier(r.Msg.GetIdentifier())
	if err != nil {
		return nil, err
	}
	until, err := parseDay(r.Msg.GetDocumentUntil())
	if err != nil {
		return nil, err
	}
	code, err := citizen.ParseLetterCode(r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	opened, err := s.letters.Answer(ctx, citizen.LetterAnswer{Identifier: id, DocumentUntil: until, Code: code, RemoteAddr: r.Msg.GetRemoteAddr()})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.AnswerLetterResponse{Ticket: opened.Ticket.Encode(), ExpiresAt: timestamppb.New(opened.ExpiresAt)}), nil
}

// LetterClient reaches Letters in another process.
type LetterClient struct{ c *Client }

// Letters is the client's part that invites people to register.
func (c *Client) Letters() LetterClient { return LetterClient{c} }

var _ Letters = LetterClient{}

// Request implements Letters.
func (l LetterClient) Request(ctx context.Context, o citizen.LetterOrder) error {
	_, err := l.c.letters.RequestLetter(ctx, connect.NewRequest(&signerv1.RequestLetterRequest{
		Identifier: o.Identifier.String(), DocumentUntil: timestamppb.New(o.DocumentUntil), Iban: o.IBAN.String(), RemoteAddr: o.RemoteAddr,
	}))
	return decode(err)
}

// Answer implements Letters.
func (l LetterClient) Answer(ctx context.Context, a citizen.LetterAnswer) (citizen.Redeemed, error) {
	resp, err := l.c.letters.AnswerLetter(ctx, connect.NewRequest(&signerv1.AnswerLetterRequest{
		Identifier: a.Identifier.String(), DocumentUntil: timestamppb.New(a.DocumentUntil), Code: a.Code.Reveal(), RemoteAddr: a.RemoteAddr,
	}))
	if err != nil {
		return citizen.Redeemed{}, decode(err)
	}
	ticket, err := signer.ParseTicket(resp.Msg.GetTicket())
	return citizen.Redeemed{Ticket: ticket, ExpiresAt: resp.Msg.GetExpiresAt().AsTime()}, err
}
