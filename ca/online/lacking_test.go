package online_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
)

// A service whose key is gone takes nothing else with it, and is there again
// with its key.
func TestKeyOfAServiceIsGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.sql(`UPDATE authorities SET key_label = 'gone' WHERE role IN ('tsa', 'ocsp')`)
	p := h.process()
	if _, err := p.TimeStamp(t.Context(), nil); !errors.Is(err, policies.Refuse(policies.Unavailable)) {
		t.Errorf("a stamp without a key: got %v, want %s", err, policies.Unavailable)
	}
	issued := p.issue()
	if answer, err := p.OCSP(t.Context(), nil); err != nil || len(answer.DER) == 0 {
		t.Errorf("an answer without a key: %d octets, %v", len(answer.DER), err)
	}
	if _, err := p.Chain(issued.Certificate); err != nil {
		t.Errorf("the chain: %v", err)
	}
	h.sql(`UPDATE authorities SET key_label = 'rubrica-' || name WHERE role IN ('tsa', 'ocsp')`)
	if err := p.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if response, err := p.TimeStamp(t.Context(), nil); err != nil || len(response) == 0 {
		t.Errorf("a stamp with the key back: %d octets, %v", len(response), err)
	}
	// Without the key of who issues there is no authority.
	h.sql(`UPDATE authorities SET key_label = 'gone' WHERE role = 'issuing'`)
	if _, err := h.begin(); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("without the issuing key: got %v, want it named", err)
	}
}
