package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/store"
)

// settingsSum is the SHA-256 of a command's settings, in hexadecimal. Those of
// the same values have the same one, wherever the values came from.
type settingsSum string

// sumSettings leaves out where the database is, whose address may have a
// password in it, and the password of any other address: settings are no
// secrets otherwise, and a hash must not let one be found by trying.
func sumSettings(command *kong.Context) settingsSum {
	var lines []string
	for _, flag := range command.Flags() {
		switch flag.Name {
		case "config", "help", "version", "database":
		default:
			lines = append(lines, fmt.Sprintf("%s=%s\n", flag.Name, withoutPassword(command.FlagValue(flag))))
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return settingsSum(hex.EncodeToString(sum[:]))
}

func withoutPassword(value any) string {
	text := fmt.Sprint(value)
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return u.Redacted()
	}
	return text
}

// announceStart writes down that the process has started, and whether its
// settings are those of the last start.
func announceStart(ctx context.Context, db *store.DB, sum settingsSum) error {
	was, err := db.LastSettings(ctx)
	if err != nil {
		return fmt.Errorf("reading the settings of the last start: %w", err)
	}
	return db.Log(ctx, startEntries(was, sum, time.Now())...)
}

func startEntries(was string, sum settingsSum, now time.Time) []audit.Entry {
	entries := []audit.Entry{{
		Type: audit.ServiceStarted, Operation: "signer", At: now,
		Payload: map[string]any{"version": version(), "settings_sha256": string(sum)},
	}}
	if was != "" && was != string(sum) {
		entries = append(entries, audit.Entry{
			Type: audit.ConfigChanged, Operation: "signer", At: now,
			Payload: map[string]any{"version": version(), "settings_sha256": string(sum), "was_sha256": was},
		})
	}
	return entries
}
