package webhooks

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
)

// KeysPath is where the keys are published with which calls are signed.
const KeysPath = "/.well-known/webhook-keys"

// Room publishes the keys; nil ones are none.
func Room(keys *Keys) (func(*api.Site), error) {
	if keys == nil {
		keys = &Keys{published: []JWK{}}
	}
	set, err := keys.Set()
	if err != nil {
		return nil, fmt.Errorf("encoding the webhook keys: %w", err)
	}
	return func(s *api.Site) {
		s.Door(KeysPath).GET(KeysPath, func(c echo.Context) error {
			c.Response().Header().Set("Cache-Control", "public, max-age=300")
			return c.Blob(http.StatusOK, "application/jwk-set+json", set)
		})
	}, nil
}
