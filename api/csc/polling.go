package csc

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ticket is a responseID: which signatures of which request, and of what kind.
// It is no secret: the request is its application's alone.
type ticket struct {
	claim
	kind string
	// until is when whoever waits is content with a lower level. Bare values have
	// none.
	until time.Time
}

// The kinds of a ticket.
const (
	bareValues      = "H"
	aroundHashes    = "C"
	withInformation = "V" // aroundHashes, and what they are validated with
)

func (what deed) kind() string {
	if what.info {
		return withInformation
	}
	return aroundHashes
}

// patience is how long an answer waits for its level where the call says nothing
// of it.
const patience = 10 * time.Minute

// String writes the request, the kind, how long it waits, and the ordinals.
func (t ticket) String() string {
	parts := []string{t.request.ID, t.kind}
	if t.kind != bareValues {
		parts = append(parts, strconv.FormatInt(t.until.Unix(), 10))
	}
	for _, n := range t.ordinals {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, ".")
}

// parseTicket reads one; the request is only named.
func parseTicket(s string) (ticket, bool) {
	parts := strings.Split(s, ".")
	if len(s) > 2048 || len(parts) < 3 || !printable(parts[0]) || !slices.Contains([]string{bareValues, aroundHashes, withInformation}, parts[1]) {
		return ticket{}, false
	}
	t := ticket{kind: parts[1]}
	t.request.ID, parts = parts[0], parts[2:]
	if t.kind != bareValues {
		seconds, err := strconv.ParseInt(parts[0], 10, 64)
		if err != nil || len(parts) < 2 {
			return t, false
		}
		t.until, parts = time.Unix(seconds, 0), parts[1:]
	}
	for _, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || slices.Contains(t.ordinals, n) {
			return t, false
		}
		t.ordinals = append(t.ordinals, n)
	}
	return t, true
}

// signPolling hands out what an asynchronous call has left.
func (d *Door) signPolling(ctx context.Context, c call) (answer, error) {
	name, err := c.body.must("requestID")
	if err != nil {
		return answer{}, err
	}
	if c.body.has("userID") {
		return answer{}, invalid("userID parameter SHALL be null")
	}
	if err := c.body.clientData(); err != nil {
		return answer{}, err
	}
	unknown := invalidParameter("requestID")
	t, known := parseTicket(name)
	if !known {
		return answer{}, unknown
	}
	t.request, err = d.Store.Request(ctx, t.request.ID)
	if errors.Is(err, policies.Refuse(policies.RequestUnknown)) {
		return answer{}, unknown
	}
	if err != nil {
		return answer{}, fmt.Errorf("reading a request: %w", err)
	}
	if t.request.Application.ID != c.grant.Client.ID || slices.Max(t.ordinals) > len(t.request.Documents) ||
		slices.ContainsFunc(t.documents(), func(d signer.Document) bool { return d.Given == nil }) {
		return answer{}, unknown
	}
	switch t.request.State {
	case signer.Signing:
		return pending()
	case signer.Signed:
	default:
		return answer{}, unknown
	}
	if t.kind != bareValues {
		return d.pollBuilt(ctx, c, t)
	}
	out := make([]string, len(t.ordinals))
	for i, doc := range t.documents() {
		out[i] = base64Of(doc.CMS)
	}
	if err := fetched(d.Store.HandOut(ctx, t.request.ID, t.ordinals, d.Now())); err != nil {
		return answer{}, err
	}
	return ok(signatures{out})
}

// fetched is what it means that what a ticket stands for has left, or could not,
// since that it does once.
func fetched(err error) error {
	if errors.Is(err, policies.Refuse(policies.AuthorisationInvalid)) {
		return invalidParameter("requestID")
	}
	if err != nil {
		return fmt.Errorf("handing out: %w", err)
	}
	return nil
}

// pollBuilt hands over what was kept. While a level is not there, because a
// time-stamp or a status is not to be had, all of it is still to come; when
// patience ends, it leaves as it is. A poll tries what the job of all levels tries:
// nobody waits for that one's next turn.
func (d *Door) pollBuilt(ctx context.Context, c call, t ticket) (answer, error) {
	unknown := invalidParameter("requestID")
	if len(t.ordinals) != len(t.request.Documents) {
		return answer{}, unknown
	}
	for _, doc := range t.documents() {
		if doc.Built == "" { // bare values, or they have left
			return answer{}, unknown
		}
		if err := c.grant.Client.Permit(doc.Built, doc.Level); err != nil {
			return answer{}, err
		}
	}
	if waiting(t.request) {
		d.Signatures.AugmentSoon(ctx, t.request.ID)
		if err := d.reread(ctx, &t.claim); err != nil {
			return answer{}, err
		}
	}
	if waiting(t.request) && d.Now().Before(t.until) {
		return pending()
	}
	built, err := d.Signatures.Fetch(ctx, t.request)
	if errors.Is(err, policies.Refuse(policies.NotFound)) {
		return answer{}, unknown
	}
	if err != nil {
		return answer{}, err
	}
	what := deed{info: t.kind == withInformation}
	if what.info {
		if what.certificate, err = signatory(t.request.Documents[0]); err != nil {
			return answer{}, err
		}
	}
	out, err := d.signed(ctx, t.claim, built, what)
	if err != nil {
		return answer{}, err
	}
	if err := fetched(d.Store.HandOver(ctx, t.request.ID, t.ordinals, d.Now())); err != nil {
		return answer{}, err
	}
	return ok(out)
}

// waiting is whether a signature may still come to its level.
func waiting(r signer.Request) bool {
	return slices.ContainsFunc(r.Documents, func(d signer.Document) bool {
		lacking := requests.Lacking(d)
		return lacking != "" && lacking != policies.LevelUnreachable
	})
}

// signatory is the certificate that a signature was made with.
func signatory(d signer.Document) (*x509.Certificate, error) {
	m, err := cms.Parse(d.CMS)
	if err != nil {
		return nil, fmt.Errorf("reading a signature: %w", err)
	}
	if certificate := m.SignerCertificate(); certificate != nil {
		return certificate, nil
	}
	return nil, fmt.Errorf("%w: it holds no certificate of its signer's", cms.ErrInvalid)
}

// pending asks to come again.
func pending() (answer, error) {
	return answer{http.StatusAccepted, fault{
		Code: "accepted_request", Description: "The previous async request has been accepted but not yet completed",
	}}, nil
}
