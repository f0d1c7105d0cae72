package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"connectrpc.com/connect"

	"github.com/rubrica-firma/rubrica/ca/ocsp"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1/signerv1connect"
)

// Client reaches a module in another process. It fulfils signer.Module,
// Register, Validation and AuditLog.
type Client struct {
	module    signerv1connect.ActivationModuleClient
	register  signerv1connect.CitizenRegisterClient
	validate  signerv1connect.ValidationClient
	profile   signerv1connect.CitizenProfileClient
	audit     signerv1connect.AuditLogClient
	pins      signerv1connect.PinsClient
	letters   signerv1connect.LettersClient
	cards     signerv1connect.CardsClient
	registrar signerv1connect.RegistrarClient
	sandbox   signerv1connect.SandboxClient
	envelopes signerv1connect.EnvelopesClient
	consents  signerv1connect.ConsentsClient
	explicit  signerv1connect.ExplicitClient
	http      *http.Client
	base      string
}

var (
	_ signer.Module = (*Client)(nil)
	_ Register      = (*Client)(nil)
	_ Validation    = (*Client)(nil)
	_ AuditLog      = (*Client)(nil)
)

// Healthy reports whether the module answers that it can do its work.
func (c *Client) Healthy(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("the signer is not ready: %s", resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

// Open implements signer.Module.
func (c *Client) Open(ctx context.Context, requestID string) error {
	_, err := c.module.Open(ctx, connect.NewRequest(&signerv1.OpenRequest{RequestId: requestID}))
	return decode(err)
}

// Identify implements signer.Module.
func (c *Client) Identify(ctx context.Context, who signer.Identification) (signer.Session, error) {
	defer clear(who.Password)
	resp, err := c.module.Identify(ctx, connect.NewRequest(&signerv1.IdentifyRequest{
		RequestId: who.RequestID, Identifier: who.Identifier, Password: who.Password, RemoteAddr: who.RemoteAddr, Access: who.Access,
	}))
	if err != nil {
		return signer.Session{}, decode(err)
	}
	return decodeSession(resp.Msg.GetSession())
}

// SendCode implements signer.Module.
func (c *Client) SendCode(ctx context.Context, order signer.CodeOrder) (signer.Challenge, error) {
	resp, err := c.module.SendCode(ctx, connect.NewRequest(&signerv1.SendCodeRequest{
		Ticket: order.Ticket.Encode(), Purpose: string(order.Purpose), ApplicationId: order.ApplicationID,
	}))
	if err != nil {
		return signer.Challenge{}, decode(err)
	}
	return decodeChallenge(resp.Msg.GetChallenge()), nil
}

// IssueCredential implements signer.Module.
func (c *Client) IssueCredential(ctx context.Context, answer signer.Answer) (signer.Session, error) {
	resp, err := c.module.IssueCredential(ctx, connect.NewRequest(&signerv1.IssueCredentialRequest{
		Ticket: answer.Ticket.Encode(), Code: answer.Code.Reveal(),
	}))
	if err != nil {
		return signer.Session{}, decode(err)
	}
	return decodeSession(resp.Msg.GetSession())
}

// Authorise implements signer.Module.
func (c *Client) Authorise(ctx context.Context, answer signer.Answer) (signer.Authorised, error) {
	resp, err := c.module.Authorise(ctx, connect.NewRequest(&signerv1.AuthoriseRequest{Ticket: answer.Ticket.Encode(), Code: answer.Code.Reveal()}))
	if err != nil {
		return signer.Authorised{}, decode(err)
	}
	sad, err := signer.ParseSAD(resp.Msg.GetSad())
	return signer.Authorised{SAD: sad, ExpiresAt: resp.Msg.GetExpiresAt().AsTime()}, err
}

// Sign implements signer.Module.
func (c *Client) Sign(ctx context.Context, sad signer.SAD) error {
	_, err := c.module.Sign(ctx, connect.NewRequest(&signerv1.SignRequest{Sad: sad.Encode()}))
	return decode(err)
}

// Refuse implements signer.Module.
func (c *Client) Refuse(ctx context.Context, ticket signer.Ticket) error {
	_, err := c.module.Refuse(ctx, connect.NewRequest(&signerv1.RefuseRequest{Ticket: ticket.Encode()}))
	return decode(err)
}

// Perform implements Register.
func (c *Client) Perform(ctx context.Context, a citizen.Act) (citizen.Receipt, error) {
	resp, err := c.register.Perform(ctx, connect.NewRequest(&signerv1.PerformRequest{Office: a.Office, Act: a.JWS}))
	if err != nil {
		return citizen.Receipt{}, decode(err)
	}
	return decodeReceipt(resp.Msg.GetReceipt())
}

// StartActivation implements Register.
func (c *Client) StartActivation(ctx context.Context, claim citizen.Claim) (signer.Session, signer.Challenge, error) {
	resp, err := c.register.StartActivation(ctx, connect.NewRequest(&signerv1.StartActivationRequest{
		Identifier: claim.Identifier.String(), Email: claim.Email.String(), ActivationCode: claim.Code.Reveal(), RemoteAddr: claim.RemoteAddr,
	}))
	if err != nil {
		return signer.Session{}, signer.Challenge{}, decode(err)
	}
	session, err := decodeSession(resp.Msg.GetSession())
	return session, decodeChallenge(resp.Msg.GetChallenge()), err
}

// Confirm implements Register.
func (c *Client) Confirm(ctx context.Context, answer signer.Answer) error {
	_, err := c.register.Confirm(ctx, connect.NewRequest(&signerv1.ConfirmRequest{
		Ticket: answer.Ticket.Encode(), Code: answer.Code.Reveal(),
	}))
	return decode(err)
}

// SetPassword implements Register.
func (c *Client) SetPassword(ctx context.Context, ticket signer.Ticket, password citizen.Password) error {
	defer password.Zero()
	_, err := c.register.SetPassword(ctx, connect.NewRequest(&signerv1.SetPasswordRequest{Ticket: ticket.Encode(), Password: password.Reveal()}))
	return decode(err)
}

// ChangeCertificate implements Register.
func (c *Client) ChangeCertificate(ctx context.Context, ch citizen.CertificateChange) error {
	_, err := c.register.ChangeCertificate(ctx, connect.NewRequest(&signerv1.ChangeCertificateRequest{
		Ticket: ch.Answer.Ticket.Encode(), Code: ch.Answer.Code.Reveal(), Purpose: string(ch.Purpose), Reason: int32(ch.Reason), //nolint:gosec // 0 to 10
	}))
	return decode(err)
}

// OCSP implements Validation.
func (c *Client) OCSP(ctx context.Context, request []byte) (ocsp.Answer, error) {
	resp, err := c.validate.OCSP(ctx, connect.NewRequest(&signerv1.OCSPRequest{Request: request}))
	if err != nil {
		return ocsp.Answer{}, decode(err)
	}
	return ocsp.Answer{
		DER: resp.Msg.GetResponse(), Serial: resp.Msg.GetSerial(), Cacheable: resp.Msg.GetCacheable(),
		ThisUpdate: resp.Msg.GetThisUpdate().AsTime(), NextUpdate: resp.Msg.GetNextUpdate().AsTime(),
	}, nil
}

// TimeStamp implements Validation.
func (c *Client) TimeStamp(ctx context.Context, query []byte) ([]byte, error) {
	resp, err := c.validate.TimeStamp(ctx, connect.NewRequest(&signerv1.TimeStampRequest{Query: query}))
	if err != nil {
		return nil, decode(err)
	}
	return resp.Msg.GetResponse(), nil
}

func decodeSession(s *signerv1.Session) (signer.Session, error) {
	ticket, err := signer.ParseTicket(s.GetTicket())
	return signer.Session{Ticket: ticket, ExpiresAt: s.GetExpiresAt().AsTime(), Certified: s.GetCertified()}, err
}

func decodeChallenge(c *signerv1.Challenge) signer.Challenge {
	return signer.Challenge{
		ID: c.GetId(), Reference: c.GetReference(), MaskedPhone: c.GetMaskedPhone(),
		SentAt: c.GetSentAt().AsTime(), ExpiresAt: c.GetExpiresAt().AsTime(), ResendAt: c.GetResendAt().AsTime(),
		TriesLeft: int(c.GetTriesLeft()),
	}
}

func decodeReceipt(r *signerv1.Receipt) (citizen.Receipt, error) {
	receipt := citizen.Receipt{CitizenID: r.GetCitizenId(), RegisteredAt: r.GetRegisteredAt().AsTime(), Code: r.GetCode()}
	if r.GetActivationCode() == "" {
		return receipt, nil
	}
	var err error
	receipt.ActivationCode, err = citizen.ParseActivationCode(r.GetActivationCode())
	return receipt, err
}
