package pages

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// Places finds offices. store.Public fulfils it.
type Places interface {
	// Places gives those that were looked for, the likeliest first.
	Places(ctx context.Context, s citizen.PlaceSearch) ([]citizen.Place, error)
}

// OfficeRoom serves the office finder.
type OfficeRoom struct {
	*Door

	Places Places
}

// OfficesPath is where citizens find an office; officesParameter is where its
// address has what was looked for, which names nobody.
const (
	OfficesPath      = "/oficinas"
	officesParameter = "donde"
)

// Room hangs the pages' routes in the site.
func (r OfficeRoom) Room(site *api.Site) {
	g := site.Pages()
	g.GET(OfficesPath, r.find)
	g.POST(OfficesPath, r.ask)
}

// ask leads to the page of what was typed, which can be reloaded and kept.
func (r OfficeRoom) ask(c echo.Context) error {
	typed := c.FormValue(FieldPlace)
	if _, ok := citizen.ParsePlaceSearch(typed); !ok {
		view := newOffices(clip(typed))
		view.Fail(FieldPlace, policies.Refuse(policies.QueryInvalid, "field", FieldPlace, "reason", FieldPlace))
		return r.show(c, http.StatusUnprocessableEntity, view)
	}
	return seeOther(c, officesURL(typed))
}

func (r OfficeRoom) find(c echo.Context) error {
	typed := c.QueryParam(officesParameter)
	search, ok := citizen.ParsePlaceSearch(typed)
	if !ok {
		return r.show(c, http.StatusOK, newOffices(""))
	}
	found, err := r.Places.Places(c.Request().Context(), search)
	if err != nil {
		return err
	}
	view := newOffices(typed)
	view.Searched, view.Found, view.PostalCode = true, found, search.PostalCode
	return r.show(c, http.StatusOK, view)
}

func officesURL(typed string) string {
	if typed == "" {
		return OfficesPath
	}
	return OfficesPath + "?" + url.Values{officesParameter: {typed}}.Encode()
}

// FieldPlace is a town, a postal code or a province.
const FieldPlace = "place"

// Offices asks where, and tells the offices there.
type Offices struct {
	Page
	Typed      string
	Searched   bool
	PostalCode string // that was looked for, where it was one
	Found      []citizen.Place
	SubmitURL  string
}

func newOffices(typed string) *Offices {
	return &Offices{Self: officesURL(typed), Typed: typed, SubmitURL: OfficesPath}
}

// Field is that of the place.
func (v *Offices) Field() Input {
	return Input{
		Name: FieldPlace, Type: "text", Value: v.Typed, Autocomplete: "off", Width: "short", MaxLength: 120, Hint: true, Problem: v.Problem(FieldPlace),
	}
}

// Near is whether no office has the postal code, and these are near it.
func (v *Offices) Near() bool {
	return v.PostalCode != "" && len(v.Found) > 0 && !strings.HasPrefix(v.Found[0].PostalCode, v.PostalCode)
}

// Tel dials a Spanish number, empty where it is none.
func (*Offices) Tel(phone string) template.URL {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, phone)
	if len(digits) != len("985181111") {
		return ""
	}
	return template.URL("tel:+34" + digits) //nolint:gosec // nothing but digits
}

func (*Offices) template() string { return "offices" }
