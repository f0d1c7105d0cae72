package rpc

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
)

// Consents are over no signature. *signer.Service fulfils it.
type Consents interface {
	Consent(ctx context.Context, o signer.ConsentOrder) (id string, err error)
	WithdrawConsent(ctx context.Context, t signer.Ticket, applicationID string) error
}

// Explicit is SCAL1: factors that come from an application. *signer.Service
// fulfils it, and refuses where it is switched off.
type Explicit interface {
	SendExplicitCode(ctx context.Context, o signer.ExplicitOrder) error
	AuthoriseExplicit(ctx context.Context, a signer.Answer) (signer.Authorised, error)
}

var (
	_ Consents = (*Client)(nil)
	_ Explicit = (*Client)(nil)
)

// Consent implements Consents.
func (c *Client) Consent(ctx context.Context, o signer.ConsentOrder) (string, error) {
	resp, err := c.consents.GiveConsent(ctx, connect.NewRequest(&signerv1.GiveConsentRequest{
		Ticket: o.Ticket.Encode(), ApplicationId: o.ApplicationID, Scopes: o.Scopes,
	}))
	if err != nil {
		return "", decode(err)
	}
	return resp.Msg.GetConsentId(), nil
}

// WithdrawConsent implements Consents.
func (c *Client) WithdrawConsent(ctx context.Context, t signer.Ticket, applicationID string) error {
	_, err := c.consents.WithdrawConsent(ctx, connect.NewRequest(&signerv1.WithdrawConsentRequest{Ticket: t.Encode(), ApplicationId: applicationID}))
	return decode(err)
}

// SendExplicitCode implements Explicit.
func (c *Client) SendExplicitCode(ctx context.Context, o signer.ExplicitOrder) error {
	_, err := c.explicit.SendExplicitCode(ctx, connect.NewRequest(&signerv1.SendExplicitCodeRequest{
		ApplicationId: o.ApplicationID, Identifier: o.Identifier, CredentialId: o.CredentialID,
	}))
	return decode(err)
}

// AuthoriseExplicit implements Explicit.
func (c *Client) AuthoriseExplicit(ctx context.Context, a signer.Answer) (signer.Authorised, error) {
	resp, err := c.explicit.AuthoriseExplicit(ctx, connect.NewRequest(&signerv1.AuthoriseExplicitRequest{Ticket: a.Ticket.Encode(), Code: a.Code.Reveal()}))
	if err != nil {
		return signer.Authorised{}, decode(err)
	}
	sad, err := signer.ParseSAD(resp.Msg.GetSad())
	return signer.Authorised{SAD: sad, ExpiresAt: resp.Msg.GetExpiresAt().AsTime()}, err
}

type consentServer struct{ consents Consents }

func (s *consentServer) GiveConsent(ctx context.Context, r *connect.Request[signerv1.GiveConsentRequest]) (*connect.Response[signerv1.GiveConsentResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	id, err := s.consents.Consent(ctx, signer.ConsentOrder{Ticket: ticket, ApplicationID: r.Msg.GetApplicationId(), Scopes: r.Msg.GetScopes()})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.GiveConsentResponse{ConsentId: id}), nil
}

func (s *consentServer) WithdrawConsent(ctx context.Context, r *connect.Request[signerv1.WithdrawConsentRequest]) (*connect.Response[signerv1.WithdrawConsentResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	if err := s.consents.WithdrawConsent(ctx, ticket, r.Msg.GetApplicationId()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.WithdrawConsentResponse{}), nil
}

type explicitServer struct{ explicit Explicit }

func (s *explicitServer) SendExplicitCode(ctx context.Context, r *connect.Request[signerv1.SendExplicitCodeRequest]) (*connect.Response[signerv1.SendExplicitCodeResponse], error) {
	err := s.explicit.SendExplicitCode(ctx, signer.ExplicitOrder{
		ApplicationID: r.Msg.GetApplicationId(), Identifier: r.Msg.GetIdentifier(), CredentialID: r.Msg.GetCredentialId(),
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.SendExplicitCodeResponse{}), nil
}

func (s *explicitServer) AuthoriseExplicit(ctx context.Context, r *connect.Request[signerv1.AuthoriseExplicitRequest]) (*connect.Response[signerv1.AuthoriseExplicitResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	a, err := s.explicit.AuthoriseExplicit(ctx, answer)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.AuthoriseExplicitResponse{Sad: a.SAD.Encode(), ExpiresAt: timestamppb.New(a.ExpiresAt)}), nil
}
