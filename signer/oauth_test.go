package signer_test

import (
	"errors"
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// TestPermit holds every kind of signature against what an application may ask for.
func TestPermit(t *testing.T) {
	t.Parallel()
	var (
		anything = signer.Client{}
		pdfs     = signer.Client{Formats: []signer.Format{signer.PAdES}}
		hashes   = signer.Client{Formats: []signer.Format{signer.Hash}}
		stamped  = signer.Client{Levels: []cades.Level{cades.BT}}
		both     = signer.Client{Formats: []signer.Format{signer.PAdES, signer.CAdESDetached}, Levels: []cades.Level{cades.BB}}
	)
	for _, tt := range []struct {
		name   string
		client signer.Client
		format signer.Format
		level  cades.Level
		want   policies.Code // empty: it may
	}{
		{"no limits", anything, signer.PAdES, cades.BLTA, ""},
		{"no limits, a hash", anything, signer.Hash, "", ""},
		{"its format", pdfs, signer.PAdES, cades.BLTA, ""},
		{"another format", pdfs, signer.CAdESDetached, cades.BB, policies.FormatNotAllowed},
		{"a sibling", both, signer.CAdESAttached, cades.BB, policies.FormatNotAllowed},
		{"bare hashes", pdfs, signer.Hash, "", policies.FormatNotAllowed},
		{"documents", hashes, signer.PAdES, cades.BB, policies.FormatNotAllowed},
		{"its level", stamped, signer.PAdES, cades.BT, ""},
		{"a lower level", stamped, signer.PAdES, cades.BB, policies.LevelNotAllowed},
		{"none named is B-B", stamped, signer.PAdES, "", policies.LevelNotAllowed},
		{"a higher level", stamped, signer.PAdES, cades.BLT, policies.LevelNotAllowed},
		{"a hash has no level", stamped, signer.Hash, "", ""},
		{"both", both, signer.CAdESDetached, "", ""},
		{"format first", both, signer.CAdESAttached, cades.BLTA, policies.FormatNotAllowed},
	} {
		err := tt.client.Permit(tt.format, tt.level)
		if refusal, _ := errors.AsType[*policies.Refusal](err); tt.want == "" && err != nil || tt.want != "" && (refusal == nil || refusal.Code != tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
