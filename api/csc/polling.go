package csc

import (
	"bytes"
	"context"
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
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/signer/cms"
)

// ticket is a responseID: which signatures of which request, and of what kind.
// It is no secret: the request is its application's alone.
type ticket struct {
	claim
	kind string // bareValues or aroundHashes
	// built is what each signature is to become, in the ordinals' order; and until
	// is when whoever waits is content with less. Bare values have neither.
	built []requests.Wanted
	until time.Time
}

// The kinds of a ticket.
const (
	bareValues   = "H"
	aroundHashes = "C"
)

// patience is how long an answer waits for its level where the call says nothing
// of it.
const patience = 10 * time.Minute

// String writes the request, the kind, and the ordinals, each with its level
// where there is one.
func (t ticket) String() string {
	parts := []string{t.request.ID, t.kind}
	if t.kind == aroundHashes {
		parts = append(parts, strconv.FormatInt(t.until.Unix(), 10))
	}
	for i, n := range t.ordinals {
		part := strconv.Itoa(n)
		if t.kind == aroundHashes {
			part += formatLetter(t.built[i].Format) + string(t.built[i].Level)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ".")
}

func formatLetter(f signer.Format) string {
	if f == signer.PAdES {
		return "P"
	}
	return "C"
}

// parseTicket reads one; the request is only named.
func parseTicket(s string) (ticket, bool) {
	parts := strings.Split(s, ".")
	if len(s) > 2048 || len(parts) < 3 || !printable(parts[0]) || parts[1] != bareValues && parts[1] != aroundHashes {
		return ticket{}, false
	}
	t := ticket{kind: parts[1]}
	t.request.ID, parts = parts[0], parts[2:]
	if t.kind == aroundHashes {
		seconds, err := strconv.ParseInt(parts[0], 10, 64)
		if err != nil || len(parts) < 2 {
			return t, false
		}
		t.until, parts = time.Unix(seconds, 0), parts[1:]
	}
	for _, part := range parts {
		number := part
		if t.kind == aroundHashes {
			before, wanted, ok := parseLevel(part)
			if !ok {
				return t, false
			}
			number, t.built = before, append(t.built, wanted)
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || slices.Contains(t.ordinals, n) {
			return t, false
		}
		t.ordinals = append(t.ordinals, n)
	}
	return t, true
}

// parseLevel reads an ordinal with what is to become of it, as far as a digest
// alone lets it.
func parseLevel(part string) (number string, w requests.Wanted, ok bool) {
	i := strings.IndexAny(part, "CP")
	if i < 0 {
		return "", w, false
	}
	format, level := part[i:i+1], cades.Level(part[i+1:])
	w.Format, w.Level = signer.CAdESDetached, level
	if format == "P" {
		w.Format = signer.PAdES
	}
	known := level == cades.BB || level == cades.BT || level == cades.BLT
	return part[:i], w, known && !level.AtLeast(reachOf(format))
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
	if t.kind == aroundHashes {
		return d.pollBuilt(ctx, c, t)
	}
	out := make([]string, len(t.ordinals))
	for i, doc := range t.documents() {
		out[i] = base64Of(doc.CMS)
	}
	if err := d.fetched(ctx, t); err != nil {
		return answer{}, err
	}
	return ok(signatures{out})
}

// fetched records that what a ticket stands for leaves, which it does once.
func (d *Door) fetched(ctx context.Context, t ticket) error {
	err := d.Store.HandOut(ctx, t.request.ID, t.ordinals, d.Now())
	if errors.Is(err, policies.Refuse(policies.AuthorisationInvalid)) {
		return invalidParameter("requestID")
	}
	if err != nil {
		return fmt.Errorf("handing out: %w", err)
	}
	return nil
}

// pollBuilt lifts signatures to their levels, which is done when they are asked
// for: nothing waits anywhere that a restart could lose. While one is not there,
// because a time-stamp or a status is not to be had, it is all still to come; when
// patience ends, they leave as they are.
func (d *Door) pollBuilt(ctx context.Context, c call, t ticket) (answer, error) {
	unknown := invalidParameter("requestID")
	if len(t.ordinals) != len(t.request.Documents) {
		return answer{}, unknown
	}
	left, err := d.Store.HandedOut(ctx, t.request.ID)
	if err != nil {
		return answer{}, fmt.Errorf("reading what has been handed out: %w", err)
	}
	if len(left) > 0 {
		return answer{}, unknown
	}
	wanted := make([]requests.Wanted, len(t.ordinals))
	for i, n := range t.ordinals {
		if err := c.grant.Client.Permit(t.built[i].Format, t.built[i].Level); err != nil {
			return answer{}, err
		}
		if _, err := cms.Open(bytes.NewReader(t.request.Documents[n-1].CMS), int64(len(t.request.Documents[n-1].CMS))); err != nil {
			return answer{}, unknown // bare values have no level
		}
		wanted[n-1] = t.built[i]
	}
	building, err := d.Signatures.Around(ctx, t.request, wanted)
	if err != nil {
		return answer{}, unfit(err)
	}
	defer building.Close()
	built, err := building.Finish(ctx, t.request)
	if err != nil {
		return answer{}, err
	}
	out := make([]string, len(t.ordinals))
	for i, n := range t.ordinals {
		if !built[n-1].Reached.AtLeast(wanted[n-1].Level) && d.Now().Before(t.until) {
			return pending()
		}
		out[i] = base64Of(built[n-1].CMS)
	}
	if err := d.fetched(ctx, t); err != nil {
		return answer{}, err
	}
	return ok(signedDocuments{Objects: out})
}

// pending asks to come again.
func pending() (answer, error) {
	return answer{http.StatusAccepted, fault{
		Code: "accepted_request", Description: "The previous async request has been accepted but not yet completed",
	}}, nil
}
