package store_test

import (
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

func TestLastSettings(t *testing.T) {
	t.Parallel()
	l := newLedger(t, pgtest.New(t, store.Migrate))
	start := func(payload map[string]any) audit.Entry {
		return audit.Entry{Type: audit.ServiceStarted, Operation: "signer", At: time.Now(), Payload: payload}
	}
	wants := func(want string) {
		t.Helper()
		got, err := l.db.LastSettings(t.Context())
		if err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	wants("")
	l.log(start(map[string]any{"version": "1"})) // as older versions did
	wants("")
	l.log(start(map[string]any{"version": "2", "settings_sha256": "aa"}), start(map[string]any{"version": "2", "settings_sha256": "bb"}))
	wants("bb")
}
