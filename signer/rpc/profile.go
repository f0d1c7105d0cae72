package rpc

import (
	"context"
	"math"
	"time"

	"connectrpc.com/connect"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
)

// Profile is what citizens do on their own pages. *citizen.Profile and
// *citizen.Incidents fulfil it together.
type Profile interface {
	ChangePassword(ctx context.Context, t signer.Ticket, p citizen.Password) (waits bool, err error)
	ChangeEmail(ctx context.Context, a signer.Answer, e citizen.Email) error
	Follow(ctx context.Context, l citizen.Link) (citizen.PendingKind, error)
	Deregister(ctx context.Context, a signer.Answer) error
	Associate(ctx context.Context, a signer.Answer, shown signer.Ticket) error
	Dissociate(ctx context.Context, a signer.Answer) error
	SetNotices(ctx context.Context, t signer.Ticket, n signer.Notices) error
	OpenIncident(ctx context.Context, c citizen.Complaint) (citizen.Incident, error)
	ReadLog(ctx context.Context, t signer.Ticket, after int64) ([]citizen.LogEntry, error)
	Leave(ctx context.Context, t signer.Ticket, everywhere bool) error
	TakeDocument(ctx context.Context, t signer.Ticket, requestID string, ordinal int) error
}

var _ Profile = (*Client)(nil)

// ChangePassword implements Profile.
func (c *Client) ChangePassword(ctx context.Context, t signer.Ticket, p citizen.Password) (bool, error) {
	defer p.Zero()
	resp, err := c.profile.ChangePassword(ctx, connect.NewRequest(&signerv1.ChangePasswordRequest{Ticket: t.Encode(), Password: p.Reveal()}))
	if err != nil {
		return false, decode(err)
	}
	return resp.Msg.GetWaits(), nil
}

// ChangeEmail implements Profile.
func (c *Client) ChangeEmail(ctx context.Context, a signer.Answer, e citizen.Email) error {
	_, err := c.profile.ChangeEmail(ctx, connect.NewRequest(&signerv1.ChangeEmailRequest{
		Ticket: a.Ticket.Encode(), Code: a.Code.Reveal(), Email: e.String(),
	}))
	return decode(err)
}

// Follow implements Profile.
func (c *Client) Follow(ctx context.Context, l citizen.Link) (citizen.PendingKind, error) {
	resp, err := c.profile.FollowLink(ctx, connect.NewRequest(&signerv1.FollowLinkRequest{Link: l.Encode()}))
	if err != nil {
		return "", decode(err)
	}
	return citizen.PendingKind(resp.Msg.GetKind()), nil
}

// Deregister implements Profile.
func (c *Client) Deregister(ctx context.Context, a signer.Answer) error {
	_, err := c.profile.Deregister(ctx, connect.NewRequest(&signerv1.DeregisterRequest{Ticket: a.Ticket.Encode(), Code: a.Code.Reveal()}))
	return decode(err)
}

// Associate implements Profile.
func (c *Client) Associate(ctx context.Context, a signer.Answer, shown signer.Ticket) error {
	_, err := c.profile.Associate(ctx, connect.NewRequest(&signerv1.AssociateRequest{
		Ticket: a.Ticket.Encode(), Code: a.Code.Reveal(), Shown: shown.Encode(),
	}))
	return decode(err)
}

// Dissociate implements Profile.
func (c *Client) Dissociate(ctx context.Context, a signer.Answer) error {
	_, err := c.profile.Dissociate(ctx, connect.NewRequest(&signerv1.DissociateRequest{Ticket: a.Ticket.Encode(), Code: a.Code.Reveal()}))
	return decode(err)
}

// SetNotices implements Profile.
func (c *Client) SetNotices(ctx context.Context, t signer.Ticket, n signer.Notices) error {
	_, err := c.profile.SetNotices(ctx, connect.NewRequest(&signerv1.SetNoticesRequest{Ticket: t.Encode(), Notices: string(n)}))
	return decode(err)
}

// OpenIncident implements Profile.
func (c *Client) OpenIncident(ctx context.Context, i citizen.Complaint) (citizen.Incident, error) {
	resp, err := c.profile.OpenIncident(ctx, connect.NewRequest(&signerv1.OpenIncidentRequest{
		Ticket: i.Ticket.Encode(), RequestId: i.RequestID, Said: i.Said,
	}))
	if err != nil {
		return citizen.Incident{}, decode(err)
	}
	return citizen.Incident{ID: resp.Msg.GetId(), RequestID: i.RequestID, Suspended: resp.Msg.GetSuspended()}, nil
}

// ReadLog implements Profile.
func (c *Client) ReadLog(ctx context.Context, t signer.Ticket, after int64) ([]citizen.LogEntry, error) {
	resp, err := c.profile.ReadLog(ctx, connect.NewRequest(&signerv1.ReadLogRequest{Ticket: t.Encode(), After: after}))
	if err != nil {
		return nil, decode(err)
	}
	var entries []citizen.LogEntry
	for _, e := range resp.Msg.GetEntries() {
		entries = append(entries, citizen.LogEntry{
			Seq: e.GetSeq(), Type: audit.EventType(e.GetType()), Operation: e.GetOperation(),
			At: time.UnixMicro(e.GetAtUs()).UTC(), Payload: e.GetPayload(),
		})
	}
	return entries, nil
}

