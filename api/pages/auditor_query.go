package pages

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// Whom an auditor asks about stands in no address: browsers keep those, and
// proxies write them down. What was typed travels sealed with a key of the
// session, so that a page of results can be reloaded, gone back to and kept as
// a bookmark while the session lasts, on any replica, and by nobody else.

// searchParameter is where an address carries a sealed search, draftParameter
// one that is to be changed before it is asked.
const (
	searchParameter = "consulta"
	draftParameter  = "cambiar"
	beforeParameter = "antes"
)

func (d *AuditDoor) sealer(c echo.Context) (cipher.AEAD, error) {
	visit, err := d.Auditors.Visit(c)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, visit.Hash, nil, "rubrica auditor search v1", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of searches: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealing searches: %w", err)
	}
	return cipher.NewGCM(block)
}

// seal makes a form into what an address may hold.
func (d *AuditDoor) seal(c echo.Context, form SearchForm) (string, error) {
	aead, err := d.sealer(c)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(form)
	if err != nil {
		return "", fmt.Errorf("writing a search: %w", err)
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("sealing a search: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, plain, nil)), nil
}

// unseal is false for what this session has not sealed: the search of another
// session, or an address that somebody made up.
func (d *AuditDoor) unseal(c echo.Context, sealed string) (SearchForm, bool, error) {
	aead, err := d.sealer(c)
	if err != nil {
		return SearchForm{}, false, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < aead.NonceSize() {
		return SearchForm{}, false, nil //nolint:nilerr // the answer is no
	}
	plain, err := aead.Open(nil, raw[:aead.NonceSize()], raw[aead.NonceSize():], nil)
	if err != nil {
		return SearchForm{}, false, nil //nolint:nilerr // likewise
	}
	var form SearchForm
	if err := json.Unmarshal(plain, &form); err != nil {
		return SearchForm{}, false, fmt.Errorf("reading a search: %w", err)
	}
	return form, true, nil
}

// searchForm reads what was typed, as it was typed.
func searchForm(value func(name string) string) SearchForm {
	read := func(name string) string { return clip(strings.TrimSpace(value(name))) }
	return SearchForm{
		Citizen: read(FieldCitizen), Serial: read(FieldSerial), Hash: read(FieldHash), Application: read(FieldApplication),
		Operation: read(FieldOperation), Event: read(FieldEvent), Result: read(FieldResult),
		From: read(FieldFrom), FromTime: read(FieldFromTime), To: read(FieldTo), ToTime: read(FieldToTime),
	}
}

var (
	hexForm       = regexp.MustCompile(`^[0-9a-f]+$`)
	operationForm = regexp.MustCompile(`^[0-9A-Za-z._:-]{1,128}$`)
	applyForm     = regexp.MustCompile(`^[0-9A-Za-z._:-]{0,128}$`)
)

const hashDigits = 2 * sha256.Size

// query reads the form. Everything that cannot be read is told at once, beside
// its field.
func (d *AuditDoor) query(f SearchForm, page *Page) auditing.Query {
	q := auditing.Query{
		Certificate: compact(f.Serial), Document: compact(f.Hash), Application: f.Application, Operation: f.Operation,
		Types: typesOf(f.Event), Result: audit.Result(f.Result),
	}
	fail := func(field, reason string) {
		page.Fail(field, policies.Refuse(policies.QueryInvalid, "field", field, "reason", reason))
	}
	if f.Citizen != "" {
		id, err := citizen.ParseIdentifier(f.Citizen)
		if refusal, ok := asRefusal(err); ok {
			page.Fail(FieldCitizen, refusal)
		} else if err != nil {
			page.Fail(FieldCitizen, policies.Refuse(policies.IdentifierInvalid))
		}
		q.Citizen = id.String()
	}
	if q.Certificate != "" && (!hexForm.MatchString(q.Certificate) || len(q.Certificate) > 40) {
		fail(FieldSerial, "serial")
	}
	if q.Document != "" && (!hexForm.MatchString(q.Document) || len(q.Document) != hashDigits) {
		fail(FieldHash, "hash")
	}
	if f.Operation != "" && !operationForm.MatchString(f.Operation) {
		fail(FieldOperation, "operation")
	}
	if f.Event != "" && len(q.Types) == 0 {
		fail(FieldEvent, "choice")
	}
	if q.Result != "" && !slices.Contains(auditing.Results(), q.Result) {
		fail(FieldResult, "choice")
	}
	if !applyForm.MatchString(f.Application) {
		fail(FieldApplication, "choice")
	}
	q.From, q.To = d.spanOf(f.From, f.FromTime, f.To, f.ToTime, page)
	return q
}

// spanOf reads a range of days, with times of day if they were given: a last
// day counts whole, a last minute too.
func (d *AuditDoor) spanOf(from, fromTime, to, toTime string, page *Page) (time.Time, time.Time) {
	problems := len(page.Problems)
	first, _ := d.moment(page, FieldFrom, from, FieldFromTime, fromTime)
	last, length := d.moment(page, FieldTo, to, FieldToTime, toTime)
	switch {
	case length == day:
		last = last.AddDate(0, 0, 1)
	case length > 0:
		last = last.Add(length)
	}
	if len(page.Problems) == problems && !first.IsZero() && !last.IsZero() && !first.Before(last) {
		page.Fail(FieldTo, policies.Refuse(policies.QueryInvalid, "field", FieldTo, "reason", "order"))
	}
	if len(page.Problems) == problems && first.After(d.Now()) {
		page.Fail(FieldFrom, policies.Refuse(policies.QueryInvalid, "field", FieldFrom, "reason", "future"))
	}
	return first, last
}

const day = 24 * time.Hour

// moment reads a day and perhaps a time of day, and how long what was named
// lasts: a day, a minute or a second.
func (d *AuditDoor) moment(page *Page, dayField, date, timeField, clock string) (time.Time, time.Duration) {
	fail := func(field, reason string) (time.Time, time.Duration) {
		page.Fail(field, policies.Refuse(policies.QueryInvalid, "field", field, "reason", reason))
		return time.Time{}, 0
	}
	zone := d.Pages.speak("").Location()
	at, err := time.ParseInLocation(time.DateOnly, date, zone)
	switch {
	case date == "" && clock == "":
		return time.Time{}, 0
	case date == "":
		return fail(dayField, "day_missing")
	case err != nil || at.Year() < 2000 || at.Year() > 9000:
		return fail(dayField, "date")
	case clock == "":
		return at, day
	}
	for layout, length := range map[string]time.Duration{"15:04": time.Minute, time.TimeOnly: time.Second} {
		if t, err := time.ParseInLocation(time.DateOnly+" "+layout, date+" "+clock, zone); err == nil {
			return t, length
		}
	}
	return fail(timeField, "clock")
}

// compact reads a hexadecimal number as people copy it.
func compact(typed string) string {
	typed = strings.TrimPrefix(strings.ToLower(typed), "0x")
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" : - \t\u00a0", r) {
			return -1
		}
		return r
	}, typed)
}

