package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1/signerv1connect"
)

// messageLimit bounds a request; the contract carries no documents.
const messageLimit = 64 << 10

// Register is the citizens' register. *citizen.Service fulfils it.
type Register interface {
	Register(ctx context.Context, a citizen.Application) (citizen.Receipt, error)
	RenewActivation(ctx context.Context, id citizen.Identifier, officer string) (citizen.Receipt, error)
	StartActivation(ctx context.Context, c citizen.Claim) (signer.Session, signer.Challenge, error)
	ConfirmActivation(ctx context.Context, a signer.Answer) error
	SetPassword(ctx context.Context, t signer.Ticket, p citizen.Password) error
}

// Handler serves both services.
func Handler(module signer.Module, register Register, logger *slog.Logger) http.Handler {
	options := connect.WithHandlerOptions(connect.WithInterceptors(refusals(logger)), connect.WithReadMaxBytes(messageLimit))
	mux := http.NewServeMux()
	mux.Handle(signerv1connect.NewActivationModuleHandler(&moduleServer{module}, options))
	mux.Handle(signerv1connect.NewCitizenRegisterHandler(&registerServer{register}, options))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}

type moduleServer struct{ module signer.Module }

func (s *moduleServer) Open(ctx context.Context, r *connect.Request[signerv1.OpenRequest]) (*connect.Response[signerv1.OpenResponse], error) {
	if err := s.module.Open(ctx, r.Msg.GetRequestId()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.OpenResponse{}), nil
}

func (s *moduleServer) Identify(ctx context.Context, r *connect.Request[signerv1.IdentifyRequest]) (*connect.Response[signerv1.IdentifyResponse], error) {
	id, err := citizen.ParseIdentifier(r.Msg.GetIdentifier())
	if err != nil {
		return nil, err
	}
	session, err := s.module.Identify(ctx, signer.Identification{
		RequestID: r.Msg.GetRequestId(), Identifier: id.String(), Password: r.Msg.GetPassword(), RemoteAddr: r.Msg.GetRemoteAddr(),
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.IdentifyResponse{Session: encodeSession(session)}), nil
}

func (s *moduleServer) SendCode(ctx context.Context, r *connect.Request[signerv1.SendCodeRequest]) (*connect.Response[signerv1.SendCodeResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	challenge, err := s.module.SendCode(ctx, signer.CodeOrder{Ticket: ticket, Purpose: signer.Purpose(r.Msg.GetPurpose())})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.SendCodeResponse{Challenge: encodeChallenge(challenge)}), nil
}

func (s *moduleServer) IssueCredential(ctx context.Context, r *connect.Request[signerv1.IssueCredentialRequest]) (*connect.Response[signerv1.IssueCredentialResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	session, err := s.module.IssueCredential(ctx, answer)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.IssueCredentialResponse{Session: encodeSession(session)}), nil
}

func (s *moduleServer) Sign(ctx context.Context, r *connect.Request[signerv1.SignRequest]) (*connect.Response[signerv1.SignResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	if err := s.module.Sign(ctx, answer); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.SignResponse{}), nil
}

func (s *moduleServer) Refuse(ctx context.Context, r *connect.Request[signerv1.RefuseRequest]) (*connect.Response[signerv1.RefuseResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	if err := s.module.Refuse(ctx, ticket); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.RefuseResponse{}), nil
}

type registerServer struct{ register Register }

func (s *registerServer) Register(ctx context.Context, r *connect.Request[signerv1.RegisterRequest]) (*connect.Response[signerv1.RegisterResponse], error) {
	a, err := parseApplication(r.Msg)
	if err != nil {
		return nil, err
	}
	receipt, err := s.register.Register(ctx, a)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.RegisterResponse{Receipt: encodeReceipt(receipt)}), nil
}

