package citizen_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// TestMembersOfActs reads the acts of a citizen's life: each has its members,
// and no other's.
func TestMembersOfActs(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	person := map[string]any{
		"identifier": "12345678Z", "given_name": "Ana", "surnames": "Núñez", "phone": "600111421", "email": "ana@example.es", "document_until": "2030-12-31",
	}
	shown := map[string]any{"der": "AAAA", "class": "dnie", "identifier": "12345678Z", "given_name": "Ana", "surnames": "Núñez"}
	challenge := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	many := map[string]any{}
	for _, c := range "abcdefghijk" {
		many[string(c)] = "x"
	}
	for name, tt := range map[string]struct {
		changes map[string]any
		field   string        // that is wrong; empty: none
		want    policies.Code // else
	}{
		"renewed": {map[string]any{"act": "renew_registration", "document_until": "2030-12-31", "reason": nil}, "", ""},
		"renewed by video": {map[string]any{
			"act": "renew_registration", "document_until": "2030-12-31", "reason": nil, "mode": "video", "evidence": map[string]any{"recording_sha256": "00"},
		}, "", ""},
		"renewed by nothing":        {map[string]any{"act": "renew_registration", "document_until": "2030-12-31", "reason": nil, "mode": "video"}, "/evidence", ""},
		"renewed by letter":         {map[string]any{"act": "renew_registration", "document_until": "2030-12-31", "reason": nil, "mode": "letter"}, "/mode", ""},
		"renewed for how long":      {map[string]any{"act": "renew_registration", "reason": nil}, "/document_until", ""},
		"renewed until some day":    {map[string]any{"act": "renew_registration", "document_until": "31/12/2030", "reason": nil}, "", policies.IdentityDocumentExpiry},
		"mobile":                    {map[string]any{"act": "change_phone", "phone": "600111421"}, "", ""},
		"mobile without document":   {map[string]any{"act": "change_phone", "phone": "600111421", "without_document": true, "confirmed_by": "Luis Paz"}, "", ""},
		"mobile of no country":      {map[string]any{"act": "change_phone", "phone": "12"}, "", policies.PhoneInvalid},
		"mobile and mail":           {map[string]any{"act": "change_phone", "phone": "600111421", "email": "ana@example.es"}, "/email", ""},
		"mail":                      {map[string]any{"act": "change_email", "email": "ana@example.es"}, "", ""},
		"mail without a reason":     {map[string]any{"act": "change_email", "email": "ana@example.es", "reason": nil}, "/reason", ""},
		"confirmed by nobody":       {map[string]any{"confirmed_by": ""}, "/confirmed_by", ""},
		"confirmed by two lines":    {map[string]any{"confirmed_by": "Luis\nPaz"}, "/confirmed_by", ""},
		"letter":                    {map[string]any{"act": "print_letter", "subject": "L1", "reason": nil}, "", ""},
		"letter of a long name":     {map[string]any{"act": "print_letter", "subject": strings.Repeat("L", 65), "reason": nil}, "/subject", ""},
		"incident":                  {map[string]any{"act": "close_incident", "subject": "I1"}, "", ""},
		"block of a subject":        {map[string]any{"subject": "I1"}, "/subject", ""},
		"no act":                    {map[string]any{"act": "mass_revocation"}, "/act", ""},
		"registered by certificate": {map[string]any{"act": "register", "identifier": nil, "reason": nil, "citizen": person, "mode": "dnie", "evidence": map[string]any{"serial": "1"}}, "", ""},
		"too much evidence":         {map[string]any{"act": "register", "identifier": nil, "reason": nil, "citizen": person, "evidence": many}, "/evidence", ""},
		"evidence of odd names":     {map[string]any{"act": "register", "identifier": nil, "reason": nil, "citizen": person, "evidence": map[string]any{"A b": "x"}}, "/evidence", ""},
		"certificate that is none":  {map[string]any{"act": "present_certificate", "identifier": nil, "reason": nil, "certificate": shown, "challenge": challenge, "procedure": "movil"}, "/certificate/der", ""},
		"short challenge":           {map[string]any{"act": "present_certificate", "identifier": nil, "reason": nil, "certificate": shown, "challenge": "AAAA", "procedure": "movil"}, "/challenge", ""},
		"unknown procedure":         {map[string]any{"act": "present_certificate", "identifier": nil, "reason": nil, "certificate": shown, "challenge": challenge, "procedure": "otro"}, "/procedure", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := citizen.ReadAct(w.signed(t, tt.changes))
			refusal, _ := errors.AsType[*policies.Refusal](err)
			switch {
			case tt.field == "" && tt.want == "":
				if err != nil {
					t.Errorf("got %v, want it read", err)
				}
			case tt.want != "":
				if refusal == nil || refusal.Code != tt.want {
					t.Errorf("got %v, want %s", err, tt.want)
				}
			case refusal == nil || refusal.Code != policies.OfficeActInvalid || refusal.Params["field"] != tt.field:
				t.Errorf("got %v, want %s refused", err, tt.field)
			}
		})
	}
}
