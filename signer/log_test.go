package signer_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// What an auditor must be able to ask stands in the entries of one signature:
// who asked, on what registration and with which factors the citizen was
// believed, what was shown and for how long, which key signed which hashes.
func TestLogTellsOfASignature(t *testing.T) {
	t.Parallel()
	overBoth(t, func(s *spine) {
		s.activate(ana, anaPhone)
		request := s.ask(ana, "uno", "dos")
		identified := s.clock.Now()
		session := must[signer.Session](s.T)(s.identify(request, ana, password))
		s.clock.advance(time.Second)
		session = s.certify(session)
		s.fix(request, session)
		s.clock.advance(20 * time.Second)
		s.send(session, signer.ForSignature)
		s.clock.advance(15 * time.Second)
		if err := s.sign(session); err != nil {
			s.Fatalf("signing: %v", err)
		}
		told := s.told(request)

		for kind, payload := range told {
			if got, want := payload["application"], s.app.ID; got != want {
				s.Errorf("%s: got application %v, want %s", kind, got, want)
			}
		}
		uno := hash("uno")
		found := s.found("document", uno)
		if diff := cmp.Diff([]string{"sign.authorised", "sign.done", "sign.intent", "sign.requested", "sign.shown"}, found); diff != "" {
			s.Errorf("entries found by the document's hash (-want +got):\n%s", diff)
		}
		serial, _ := told["sign.intent"]["serial"].(string)
		found = s.found("certificate", serial)
		if diff := cmp.Diff([]string{"certificate.intent", "certificate.issued", "sign.authorised", "sign.done", "sign.intent"}, found); diff != "" {
			s.Errorf("entries found by the certificate (-want +got):\n%s", diff)
		}

		consent := told["sign.authorised"]
		want := map[string]any{
			"seconds": 15.0, "shown_seconds": 35.0, "keeper": string(s.keeper()),
			"registration": map[string]any{"mode": "office", "level": "advanced", "assured_at": s.start.Format(time.DateOnly)},
			"proofs": []any{
				map[string]any{"factor": "knowledge", "outcome": "passed", "at": identified.Format(time.RFC3339Nano)},
				map[string]any{
					"factor": "possession", "outcome": "passed", "at": s.clock.Now().Format(time.RFC3339Nano), "challenge": consent["challenge"],
					"phone": "··· ··· 421", "attempts": 1.0, "seconds": 15.0,
				},
			},
		}
		for name, fact := range want {
			if diff := cmp.Diff(fact, consent[name]); diff != "" {
				s.Errorf("sign.authorised, %s (-want +got):\n%s", name, diff)
			}
		}
		document := map[string]any{"ordinal": 1.0, "sha256": uno, "format": "cades-detached", "level": "B-B", "name": "nota.txt", "digest": uno}
		for kind, names := range map[string][]string{
			"sign.requested":  {"ordinal", "sha256", "format", "level", "name"},
			"sign.shown":      {"ordinal", "sha256", "format", "level", "name", "digest"},
			"sign.authorised": {"ordinal", "sha256", "format", "level", "digest"},
			"sign.intent":     {"ordinal", "sha256", "format", "level", "digest"},
			"sign.done":       {"ordinal", "sha256", "digest"},
		} {
			got := first(s.T, told[kind])
			for _, name := range names {
				if got[name] != document[name] {
					s.Errorf("%s, document's %s: got %v, want %v", kind, name, got[name], document[name])
				}
			}
		}
		if got := told["sign.shown"]["title"]; got != "Solicitud" {
			s.Errorf("title shown: got %v, want Solicitud", got)
		}
		for kind, payload := range told {
			text := must[[]byte](s.T)(json.Marshal(payload))
			if strings.Contains(string(text), anaPhone) {
				s.Errorf("%s: the whole telephone stands in it", kind)
			}
		}
	})
}

