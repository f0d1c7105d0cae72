package desk

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/runes"
	"golang.org/x/text/unicode/norm"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// shortestName is how many letters of a name say anything.
const shortestName = 3

// ParseQuestion reads what an officer typed into the one field of the search: a
// DNI or NIE, a mobile, or the beginning of a name. What is pasted may be in
// another form than names are stored in, and bring marks along that nobody sees.
func ParseQuestion(text string) (citizen.Question, error) {
	text = strings.Join(strings.Fields(norm.NFC.String(runes.Remove(runes.In(unicode.Cf)).String(text))), " ")
	if phone, err := citizen.ParsePhone(text); err == nil {
		return citizen.Question{Phone: phone.String()}, nil
	}
	id, err := citizen.ParseIdentifier(text)
	switch {
	case err == nil:
		return citizen.Question{Identifier: id.String()}, nil
	case strings.ContainsFunc(text, unicode.IsDigit):
		return citizen.Question{}, err
	case utf8.RuneCountInString(text) < shortestName || utf8.RuneCountInString(text) > 2*longestReason || !utf8.ValidString(text):
		return citizen.Question{}, policies.Refuse(policies.QueryInvalid, "reason", "name_short")
	}
	return citizen.Question{Name: text}, nil
}

// Found is what a search found.
type Found struct {
	Matches []citizen.Match
	More    bool // than are shown: the officer has to say more of the name
}

// Search looks people up.
func (s *Service) Search(ctx context.Context, a Asking, text string) (Found, error) {
	if err := a.admit(); err != nil {
		return Found{}, err
	}
	q, err := ParseQuestion(text)
	if err != nil {
		return Found{}, err
	}
	matches, err := s.Store.Find(ctx, q, s.Limits.Found+1)
	if err != nil {
		return Found{}, err
	}
	found := Found{Matches: matches, More: len(matches) > s.Limits.Found}
	if found.More {
		found.Matches = matches[:s.Limits.Found]
	}
	facts := map[string]any{"looked": "search", "question": "name", "results": len(matches)}
	switch {
	case q.Identifier != "":
		facts["question"] = "identifier"
	case q.Phone != "":
		phone, err := citizen.ParsePhone(q.Phone)
		if err != nil {
			return Found{}, err
		}
		facts["question"], facts["phone"] = "phone", phone.Masked()
	default:
		facts["text"] = q.Name
	}
	return found, s.record(ctx, a, audit.DeskLookedUp, subject{person: q.Identifier}, facts)
}

// File is a citizen's file, with what the rules say of it.
type File struct {
	citizen.File

	Report policies.Report
}

// File opens a citizen's file (policies.CitizenUnknown).
func (s *Service) File(ctx context.Context, a Asking, citizenID string) (File, error) {
	if err := a.admit(); err != nil {
		return File{}, err
	}
	now := s.Now()
	f, err := s.Store.File(ctx, citizenID, now)
	if err != nil {
		return File{}, err
	}
	err = s.record(ctx, a, audit.DeskLookedUp, subject{operation: f.ID, person: f.Identifier}, map[string]any{"looked": "file"})
	if err != nil {
		return File{}, err
	}
	return File{File: f, Report: policies.Preflight(f.Facts(now), s.Rules)}, nil
}

// Queues counts what waits for the officers of an office. It is no look at
// anybody.
func (s *Service) Queues(ctx context.Context, o Officer) (citizen.Queues, error) {
	return s.Store.Queues(ctx, o.Office, s.Now())
}

// Incidents are those that nobody has closed.
func (s *Service) Incidents(ctx context.Context, a Asking) ([]citizen.Case, error) {
	if err := a.admit(); err != nil {
		return nil, err
	}
	if err := s.looked(ctx, a, "incidents"); err != nil {
		return nil, err
	}
	return s.Store.Incidents(ctx)
}

// Letters are those that nobody has printed yet.
func (s *Service) Letters(ctx context.Context, a Asking) ([]citizen.Waiting, error) {
	if err := a.admit(); err != nil {
		return nil, err
	}
	if err := s.looked(ctx, a, "letters"); err != nil {
		return nil, err
	}
	return s.Store.Letters(ctx)
}

// Print makes the codes of these letters and draws them. What cannot be printed,
// because it is printed or over by now, is left out; of what the officer loses on
// the way to the paper, a new code can be printed.
func (s *Service) Print(ctx context.Context, a Asking, ids []string) (pdf []byte, printed int, err error) {
	waiting, err := s.Letters(ctx, a)
	if err != nil {
		return nil, 0, err
	}
	if s.Printer == nil {
		return nil, 0, policies.Refuse(policies.NotFound)
	}
	var letters []citizen.PrintableLetter
	for _, w := range waiting {
		if !slices.Contains(ids, w.ID) {
			continue
		}
		wanted := statement{Act: citizen.ActPrintLetter, Officer: signature(a.Officer), Identifier: w.Identifier, Subject: w.ID}
		receipt, err := s.perform(ctx, a, wanted, about{subject: w.ID})
		if _, refused := asRefusal(err); refused {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		var letter citizen.PrintableLetter
		if err := json.Unmarshal([]byte(receipt.Code), &letter); err != nil {
			return nil, 0, fmt.Errorf("reading a letter to be printed: %w", err)
		}
		letters = append(letters, letter)
	}
	if len(letters) == 0 {
		return nil, 0, policies.Refuse(policies.NotFound)
	}
	pdf, err = s.Printer.Letters(letters)
	return pdf, len(letters), err
}
