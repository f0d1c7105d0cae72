package desk_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// TestApplications: a supervisor reads applications and changes them by what the
// office signs; an officer does neither. Who asked, and why, is in the log.
func TestApplications(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	must(t, h.signer.AddApplication(t.Context(), signer.Client{
		ID: "sede", Name: "Sede", Organisation: "Ayuntamiento", Scopes: []string{"signature"}, Contact: "sede@example.es",
		ReturnAddresses: []string{"https://sede.example.es/v"}, Keys: []signer.ClientKey{{ID: "k1", JWK: []byte(`{}`), NotBefore: h.now, NotAfter: h.now.AddDate(1, 0, 0)}},
	}, h.now))
	all, err := h.Applications(t.Context(), asks(rosa()))
	must(t, err)
	if len(all) != 3 {
		t.Errorf("got %d applications, want the two offices and the application", len(all))
	}
	got, err := h.Application(t.Context(), asks(rosa()), "sede")
	must(t, err)
	if got.Contact != "sede@example.es" || !got.Enabled || len(got.Keys) != 1 || got.Keys[0].ID != "k1" || !cmp.Equal(got.ReturnAddresses, []string{"https://sede.example.es/v"}) {
		t.Errorf("got %+v, want all that is known of it", got)
	}
	_, err = h.Application(t.Context(), asks(rosa()), "nobody")
	wantRefusal(t, err, policies.ApplicationUnknown)

	change := citizen.ApplicationChange{Application: "sede", By: "somebody else", What: citizen.ApplicationDisabled}
	must(t, h.ChangeApplication(t.Context(), asks(rosa()), change))
	change.By = "rosa"
	if len(h.performed) != 1 || h.performed[0].Kind != citizen.ActChangeApplication || h.performed[0].Reason != reason || !cmp.Equal(h.performed[0].Change, change) {
		t.Errorf("got %+v signed, want the change in Rosa's name", h.performed)
	}
	long := citizen.ApplicationChange{Application: "sede", What: citizen.KeyAdded, Value: strings.Repeat(`"`, 4000), From: "2027-01-01", Until: "2027-12-31"}
	wantRefusal(t, h.ChangeApplication(t.Context(), asks(rosa()), long), policies.QueryInvalid)
	_, acted := h.logged(t, audit.DeskActed)
	if len(acted) != 1 || !strings.Contains(acted[0], `"change_application"`) || !strings.Contains(acted[0], `"sede"`) || !strings.Contains(acted[0], reason) {
		t.Errorf("got %q in the log, want what was asked, of what and why", acted)
	}
	if _, looked := h.logged(t, audit.DeskLookedUp); len(looked) != 2 {
		t.Errorf("got %q looked at, want the list and the application", looked)
	}

	_, err = h.Applications(t.Context(), asks(luis()))
	wantRefusal(t, err, policies.RoleMissing)
	_, err = h.Application(t.Context(), asks(luis()), "sede")
	wantRefusal(t, err, policies.RoleMissing)
	wantRefusal(t, h.ChangeApplication(t.Context(), asks(luis()), change), policies.RoleMissing)
	if len(h.performed) != 1 {
		t.Errorf("got %d acts, want none of who is no supervisor", len(h.performed))
	}
}

// TestNewApplications: what a supervisor registers is in the statement; a secret is
// not, but by its hash, nor is it in the log.
func TestNewApplications(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := citizen.NewApplication{Name: "Padrón", Organisation: "Ayuntamiento", Scopes: []string{"signature"}, ReturnAddresses: []string{"https://padron.example.es/v"}}
	change := citizen.ApplicationChange{Application: citizen.NewClientID(), What: citizen.ApplicationAdded, New: &n}
	// Longest of all that the form takes.
	longest := change
	long := n
	long.Name, long.Organisation, long.Keys = strings.Repeat("ñ", 100), strings.Repeat("ñ", 100), strings.Repeat("x", 4000)
	longest.New = &long
	wordy := asks(rosa())
	wordy.Reason = strings.Repeat("ñ", 200)
	must(t, h.ChangeApplication(t.Context(), wordy, longest))

	secret, err := h.GiveSecret(t.Context(), asks(rosa()), change)
	must(t, err)
	sum := sha256.Sum256([]byte(secret.Reveal()))
	change.By, change.SecretSHA256 = "rosa", hex.EncodeToString(sum[:])
	if len(h.performed) != 2 || !cmp.Equal(h.performed[1].Change, change) {
		t.Errorf("got %+v signed, want the application with the secret's hash", h.performed)
	}
	_, acted := h.logged(t, audit.DeskActed)
	if len(acted) != 2 || !strings.Contains(acted[1], change.Application) || strings.Contains(strings.Join(acted, ""), secret.Reveal()) {
		t.Errorf("got %q in the log, want the application and no secret", acted)
	}
	change.Application = "nueva"
	if secret, err := h.GiveSecret(t.Context(), asks(rosa()), change); err == nil || secret.Reveal() != "" {
		t.Errorf("got %v, want no id that was not drawn, and no secret where nothing was done", err)
	}
	_, err = h.GiveSecret(t.Context(), asks(luis()), change)
	wantRefusal(t, err, policies.RoleMissing)
}
