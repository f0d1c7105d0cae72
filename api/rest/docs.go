package rest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"go.yaml.in/yaml/v3"

	"github.com/rubrica-firma/rubrica/api"
)

// outline is what the page for developers tells of the contract.
type outline struct {
	Info struct {
		Title       string
		Description string
	}
	// Paths keeps the contract's order, which a map would lose.
	Paths yaml.Node
}

type operation struct {
	Summary     string
	Description string
	Security    []map[string][]string
}

// documentation makes the page from the contract.
func documentation(contract []byte) (api.PlainPage, error) {
	var o outline
	if err := yaml.Unmarshal(contract, &o); err != nil {
		return api.PlainPage{}, err
	}
	page := api.PlainPage{
		Lang: "en", Title: o.Info.Title, Paragraphs: []string{o.Info.Description},
		Links: []api.Link{
			{Text: "The contract (OpenAPI)", URL: "/v1/openapi.yaml"},
			{Text: "The authorisation server (RFC 8414)", URL: "/.well-known/oauth-authorization-server"},
		},
	}
	for i := 0; i+1 < len(o.Paths.Content); i += 2 {
		sections, err := sectionsOf(o.Paths.Content[i].Value, o.Paths.Content[i+1])
		if err != nil {
			return api.PlainPage{}, err
		}
		page.Sections = append(page.Sections, sections...)
	}
	if len(page.Sections) == 0 {
		return api.PlainPage{}, errors.New("it has no operations")
	}
	return page, nil
}

func sectionsOf(path string, methods *yaml.Node) ([]api.Section, error) {
	var sections []api.Section
	for i := 0; i+1 < len(methods.Content); i += 2 {
		var op operation
		if err := methods.Content[i+1].Decode(&op); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		section := api.Section{Title: path, Mark: strings.ToUpper(methods.Content[i].Value), Paragraphs: []string{op.Summary + "."}}
		if op.Description != "" {
			section.Paragraphs = append(section.Paragraphs, op.Description)
		}
		for _, requirement := range op.Security {
			for _, scopes := range requirement {
				section.Facts = append(section.Facts, api.Fact{Name: "scope", Value: strings.Join(scopes, " ")})
			}
		}
		sections = append(sections, section)
	}
	return sections, nil
}

func sendContract(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", contract) // RFC 9512
}
