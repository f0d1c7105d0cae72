package main

import "github.com/rubrica-firma/rubrica/internal/dev"

// appSettings are those of the environment: the token seals what offices sign
// with, the rest asks the database alone.
func appSettings(e dev.Environment, token func(map[string]any) map[string]any) map[string]any {
	in := func() map[string]any { return map[string]any{"database": e.Databases.Signer} }
	settings := map[string]any{
		"add":         token(in()),
		"key":         map[string]any{"add": in(), "until": in(), "remove": in()},
		"certificate": map[string]any{"add": in(), "until": in(), "remove": in()},
		"redirect":    map[string]any{"add": in(), "remove": in()},
	}
	for _, command := range []string{"list", "show", "switch", "scopes", "limits", "contact", "disable", "enable", "rotate-secret"} {
		settings[command] = in()
	}
	return settings
}
