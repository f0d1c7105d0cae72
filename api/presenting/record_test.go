package presenting

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
)

// TestRefusalsAreRecorded: whom a certificate names is told only where an
// authority of the list said so.
func TestRefusalsAreRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := open(t, w, w.trust(w.reach()))
	log := &ledger{}
	d.Recorder = log
	revoked, forged := w.issue(w.sub, anaDNIe(nil)), w.issue(w.others, anaDNIe(nil))
	w.change(func() { w.sub.revoked[revoked.certificate.SerialNumber.String()] = true })
	for _, test := range []struct {
		shown  *party
		e      Errand
		person string
		facts  map[string]any
	}{
		{&revoked, entering(), "12345678Z", map[string]any{"procedure": "acceso", "reason": "certificate_untrusted", "detail": "revoked", "authority": "DNI electrónico"}},
		{&forged, entering(), "", map[string]any{"procedure": "acceso", "reason": "certificate_untrusted", "detail": "authority"}},
		{new(w.issue(w.fnmt, anaFNMT(nil))), Errand{Procedure: Renewal}, "12345678Z", map[string]any{"procedure": "renovacion", "reason": "dnie_required", "authority": "FNMT"}},
		{new(w.issue(w.sub, anaDNIe(nil))), entering(), "", nil}, // is believed
		{nil, entering(), "", nil},
	} {
		log.entries = nil
		show(t, d, test.shown, test.e)
		if test.facts == nil {
			if len(log.entries) > 0 {
				t.Errorf("got %+v, want nothing recorded", log.entries)
			}
			continue
		}
		if len(log.entries) != 1 || log.entries[0].Type != audit.PresentationRefused || log.entries[0].Person != test.person {
			t.Fatalf("got %+v, want one entry about %q", log.entries, test.person)
		}
		facts := log.entries[0].Payload
		schema, _ := audit.SchemaOf(audit.PresentationRefused)
		for name := range facts {
			if !slices.ContainsFunc(schema.Fields, func(f audit.Field) bool { return f.Name == name }) {
				t.Errorf("got %q, which the schema does not know", name)
			}
		}
		if sum, ok := facts["certificate_sha256"].(string); !ok || len(sum) != 64 || facts["address"] != "127.0.0.1" {
			t.Errorf("got %v, want the certificate's hash and the address", facts)
		}
		delete(facts, "certificate_sha256")
		delete(facts, "address")
		if diff := cmp.Diff(test.facts, facts); diff != "" {
			t.Errorf("facts (-want +got):\n%s", diff)
		}
	}
}

// A flood is counted, and its number told later.
func TestFloodOfRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := open(t, w, w.trust(w.reach()))
	log := &ledger{}
	d.Recorder = log
	forged := w.issue(w.others, anaDNIe(nil))
	at := w.now()
	d.Now = func() time.Time { return at }
	burst := refusals().Burst
	for range burst + 3 {
		show(t, d, &forged, entering())
	}
	if len(log.entries) != burst {
		t.Errorf("got %d entries, want %d", len(log.entries), burst)
	}
	at = at.Add(2 * refusals().Every)
	show(t, d, &forged, entering())
	if got := log.entries[len(log.entries)-1].Payload["omitted"]; got != 3 {
		t.Errorf("got %v left out, want 3", got)
	}
}
