package pages

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
)

const (
	languageParameter = "lang"
	languageCookie    = "lang"
	yearInSeconds     = 365 * 24 * 60 * 60
)

// languageLink shows the same page in another language.
type languageLink struct {
	catalogue.Language
	URL     string
	Current bool
}

// Locale chooses the language of an answer: the one asked for with ?lang=,
// which a cookie then remembers, the remembered one, or what the browser asks.
func (p *Pages) Locale(w http.ResponseWriter, r *http.Request) string {
	asked := r.URL.Query().Get(languageParameter)
	for _, language := range p.options.Catalogue.Languages() {
		if language.Tag == asked {
			//nolint:gosec // Secure everywhere but in development, which has no TLS; the value is a language
			http.SetCookie(w, &http.Cookie{
				Name: languageCookie, Value: asked, Path: "/", MaxAge: yearInSeconds,
				HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: !p.options.Development,
			})
			return asked
		}
	}
	remembered := ""
	if cookie, err := r.Cookie(languageCookie); err == nil {
		remembered = cookie.Value
	}
	w.Header().Add("Vary", "Accept-Language, Cookie")
	return p.options.Catalogue.For(remembered, r.Header.Get("Accept-Language")).Locale()
}

// forStaff tells whether a template is for officers and auditors, who are served
// in fewer languages than citizens.
func forStaff(template string) bool {
	return strings.HasPrefix(template, "auditor-") || strings.HasPrefix(template, "desk-") || strings.HasPrefix(template, "components-page")
}

// Languages are those that a view can be drawn in.
func (p *Pages) Languages(view View) []catalogue.Language {
	if forStaff(view.template()) {
		return p.options.Catalogue.StaffLanguages()
	}
	return p.options.Catalogue.Languages()
}

// languageLinks lead from a page to itself. A page that cannot be asked for
// again (Self is empty) offers none.
func (p *Pages) languageLinks(view View, current string) []languageLink {
	self := view.page().Self
	address, err := url.Parse(self)
	if self == "" || err != nil {
		return nil
	}
	var links []languageLink
	for _, language := range p.Languages(view) {
		query := address.Query()
		query.Set(languageParameter, language.Tag)
		to := url.URL{Path: address.Path, RawQuery: query.Encode()}
		links = append(links, languageLink{Language: language, URL: to.String(), Current: language.Tag == current})
	}
	return links
}