// Leave implements Profile.
func (c *Client) Leave(ctx context.Context, t signer.Ticket, everywhere bool) error {
	_, err := c.profile.Leave(ctx, connect.NewRequest(&signerv1.LeaveRequest{Ticket: t.Encode(), Everywhere: everywhere}))
	return decode(err)
}

// TakeDocument implements Profile.
func (c *Client) TakeDocument(ctx context.Context, t signer.Ticket, requestID string, ordinal int) error {
	_, err := c.profile.TakeDocument(ctx, connect.NewRequest(&signerv1.TakeDocumentRequest{
		Ticket: t.Encode(), RequestId: requestID, Ordinal: int32(min(ordinal, math.MaxInt32)), //nolint:gosec // bounded here
	}))
	return decode(err)
}

type profileServer struct{ profile Profile }

func (s *profileServer) Leave(ctx context.Context, r *connect.Request[signerv1.LeaveRequest]) (*connect.Response[signerv1.LeaveResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	if err := s.profile.Leave(ctx, ticket, r.Msg.GetEverywhere()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.LeaveResponse{}), nil
}

func (s *profileServer) TakeDocument(ctx context.Context, r *connect.Request[signerv1.TakeDocumentRequest]) (*connect.Response[signerv1.TakeDocumentResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	if err := s.profile.TakeDocument(ctx, ticket, r.Msg.GetRequestId(), int(r.Msg.GetOrdinal())); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.TakeDocumentResponse{}), nil
}

func (s *profileServer) ChangePassword(ctx context.Context, r *connect.Request[signerv1.ChangePasswordRequest]) (*connect.Response[signerv1.ChangePasswordResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	password, err := citizen.ParsePassword(r.Msg.GetPassword())
	if err != nil {
		return nil, err
	}
	waits, err := s.profile.ChangePassword(ctx, ticket, password)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.ChangePasswordResponse{Waits: waits}), nil
}

func (s *profileServer) ChangeEmail(ctx context.Context, r *connect.Request[signerv1.ChangeEmailRequest]) (*connect.Response[signerv1.ChangeEmailResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	email, err := citizen.ParseEmail(r.Msg.GetEmail())
	if err != nil {
		return nil, err
	}
	if err := s.profile.ChangeEmail(ctx, answer, email); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.ChangeEmailResponse{}), nil
}

func (s *profileServer) FollowLink(ctx context.Context, r *connect.Request[signerv1.FollowLinkRequest]) (*connect.Response[signerv1.FollowLinkResponse], error) {
	link, err := citizen.ParseLink(r.Msg.GetLink())
	if err != nil {
		return nil, err
	}
	kind, err := s.profile.Follow(ctx, link)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.FollowLinkResponse{Kind: string(kind)}), nil
}

func (s *profileServer) Deregister(ctx context.Context, r *connect.Request[signerv1.DeregisterRequest]) (*connect.Response[signerv1.DeregisterResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	if err := s.profile.Deregister(ctx, answer); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.DeregisterResponse{}), nil
}

func (s *profileServer) Associate(ctx context.Context, r *connect.Request[signerv1.AssociateRequest]) (*connect.Response[signerv1.AssociateResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	shown, err := signer.ParseTicket(r.Msg.GetShown())
	if err != nil {
		return nil, err
	}
	if err := s.profile.Associate(ctx, answer, shown); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.AssociateResponse{}), nil
}

func (s *profileServer) Dissociate(ctx context.Context, r *connect.Request[signerv1.DissociateRequest]) (*connect.Response[signerv1.DissociateResponse], error) {
	answer, err := parseAnswer(r.Msg.GetTicket(), r.Msg.GetCode())
	if err != nil {
		return nil, err
	}
	if err := s.profile.Dissociate(ctx, answer); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.DissociateResponse{}), nil
}

func (s *profileServer) SetNotices(ctx context.Context, r *connect.Request[signerv1.SetNoticesRequest]) (*connect.Response[signerv1.SetNoticesResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	if err := s.profile.SetNotices(ctx, ticket, signer.Notices(r.Msg.GetNotices())); err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.SetNoticesResponse{}), nil
}

func (s *profileServer) OpenIncident(ctx context.Context, r *connect.Request[signerv1.OpenIncidentRequest]) (*connect.Response[signerv1.OpenIncidentResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	i, err := s.profile.OpenIncident(ctx, citizen.Complaint{Ticket: ticket, RequestID: r.Msg.GetRequestId(), Said: r.Msg.GetSaid()})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.OpenIncidentResponse{Id: i.ID, Suspended: i.Suspended}), nil
}

func (s *profileServer) ReadLog(ctx context.Context, r *connect.Request[signerv1.ReadLogRequest]) (*connect.Response[signerv1.ReadLogResponse], error) {
	ticket, err := signer.ParseTicket(r.Msg.GetTicket())
	if err != nil {
		return nil, err
	}
	entries, err := s.profile.ReadLog(ctx, ticket, r.Msg.GetAfter())
	if err != nil {
		return nil, err
	}
	response := &signerv1.ReadLogResponse{}
	for _, e := range entries {
		response.Entries = append(response.Entries, &signerv1.LogEntry{
			Seq: e.Seq, Type: string(e.Type), Operation: e.Operation, AtUs: e.At.UnixMicro(), Payload: e.Payload,
		})
	}
	return connect.NewResponse(response), nil
}