// parseApplication parses again what the public side has parsed already: this
// side trusts no field of the other's.
func parseApplication(m *signerv1.RegisterRequest) (a citizen.Application, err error) {
	if a.Identifier, err = citizen.ParseIdentifier(m.GetIdentifier()); err != nil {
		return a, err
	}
	if a.Name, err = citizen.ParseName(m.GetGivenName(), m.GetSurnames()); err != nil {
		return a, err
	}
	if a.Phone, err = citizen.ParsePhone(m.GetPhone()); err != nil {
		return a, err
	}
	if a.Email, err = citizen.ParseEmail(m.GetEmail()); err != nil {
		return a, err
	}
	if a.DocumentUntil, err = time.Parse(time.DateOnly, m.GetDocumentUntil()); err != nil {
		return a, fmt.Errorf("%w: %w", policies.Refuse(policies.IdentityDocumentExpiry), err)
	}
	a.Locale, a.Office, a.Officer = m.GetLocale(), m.GetOffice(), m.GetOfficer()
	return a, nil
}

func (s *registerServer) RenewActivation(ctx context.Context, r *connect.Request[signerv1.RenewActivationRequest]) (*connect.Response[signerv1.RenewActivationResponse], error) {
	id, err := citizen.ParseIdentifier(r.Msg.GetIdentifier())
	if err != nil {
		return nil, err
	}
	receipt, err := s.register.RenewActivation(ctx, id, r.Msg.GetOfficer())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.RenewActivationResponse{Receipt: encodeReceipt(receipt)}), nil
}

func (s *registerServer) StartActivation(ctx context.Context, r *connect.Request[signerv1.StartActivationRequest]) (*connect.Response[signerv1.StartActivationResponse], error) {
	id, err := citizen.ParseIdentifier(r.Msg.GetIdentifier())
	if err != nil {
		return nil, err
	}
	email, err := citizen.ParseEmail(r.Msg.GetEmail())
	if err != nil {
		return nil, err
	}
	code, err := citizen.ParseActivationCode(r.Msg.GetActivationCode())
	if err != nil {
		return nil, err
	}
	session, challenge, err := s.register.StartActivation(ctx, citizen.Claim{Identifier: id, Email: email, Code: code, RemoteAddr: r.Msg.GetRemoteAddr()})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.StartActivationResponse{Session: encodeSession(session), Challenge: encodeChallenge(challenge)}), nil
}

func (s *registerServer) ConfirmActivation(ctx context.Context, r *connect.Request[signerv1.ConfirmActivationRequest]) (*connect.Response[signerv1.ConfirmActivationResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	if err := s.register.ConfirmActivation(ctx, answer); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.ConfirmActivationResponse{}), nil
}

func (s *registerServer) SetPassword(ctx context.Context, r *connect.Request[signerv1.SetPasswordRequest]) (*connect.Response[signerv1.SetPasswordResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	password, err := citizen.ParsePassword(r.Msg.GetPassword())
	if err != nil {
		return nil, err
	}
	if err := s.register.SetPassword(ctx, ticket, password); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.SetPasswordResponse{}), nil
}

func parseAnswer(ticket, code string) (signer.Answer, error) {
	t, err := signer.ParseTicket(ticket)
	if err != nil {
		return signer.Answer{}, err
	}
	c, err := signer.ParseCode(code)
	return signer.Answer{Ticket: t, Code: c}, err
}

func encodeSession(s signer.Session) *signerv1.Session {
	return &signerv1.Session{Ticket: s.Ticket.Encode(), ExpiresAt: timestamppb.New(s.ExpiresAt), Certified: s.Certified}
}

func encodeChallenge(c signer.Challenge) *signerv1.Challenge {
	return &signerv1.Challenge{
		Id: c.ID, Reference: c.Reference, MaskedPhone: c.MaskedPhone,
		SentAt: timestamppb.New(c.SentAt), ExpiresAt: timestamppb.New(c.ExpiresAt), ResendAt: timestamppb.New(c.ResendAt),
		TriesLeft: int32(c.TriesLeft), //nolint:gosec // a handful
	}
}

func encodeReceipt(r citizen.Receipt) *signerv1.Receipt {
	return &signerv1.Receipt{CitizenId: r.CitizenID, ActivationCode: r.ActivationCode.Reveal(), RegisteredAt: timestamppb.New(r.RegisteredAt)}
}
