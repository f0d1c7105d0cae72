package presenting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Recorder writes into the log, through the process that may. The entry is
// durable on return. *rpc.Client fulfils it.
type Recorder interface {
	RecordAudit(ctx context.Context, e audit.Entry) (seq int64, err error)
}

// refusals paces the entries about certificates of all addresses together:
// anybody can make one to be refused.
func refusals() api.Rate { return api.Rate{Every: time.Second, Burst: 60} }

// doorOperation is the operation of entries about certificates that lead
// nowhere.
const doorOperation = "certificate-door"

// refused writes down that a certificate was shown and not taken. Whom it names
// is told only of one that an authority of the list issued: of others that is
// anybody's word.
func (d *Door) refused(r *http.Request, e Errand, s Shown, refusal *policies.Refusal) error {
	ctx, now := r.Context(), d.Now()
	d.Logger.InfoContext(ctx, "certificate_refused", "code", string(refusal.Code), "reason", refusal.Params["reason"],
		"procedure", string(e.Procedure), "authority", s.Authority)
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	omitted, admitted := d.flood.Take(now)
	if !admitted {
		return nil
	}
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	facts := map[string]any{"procedure": string(e.Procedure), "reason": string(refusal.Code), "certificate_sha256": hex.EncodeToString(sum[:])}
	host, _, err := net.SplitHostPort(r.RemoteAddr) // no proxy stands before this door
	if err == nil {
		facts["address"] = host
	}
	for name, value := range map[string]string{"detail": refusal.Params["reason"], "authority": s.Authority} {
		if value != "" {
			facts[name] = value
		}
	}
	if omitted > 0 {
		facts["omitted"] = omitted
	}
	_, err = d.Recorder.RecordAudit(ctx, audit.Entry{
		Type: audit.PresentationRefused, Operation: doorOperation, At: now, Person: s.Identifier.String(), Payload: facts,
	})
	if err != nil {
		d.flood.Omit(omitted + 1)
		return fmt.Errorf("recording that a certificate was refused: %w", err)
	}
	return nil
}
