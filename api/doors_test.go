package api_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// TestDoors sends applications to every door: which are open is theirs, and the
// same token is good at one and not at the other.
func TestDoors(t *testing.T) {
	t.Parallel()
	routes := map[string]string{
		signer.DoorREST: "/v1/thing", signer.DoorCSC1: "/csc/v1/thing", signer.DoorCSC2: "/csc/v2/thing", "none": "/thing",
	}
	h := build(t, func(c *api.Config) {
		c.Rooms = append(c.Rooms, func(s *api.Site) {
			for _, route := range routes {
				s.Door("/").GET(route, func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }, s.Bearer(api.ScopeSignature))
			}
		})
	})
	first := []string{signer.SwitchCSC1}
	for _, tt := range []struct {
		name            string
		doors, switches []string
		open            []string
	}{
		{"any door", nil, first, []string{signer.DoorREST, signer.DoorCSC1, signer.DoorCSC2}},
		{"any door, without the switch", nil, nil, []string{signer.DoorREST, signer.DoorCSC2}},
		{"rest", []string{signer.DoorREST}, first, []string{signer.DoorREST}},
		{"csc-v1", []string{signer.DoorCSC1}, first, []string{signer.DoorCSC1}},
		{"csc-v1, without the switch", []string{signer.DoorCSC1}, nil, nil},
		{"csc-v2", []string{signer.DoorCSC2}, first, []string{signer.DoorCSC2}},
		{"both of csc", []string{signer.DoorCSC2, signer.DoorCSC1}, first, []string{signer.DoorCSC1, signer.DoorCSC2}},
		{"what citizens grant", []string{signer.DoorOAuth}, first, nil},
	} {
		client := h.clients.known["sede"]
		client.ID, client.Doors, client.Switches = tt.name, tt.doors, tt.switches
		token := "token of " + tt.name
		h.clients.mu.Lock()
		h.clients.known[tt.name] = client
		h.clients.mu.Unlock()
		err := h.clients.AddToken(t.Context(), signer.AccessToken{
			Hash: api.SecretHash(token), ClientID: tt.name, Scopes: []string{api.ScopeSignature}, ExpiresAt: h.clock.now().Add(time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		for door, route := range routes {
			response := h.ask(t, http.MethodGet, route, "", "Authorization", "Bearer "+token)
			switch {
			case door == "none" || slices.Contains(tt.open, door):
				if response.status != http.StatusNoContent || response.header.Get("RateLimit-Limit") == "" {
					t.Errorf("%s at %s: got %d %s, want it let in, and told its pace", tt.name, door, response.status, response.body)
				}
			default:
				if got := wantProblem(t, response, policies.DoorNotAllowed).Params["door"]; got != door {
					t.Errorf("%s: got door %q named, want %q", tt.name, got, door)
				}
			}
		}
	}
}