// typesOf is what a choice of events stands for: one, or all of a group.
func typesOf(choice string) []audit.EventType {
	for _, group := range eventGroups() {
		if choice == groupPrefix+group.Name {
			return group.Types
		}
		if slices.Contains(group.Types, audit.EventType(choice)) {
			return []audit.EventType{audit.EventType(choice)}
		}
	}
	return nil
}

// groupPrefix makes a group's name one that no event has.
const groupPrefix = "*"

// asked tells the filters that are set, for people.
func (d *AuditDoor) asked(ctx context.Context, f SearchForm) ([]AskedFor, error) {
	names, err := d.names(ctx)
	if err != nil {
		return nil, err
	}
	var all []AskedFor
	add := func(field, text string) {
		if text != "" {
			all = append(all, AskedFor{Field: field, Text: text})
		}
	}
	add(FieldCitizen, f.Citizen)
	add(FieldSerial, f.Serial)
	if raw, err := hex.DecodeString(compact(f.Hash)); err == nil && len(raw) > 0 {
		add(FieldHash, groups(hex.EncodeToString(raw)))
	}
	add(FieldOperation, f.Operation)
	if group, ok := strings.CutPrefix(f.Event, groupPrefix); ok {
		all = append(all, AskedFor{Field: FieldEvent, Group: group})
	} else if f.Event != "" {
		all = append(all, AskedFor{Field: FieldEvent, Event: audit.EventType(f.Event)})
	}
	if f.Result != "" {
		all = append(all, AskedFor{Field: FieldResult, Outcome: audit.Result(f.Result)})
	}
	add(FieldApplication, cmp.Or(names[f.Application], f.Application))
	zone := d.Pages.speak("").Location()
	for _, end := range [][3]string{{FieldFrom, f.From, f.FromTime}, {FieldTo, f.To, f.ToTime}} {
		if t, err := time.ParseInLocation(time.DateOnly, end[1], zone); err == nil {
			all = append(all, AskedFor{Field: end[0], Day: t, Text: end[2]})
		}
	}
	return all, nil
}
