package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer/rpc/signerv1"
)

// recordLimit bounds the payload of an entry that a door records. The longest
// is a question with a purpose and all its fields.
const recordLimit = 16 << 10

// AuditLog takes the entries of the doors of the personnel. *store.DB fulfils it.
type AuditLog interface {
	// RecordAudit appends an entry at the time of the log's own clock and returns
	// its number; without an error it is durable.
	RecordAudit(ctx context.Context, e audit.Entry) (int64, error)
}

// recordable are the types that a peer may write. Whatever else the log says, it
// says of the signer's own doing.
func recordable(may rights) (types []audit.EventType) {
	if may&mayRecord != 0 {
		types = append(types,
			audit.AuditQueried, audit.AuditExported,
			audit.AuditorLoggedIn, audit.AuditorLoginFailed, audit.AuditorEnrolled, audit.AuditorInvited, audit.AuditorDisabled)
	}
	if may&mayRegister != 0 {
		types = slices.Concat(types, audit.OfficerEvents(), audit.DeskEvents(), audit.CertificateDoorEvents())
	}
	return types
}

// RecordAudit implements auditing.Recorder. The time is the signer's.
func (c *Client) RecordAudit(ctx context.Context, e audit.Entry) (int64, error) {
	payload, err := json.Marshal(e.Payload)
	if err != nil {
		return 0, fmt.Errorf("encoding %s: %w", e.Type, err)
	}
	resp, err := c.audit.RecordAudit(ctx, connect.NewRequest(&signerv1.RecordAuditRequest{
		Type: string(e.Type), Operation: e.Operation, Payload: payload, Person: e.Person,
	}))
	if err != nil {
		return 0, decode(err)
	}
	return resp.Msg.GetSeq(), nil
}

type auditServer struct{ log AuditLog }

func (s *auditServer) RecordAudit(ctx context.Context, r *connect.Request[signerv1.RecordAuditRequest]) (*connect.Response[signerv1.RecordAuditResponse], error) {
	e, err := parseRecord(r.Msg, rightsIn(ctx))
	if err != nil {
		return nil, err
	}
	seq, err := s.log.RecordAudit(ctx, e)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&signerv1.RecordAuditResponse{Seq: seq}), nil
}

// parseRecord leaves it to the entry's schema whether the payload fits.
func parseRecord(m *signerv1.RecordAuditRequest, may rights) (audit.Entry, error) {
	e := audit.Entry{Type: audit.EventType(m.GetType()), Operation: m.GetOperation(), Person: m.GetPerson()}
	switch {
	case !slices.Contains(recordable(may), e.Type):
		return e, policies.Refuse(policies.RequestMalformed, "field", "type")
	case len(m.GetPayload()) > recordLimit:
		return e, policies.Refuse(policies.RequestMalformed, "field", "payload")
	}
	if id, err := citizen.ParseIdentifier(e.Person); e.Person != "" && (err != nil || id.String() != e.Person) {
		return e, policies.Refuse(policies.RequestMalformed, "field", "person")
	}
	d := json.NewDecoder(bytes.NewReader(m.GetPayload()))
	d.UseNumber() // a number in the log is the one that was sent
	if err := d.Decode(&e.Payload); err != nil || d.More() {
		return e, policies.Refuse(policies.RequestMalformed, "field", "payload")
	}
	return e, nil
}
