package api

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

//go:embed plain.html
var plainHTML string

//go:embed plain.css
var plainCSS []byte

const plainSheet = "/plain.css"

// PlainPage is a page for developers and operators: no part of the ceremony.
type PlainPage struct {
	Lang       string
	Title      string
	Paragraphs []string // with code between backquotes, as in CommonMark
	Facts      []Fact
	Sections   []Section
	Links      []Link
}

// Fact is a name and what it stands for.
type Fact struct{ Name, Value string }

// Section is a part of a page under a heading of its own.
type Section struct {
	Title      string
	Mark       string // beside the title, such as an HTTP method
	Paragraphs []string
	Facts      []Fact
}

// Link is an address and what it is called.
type Link struct{ Text, URL string }

// plain draws plain pages.
type plain struct{ page *template.Template }

func newPlain() (plain, error) {
	page, err := template.New("plain").Funcs(template.FuncMap{"spans": spans}).Parse(plainHTML)
	if err != nil {
		return plain{}, fmt.Errorf("parsing the plain page: %w", err)
	}
	return plain{page}, nil
}

// span is a part of a paragraph.
type span struct {
	Text string
	Code bool
}

func spans(paragraph string) []span {
	var all []span
	for i, text := range strings.Split(paragraph, "`") {
		all = append(all, span{text, i%2 == 1})
	}
	return all
}

func (plain) stylesheet(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "public, max-age=3600")
	return c.Blob(http.StatusOK, "text/css; charset=utf-8", plainCSS)
}

// Plain sends a plain page.
func (s *Site) Plain(c echo.Context, page PlainPage) error {
	drawn := struct {
		PlainPage

		Sandbox string // what is said of one
	}{PlainPage: page}
	if s.Sandbox {
		drawn.Sandbox = s.Catalogue.For(page.Lang).Text("layout.sandbox", nil)
	}
	var body bytes.Buffer
	if err := s.plain.page.Execute(&body, drawn); err != nil {
		return fmt.Errorf("drawing %q: %w", page.Title, err)
	}
	c.Response().Header().Set("Content-Security-Policy",
		"default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	return c.HTMLBlob(http.StatusOK, body.Bytes())
}
