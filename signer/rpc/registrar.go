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

// Registrar is the registration authority on line. *citizen.Enrolments fulfils
// it.
type Registrar interface {
	Redeem(ctx context.Context, r citizen.Redemption) (citizen.Redeemed, error)
	SendEnrolmentCode(ctx context.Context, o citizen.EnrolmentOrder) (signer.Challenge, error)
	CompleteEnrolment(ctx context.Context, a citizen.EnrolmentAnswer) (citizen.Receipt, error)
}

var _ Registrar = (*Client)(nil)

type registrarServer struct{ registrar Registrar }

func (s *registrarServer) Redeem(ctx context.Context, r *connect.Request[signerv1.RedeemRequest]) (*connect.Response[signerv1.RedeemResponse], error) {
	redeemed, err := s.registrar.Redeem(ctx, citizen.Redemption{
		Code: r.Msg.GetCode(), Verifier: r.Msg.GetVerifier(), Procedure: citizen.Procedure(r.Msg.GetProcedure()), RemoteAddr: r.Msg.GetRemoteAddr(),
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.RedeemResponse{Ticket: redeemed.Ticket.Encode(), ExpiresAt: timestamppb.New(redeemed.ExpiresAt)}), nil
}

func (s *registrarServer) SendEnrolmentCode(ctx context.Context, r *connect.Request[signerv1.SendEnrolmentCodeRequest]) (*connect.Response[signerv1.SendEnrolmentCodeResponse], error) {
	var (
		order = citizen.EnrolmentOrder{Locale: r.Msg.GetLocale()}
		err   error
	)
	if order.Ticket, err = signer.ParseTicket(r.Msg.GetTicket()); err != nil {
		return nil, err
	}
	if order.Phone, err = citizen.ParsePhone(r.Msg.GetPhone()); err != nil {
		return nil, err
	}
	if r.Msg.GetEmail() != "" {
		if order.Email, err = citizen.ParseEmail(r.Msg.GetEmail()); err != nil {
			return nil, err
		}
	}
	if order.DocumentUntil, err = dayOrNone(r.Msg.GetDocumentUntil()); err != nil {
		return nil, err
	}
	challenge, err := s.registrar.SendEnrolmentCode(ctx, order)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.SendEnrolmentCodeResponse{Challenge: encodeChallenge(challenge)}), nil
}

func (s *registrarServer) CompleteEnrolment(ctx context.Context, r *connect.Request[signerv1.CompleteEnrolmentRequest]) (*connect.Response[signerv1.CompleteEnrolmentResponse], error) {
	var (
		answer = citizen.EnrolmentAnswer{Procedure: citizen.Procedure(r.Msg.GetProcedure())}
		err    error
	)
	if answer.Ticket, err = signer.ParseTicket(r.Msg.GetTicket()); err != nil {
		return nil, err
	}
	if r.Msg.GetCode() != "" {
		if answer.Code, err = signer.ParseCode(r.Msg.GetCode()); err != nil {
			return nil, err
		}
	}
	if answer.DocumentUntil, err = dayOrNone(r.Msg.GetDocumentUntil()); err != nil {
		return nil, err
	}
	receipt, err := s.registrar.CompleteEnrolment(ctx, answer)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.CompleteEnrolmentResponse{Receipt: encodeReceipt(receipt)}), nil
}

// dayOrNone reads a date, zero where there is none.
func dayOrNone(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return day, policies.Refuse(policies.IdentityDocumentExpiry).From(policies.SourceRegister)
	}
	return day, nil
}

func dayText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

// Redeem implements Registrar.
func (c *Client) Redeem(ctx context.Context, r citizen.Redemption) (citizen.Redeemed, error) {
	resp, err := c.registrar.Redeem(ctx, connect.NewRequest(&signerv1.RedeemRequest{
		Code: r.Code, Verifier: r.Verifier, Procedure: string(r.Procedure), RemoteAddr: r.RemoteAddr,
	}))
	if err != nil {
		return citizen.Redeemed{}, decode(err)
	}
	ticket, err := signer.ParseTicket(resp.Msg.GetTicket())
	return citizen.Redeemed{Ticket: ticket, ExpiresAt: resp.Msg.GetExpiresAt().AsTime()}, err
}

// SendEnrolmentCode implements Registrar.
func (c *Client) SendEnrolmentCode(ctx context.Context, o citizen.EnrolmentOrder) (signer.Challenge, error) {
	resp, err := c.registrar.SendEnrolmentCode(ctx, connect.NewRequest(&signerv1.SendEnrolmentCodeRequest{
		Ticket: o.Ticket.Encode(), Phone: o.Phone.String(), Email: o.Email.String(), DocumentUntil: dayText(o.DocumentUntil), Locale: o.Locale,
	}))
	if err != nil {
		return signer.Challenge{}, decode(err)
	}
	return decodeChallenge(resp.Msg.GetChallenge()), nil
}

// CompleteEnrolment implements Registrar.
func (c *Client) CompleteEnrolment(ctx context.Context, a citizen.EnrolmentAnswer) (citizen.Receipt, error) {
	resp, err := c.registrar.CompleteEnrolment(ctx, connect.NewRequest(&signerv1.CompleteEnrolmentRequest{
		Ticket: a.Ticket.Encode(), Procedure: string(a.Procedure), Code: a.Code.Reveal(), DocumentUntil: dayText(a.DocumentUntil),
	}))
	if err != nil {
		return citizen.Receipt{}, decode(err)
	}
	return decodeReceipt(resp.Msg.GetReceipt())
}
