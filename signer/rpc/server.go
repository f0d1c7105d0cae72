package rpc

import (
	"context"
	"log/slog"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
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
	Perform(ctx context.Context, a citizen.Act) (citizen.Receipt, error)
	StartActivation(ctx context.Context, c citizen.Claim) (signer.Session, signer.Challenge, error)
	Confirm(ctx context.Context, a signer.Answer) error
	SetPassword(ctx context.Context, t signer.Ticket, p citizen.Password) error
	ChangeCertificate(ctx context.Context, c citizen.CertificateChange) error
}

// Validation is what anybody may ask of the authority. online.CA fulfils it.
// Neither returns an error for what is asked wrongly: the protocols have answers
// for that.
type Validation interface {
	OCSP(ctx context.Context, request []byte) (ocsp.Answer, error)
	TimeStamp(ctx context.Context, query []byte) ([]byte, error)
}

// Services are what is served.
type Services struct {
	Module     signer.Module
	Register   Register
	Profile    Profile
	Validation Validation
	AuditLog   AuditLog
	Pins       Pins
	Letters    Letters // nil where there are none
	Cards      Cards   // nil where there are none
	Sandbox    Sandbox // nil where it is none
	Consents   Consents
	Explicit   Explicit
	Registrar  Registrar
	Envelopes  Envelopes
	// Ready says why the module cannot do its work, nil if it can.
	Ready  func(context.Context) error
	Logger *slog.Logger
}

// Handler serves them.
func Handler(s Services) http.Handler {
	options := connect.WithHandlerOptions(connect.WithInterceptors(refusals(s.Logger)), connect.WithReadMaxBytes(messageLimit))
	mux := http.NewServeMux()
	mux.Handle(signerv1connect.NewActivationModuleHandler(&moduleServer{s.Module}, options))
	mux.Handle(signerv1connect.NewCitizenRegisterHandler(&registerServer{s.Register}, options))
	mux.Handle(signerv1connect.NewCitizenProfileHandler(&profileServer{s.Profile}, options))
	mux.Handle(signerv1connect.NewValidationHandler(&validationServer{s.Validation}, options))
	mux.Handle(signerv1connect.NewAuditLogHandler(&auditServer{s.AuditLog}, options))
	mux.Handle(signerv1connect.NewRegistrarHandler(&registrarServer{s.Registrar}, options))
	mux.Handle(signerv1connect.NewPinsHandler(&pinServer{s.Pins}, options))
	mux.Handle(signerv1connect.NewLettersHandler(&letterServer{s.Letters}, options))
	mux.Handle(signerv1connect.NewCardsHandler(&cardServer{s.Cards}, options))
	mux.Handle(signerv1connect.NewSandboxHandler(&sandboxServer{s.Sandbox}, options))
	mux.Handle(signerv1connect.NewEnvelopesHandler(&envelopeServer{s.Envelopes}, options))
	mux.Handle(signerv1connect.NewConsentsHandler(&consentServer{s.Consents}, options))
	mux.Handle(signerv1connect.NewExplicitHandler(&explicitServer{s.Explicit}, options))
	mux.Handle("GET /healthz", &health{ask: s.Ready, logger: s.Logger})
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
		Access: r.Msg.GetAccess(),
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
	challenge, err := s.module.SendCode(ctx, signer.CodeOrder{
		Ticket: ticket, Purpose: signer.Purpose(r.Msg.GetPurpose()), ApplicationID: r.Msg.GetApplicationId(),
	})
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

func (s *moduleServer) Authorise(ctx context.Context, r *connect.Request[signerv1.AuthoriseRequest]) (*connect.Response[signerv1.AuthoriseResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	a, err := s.module.Authorise(ctx, answer)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.AuthoriseResponse{Sad: a.SAD.Encode(), ExpiresAt: timestamppb.New(a.ExpiresAt)}), nil
}

func (s *moduleServer) Sign(ctx context.Context, r *connect.Request[signerv1.SignRequest]) (*connect.Response[signerv1.SignResponse], error) {
	sad, err := signer.ParseSAD(r.Msg.GetSad())
	if err != nil {
		return nil, err
	}
	if err := s.module.Sign(ctx, sad); err != nil {
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

func (s *registerServer) Perform(ctx context.Context, r *connect.Request[signerv1.PerformRequest]) (*connect.Response[signerv1.PerformResponse], error) {
	act := citizen.Act{Office: r.Msg.GetOffice(), JWS: r.Msg.GetAct()}
	// Which officer is a supervisor, the registrar alone can say: an office's key is
	// not enough to administer applications.
	if said, err := citizen.ReadAct(act.JWS); err == nil && said.Kind == citizen.ActChangeApplication && rightsIn(ctx)&mayRegister == 0 {
		return nil, policies.Refuse(policies.OfficeActInvalid, "reason", "office")
	}
	receipt, err := s.register.Perform(ctx, act)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.PerformResponse{Receipt: encodeReceipt(receipt)}), nil
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

func (s *registerServer) Confirm(ctx context.Context, r *connect.Request[signerv1.ConfirmRequest]) (*connect.Response[signerv1.ConfirmResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	if err := s.register.Confirm(ctx, answer); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.ConfirmResponse{}), nil
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

func (s *registerServer) ChangeCertificate(ctx context.Context, r *connect.Request[signerv1.ChangeCertificateRequest]) (*connect.Response[signerv1.ChangeCertificateResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	err = s.register.ChangeCertificate(ctx, citizen.CertificateChange{
		Answer: answer, Purpose: signer.Purpose(r.Msg.GetPurpose()), Reason: int(r.Msg.GetReason()),
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.ChangeCertificateResponse{}), nil
}

type validationServer struct{ validation Validation }

func (s *validationServer) OCSP(ctx context.Context, r *connect.Request[signerv1.OCSPRequest]) (*connect.Response[signerv1.OCSPResponse], error) {
	a, err := s.validation.OCSP(ctx, r.Msg.GetRequest())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.OCSPResponse{
		Response: a.DER, Serial: a.Serial, Cacheable: a.Cacheable,
		ThisUpdate: timestamppb.New(a.ThisUpdate), NextUpdate: timestamppb.New(a.NextUpdate),
	}), nil
}

func (s *validationServer) TimeStamp(ctx context.Context, r *connect.Request[signerv1.TimeStampRequest]) (*connect.Response[signerv1.TimeStampResponse], error) {
	response, err := s.validation.TimeStamp(ctx, r.Msg.GetQuery())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.TimeStampResponse{Response: response}), nil
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
	return &signerv1.Receipt{CitizenId: r.CitizenID, ActivationCode: r.ActivationCode.Reveal(), RegisteredAt: timestamppb.New(r.RegisteredAt), Code: r.Code}
}