// Whatever else becomes of a request is found by application, document and
// reason as well.
func TestLogTellsOfOtherOutcomes(t *testing.T) {
	t.Parallel()
	s := newSpine(t, signer.SealedKeeper)
	s.activate(ana, anaPhone)

	interrupted, session := s.ready(ana, "interrumpida")
	s.dieAfterIntent(session)
	s.clock.advance(2 * time.Minute)
	failed := s.ask(ana, "fallida")
	_, err := s.identify(failed, ana, "Equivocada-1")
	s.wants(err, policies.CredentialsWrong)
	refused := s.ask(ana, "rechazada")
	session = must[signer.Session](t)(s.identify(refused, ana, password))
	if err := s.module.Refuse(t.Context(), session.Ticket); err != nil {
		t.Fatal(err)
	}
	mistyped, session := s.ready(ana, "tecleada")
	s.wants(s.answer(session, s.otherCode(1)), policies.CodeWrong)
	expired := s.ask(ana, "caducada")
	s.clock.advance(25 * time.Hour)
	if err := s.module.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.invariants()

	for _, tc := range []struct {
		operation, kind, content, reason string
	}{
		{interrupted, "sign.interrupted", "interrumpida", ""},
		{failed, "auth.failed", "", "credentials_wrong"},
		{refused, "sign.refused", "rechazada", ""},
		{mistyped, "code.failed", "", "code_wrong"},
		{expired, "sign.expired", "caducada", ""},
	} {
		payload, there := s.told(tc.operation)[tc.kind]
		if !there {
			t.Errorf("%s: got none", tc.kind)
			continue
		}
		if payload["application"] != s.app.ID {
			t.Errorf("%s: got application %v, want %s", tc.kind, payload["application"], s.app.ID)
		}
		if tc.content != "" && !slices.Contains(s.found("document", hash(tc.content)), tc.kind) {
			t.Errorf("%s: not found by its document", tc.kind)
		}
		if tc.reason != "" && !slices.Contains(s.found("reason", tc.reason), tc.kind) {
			t.Errorf("%s: not found by its reason", tc.kind)
		}
	}
	lost := s.told(interrupted)
	if got, want := lost["sign.interrupted"], lost["sign.intent"]; got["authorisation"] != want["authorisation"] || got["serial"] != want["serial"] {
		t.Errorf("sign.interrupted: got %v, want authorisation and serial of %v", got, want)
	}
}

func hash(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

// first is the first document that an entry tells of.
func first(t *testing.T, payload map[string]any) map[string]any {
	t.Helper()
	documents, _ := payload["documents"].([]any)
	if len(documents) == 0 {
		t.Fatalf("got no documents in %v", payload)
	}
	document, _ := documents[0].(map[string]any)
	return document
}

func (s *spine) keeper() signer.KeeperName {
	s.Helper()
	return must[signer.Epochs](s.T)(s.db.Epochs(s.Context())).Keeper
}

// told are the payloads of an operation's entries by type, the last of each.
func (s *spine) told(operation string) map[string]map[string]any {
	s.Helper()
	told := map[string]map[string]any{}
	var (
		kind    string
		payload []byte
	)
	s.each(`SELECT type, payload FROM log_entries WHERE operation = $1 ORDER BY seq`, []any{&kind, &payload}, func() error {
		var facts map[string]any
		err := json.Unmarshal(payload, &facts)
		told[kind] = facts
		return err
	}, operation)
	return told
}

// found are the types of the entries that a term finds.
func (s *spine) found(kind, value string) []string {
	s.Helper()
	var (
		types []string
		one   string
	)
	s.each(`SELECT DISTINCT type FROM log_entries JOIN log_terms USING (seq) WHERE kind = $1 AND value = $2 ORDER BY type`,
		[]any{&one}, func() error { types = append(types, one); return nil }, kind, value)
	return types
}

func (s *spine) each(sql string, into []any, do func() error, args ...any) {
	s.Helper()
	rows, err := s.owner.Query(s.Context(), sql, args...)
	if err == nil {
		_, err = pgx.ForEachRow(rows, into, do)
	}
	if err != nil {
		s.Fatalf("reading the log: %v", err)
	}
}
