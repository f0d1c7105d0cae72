// Package pages draws what people see. A page is a view struct, the template
// that it names, and sentences of the message catalogue: views carry facts,
// never sentences. Every page works without scripts, obeys a content security
// policy without exceptions, and is executed into a buffer before a byte is
// sent, so that nobody ever reads half a page.
package pages

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/notify/catalogue"
)

//go:embed templates/*.html
var templates embed.FS

// The templates that are no page of their own.
func sharedFiles() []string {
	return []string{"templates/layout.html", "templates/components.html", "templates/auditor-parts.html", "templates/desk-parts.html"}
}

// Options configure the pages of a deployment.
type Options struct {
	Catalogue *catalogue.Catalogue
	Branding  Branding
	// TimeZone is the zone that pages tell times in; nil means peninsular time.
	TimeZone *time.Location
	// Development lets cookies travel without TLS. Production never sets it.
	Development bool
	// Sandbox says on every page that signatures are not valid.
	Sandbox bool
	// Logger hears of sentences that could not be said.
	Logger *slog.Logger
}

// Pages renders views. It is immutable and safe for concurrent use.
type Pages struct {
	options Options
	brand   brand
	assets  assets
	sets    map[string]set // by language
}

// set holds the pages of one language, by template name.
type set map[string]*template.Template

// View is what one template shows. Views are pointers to the structs of this
// package.
type View interface {
	template() string
	page() *Page
}

// frame is what the layout sees around a view.
type frame struct {
	Lang      string
	Languages []languageLink
	Brand     brand
	Sandbox   bool
	Page      *Page
	View      View
}

// New parses all templates in all languages and checks the branding, so that
// what is wrong shows at start.
func New(options Options) (*Pages, error) {
	if options.Catalogue == nil {
		return nil, errors.New("pages need a catalogue")
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	brand, err := options.Branding.check()
	if err != nil {
		return nil, fmt.Errorf("checking the branding: %w", err)
	}
	p := &Pages{options: options, brand: brand, sets: make(map[string]set)}
	if p.assets, err = loadAssets(brand.stylesheet()); err != nil {
		return nil, fmt.Errorf("loading assets: %w", err)
	}
	for _, language := range options.Catalogue.Languages() {
		if p.sets[language.Tag], err = p.parse(p.speak(language.Tag)); err != nil {
			return nil, fmt.Errorf("parsing the pages of %s: %w", language.Tag, err)
		}
	}
	return p, nil
}

func (p *Pages) speak(locale string) *catalogue.Messages {
	messages := p.options.Catalogue.For(locale)
	if p.options.TimeZone != nil {
		messages = messages.In(p.options.TimeZone)
	}
	return messages
}

func (p *Pages) parse(messages *catalogue.Messages) (set, error) {
	base, err := template.New(path.Base(sharedFiles()[0])).Funcs(p.functions(messages)).ParseFS(templates, sharedFiles()...)
	if err != nil {
		return nil, err
	}
	files, err := templates.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	staffed := p.options.Catalogue.ForStaff(messages.Locale()).Locale() == messages.Locale()
	pages := make(set)
	for _, file := range files {
		name := path.Join("templates", file.Name())
		if slices.Contains(sharedFiles(), name) || forStaff(file.Name()) && !staffed {
			continue
		}
		page, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if page, err = page.ParseFS(templates, name); err != nil {
			return nil, err
		}
		pages[strings.TrimSuffix(file.Name(), ".html")] = page
	}
	return pages, nil
}

// Render sends a view with the status given, in one of the catalogue's
// languages (see [Pages.Locale]). On error nothing has been sent.
func (p *Pages) Render(w http.ResponseWriter, status int, locale string, view View) error {
	if forStaff(view.template()) {
		locale = p.options.Catalogue.ForStaff(locale).Locale()
	} else {
		locale = p.options.Catalogue.For(locale).Locale()
	}
	page, ok := p.sets[locale][view.template()]
	if !ok {
		return fmt.Errorf("rendering %T: no template %q", view, view.template())
	}
	var body bytes.Buffer
	err := page.Execute(&body, frame{
		Lang:      locale,
		Languages: p.languageLinks(view, locale),
		Brand:     p.brand,
		Sandbox:   p.options.Sandbox,
		Page:      view.page(),
		View:      view,
	})
	if err != nil {
		return fmt.Errorf("rendering %T: %w", view, err)
	}
	header := w.Header()
	var allowed []string
	if more, ok := view.(interface{ policy() []string }); ok {
		allowed = more.policy()
	}
	secure(header, allowed...)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Language", locale)
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	if leaving, ok := view.(interface{ refresh() string }); ok && leaving.refresh() != "" {
		header.Set("Refresh", leaving.refresh())
	}
	w.WriteHeader(status)
	// The reader may have gone; there is nobody left to tell.
	_, _ = body.WriteTo(w)
	return nil
}

// secure sets the headers of every page. Pages hold personal data and
// documents: they are not cached, not framed, and send no address along when
// left. allowed are the directives that a page needs beside those of all, or in
// their place: browsers complain of two of one name (CSP Level 3, section 2.2.1).
func secure(header http.Header, allowed ...string) {
	policy := slices.Clone(allowed)
	for _, directive := range []string{
		"default-src 'none'", "img-src 'self'", "style-src 'self'", "script-src 'self'",
		"form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
	} {
		name, _, _ := strings.Cut(directive, " ")
		if !slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(a, name+" ") }) {
			policy = append(policy, directive)
		}
	}
	header.Set("Content-Security-Policy", strings.Join(policy, "; "))
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
}

// leads is the policy of a page whose form is answered with a way to another
// site of ours: browsers ask form-action about redirects, too (CSP Level 3,
// section 6.4.1).
func leads(site string) []string {
	if site == "" {
		return nil
	}
	return []string{"form-action 'self' " + site}
}
