package oauth_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/rubrica-firma/rubrica/internal/flood"
	"github.com/rubrica-firma/rubrica/signer"
)

// Of a gigabyte no more is read than it takes to refuse it, here and at the door of
// the Cloud Signature Consortium: in the form of either, error and description.
func TestGigabytes(t *testing.T) { //nolint:paralleltest // others would allocate beside it
	h := build(t)
	a := h.add("sede", func(c *signer.Client) {
		c.Switches, c.Calls = []string{signer.SwitchSecret, signer.SwitchUnbound, signer.SwitchCSC1}, 1_000_000
	})
	token := h.ask(http.MethodPost, "/oauth/token", url.Values{
		"grant_type": {"client_credentials"}, "scope": {"service"}, "client_id": {a.ID}, "client_secret": {secret},
	}).text("access_token")
	for name, header := range map[string]http.Header{
		"a stranger":     {"Content-Type": {"application/x-www-form-urlencoded"}},
		"an application": {"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}},
	} {
		for _, answer := range flood.Every(t, h.handler, header) {
			refused := answer.Status >= 400 && answer.Status < 500 && answer.Read == 0
			if (answer.Status != http.StatusRequestEntityTooLarge && !refused) || !answer.OAuth() {
				t.Errorf("%s: %s %s, length told %t: got %d, %.200s, after %d bytes, want 413, or a refusal unread",
					name, answer.Method, answer.Route, answer.Told, answer.Status, answer.Body, answer.Read)
			}
		}
	}
}
