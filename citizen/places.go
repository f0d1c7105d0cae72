package citizen

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/rubrica-firma/rubrica/policies"
)

// Place is an office where citizens are attended, as a list of offices has it.
type Place struct {
	ID                  string // the list's own
	Name                string
	Address             string
	PostalCode          string // five digits
	Town                string
	Province            string
	Phone               string // as it is to be read; may be empty, like the next two
	Hours               string
	Appointment         string // https address
	Latitude, Longitude *float64
}

// What a list may have.
const (
	maxPlaces   = 100_000
	maxPlaceBit = 300 // characters in a cell
)

// placeColumns are those of a list; the first six are needed, and none may be
// missing in the head.
func placeColumns() []string {
	return []string{"id", "name", "address", "postal_code", "town", "province", "phone", "hours", "appointment", "latitude", "longitude"}
}

// ReadPlaces reads a list of offices: CSV in UTF-8 (RFC 4180) with a head, its
// columns in any order. All of it is right, or none is taken; the error names
// the line.
func ReadPlaces(r io.Reader) ([]Place, error) {
	reader := csv.NewReader(r)
	head, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the head of the list: %w", err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	for _, column := range placeColumns() {
		if !slices.Contains(head, column) {
			return nil, fmt.Errorf("the list has no column %q", column)
		}
	}
	if len(head) != len(placeColumns()) {
		return nil, fmt.Errorf("the list has other columns than %s", strings.Join(placeColumns(), ", "))
	}
	var places []Place
	seen := map[string]bool{}
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the list: %w", err)
		}
		line, _ := reader.FieldPos(0)
		row := map[string]string{}
		for i, column := range head {
			row[column] = cells[i]
		}
		p, err := readPlace(row)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", line, err)
		case seen[p.ID]:
			return nil, fmt.Errorf("line %d: the id %q is there twice", line, p.ID)
		case len(places) == maxPlaces:
			return nil, fmt.Errorf("line %d: more than %d offices", line, maxPlaces)
		}
		seen[p.ID] = true
		places = append(places, p)
	}
	if len(places) == 0 {
		return nil, errors.New("the list has no offices")
	}
	return places, nil
}

func readPlace(row map[string]string) (Place, error) {
	for column, cell := range row {
		text, ok := placeText(cell)
		if !ok {
			return Place{}, fmt.Errorf("%s: not a line of at most %d characters", column, maxPlaceBit)
		}
		row[column] = text
	}
	for _, column := range placeColumns()[:6] {
		if row[column] == "" {
			return Place{}, fmt.Errorf("%s is missing", column)
		}
	}
	p := Place{
		ID: row["id"], Name: row["name"], Address: row["address"], PostalCode: row["postal_code"], Town: row["town"], Province: row["province"],
		Phone: row["phone"], Hours: row["hours"], Appointment: row["appointment"],
	}
	if !isPostalCode(p.PostalCode) {
		return Place{}, fmt.Errorf("postal_code: %q is not a Spanish one", p.PostalCode)
	}
	if p.Appointment != "" {
		u, err := url.Parse(p.Appointment)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return Place{}, fmt.Errorf("appointment: %q is no https address", p.Appointment)
		}
	}
	var err error
	if p.Latitude, err = degrees(row["latitude"], 90); err != nil {
		return Place{}, fmt.Errorf("latitude: %w", err)
	}
	p.Longitude, err = degrees(row["longitude"], 180)
	if err == nil && (p.Latitude == nil) != (p.Longitude == nil) {
		err = errors.New("goes with a latitude")
	}
	if err != nil {
		return Place{}, fmt.Errorf("longitude: %w", err)
	}
	return p, nil
}

// placeText is a cell in one line, of what can be seen.
func placeText(s string) (string, bool) {
	s = policies.Line(norm.NFC.String(s))
	return s, s == "" || policies.IsLine(s, maxPlaceBit)
}

// isPostalCode is five digits, the first two of a province (01 to 52).
func isPostalCode(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && len(s) == 5 && n >= 1000 && n < 53000 && strings.Trim(s, "0123456789") == ""
}

func degrees(s string, limit float64) (*float64, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // there need be none
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= -limit && v <= limit) { // NaN is neither
		return nil, fmt.Errorf("%q is no number of degrees", s)
	}
	return &v, nil
}

// PlaceSearch is what somebody looks for: the beginning of a postal code, or
// words of a town, a province or an office's name.
type PlaceSearch struct {
	PostalCode string // two to five digits; empty for Words
	Words      string // as PlaceKey has them
}

// ParsePlaceSearch reads what was typed; ok is whether there is anything to look
// for.
func ParsePlaceSearch(typed string) (s PlaceSearch, ok bool) {
	text, ok := placeText(typed)
	if !ok {
		return s, false
	}
	if code := strings.ReplaceAll(text, " ", ""); code != "" && strings.Trim(code, "0123456789") == "" {
		return PlaceSearch{PostalCode: code}, len(code) >= 2 && len(code) <= 5
	}
	words := PlaceKey(text)
	return PlaceSearch{Words: words}, len(words) >= 2
}

// PlaceKey is a name as it is compared: without accents, in lower case, words
// apart by single blanks. An ñ is an n with a tilde, and who has no such key
// leaves it out.
func PlaceKey(s string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		default:
			return ' '
		}
	}, norm.NFD.String(s))
	return strings.Join(strings.Fields(plain), " ")
}
