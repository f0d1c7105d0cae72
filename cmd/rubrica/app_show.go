package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// AppListCommand lists the applications and offices.
type AppListCommand struct {
	// Database is opened in the role rubrica_signer.
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
}

// Run prints one line for each.
func (c *AppListCommand) Run(ctx context.Context) error {
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	clients, err := db.Applications(ctx)
	if err != nil {
		return fmt.Errorf("listing the applications: %w", err)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, client := range clients {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", client.ID, state(client.Enabled), client.Organisation, client.Name, strings.Join(client.Scopes, ","))
	}
	return w.Flush()
}

func state(enabled bool) string {
	if enabled {
		return "enabled"
	}
	return "disabled"
}

// AppShowCommand prints what is known of an application.
type AppShowCommand struct{ AppSettings }

// Run prints it.
func (c *AppShowCommand) Run(ctx context.Context) error {
	return c.do(ctx, func(db *store.DB) error {
		client, enabled, err := db.Application(ctx, c.ID)
		if err != nil {
			return err
		}
		return describeClient(os.Stdout, client, enabled, time.Now())
	})
}

func describeClient(out io.Writer, c signer.Client, enabled bool, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(w, "%s:\t%s\n", name, value) }
	line("client id", c.ID)
	line("name", c.Name)
	line("organisation", c.Organisation)
	line("state", state(enabled))
	line("contact", c.Contact)
	line("scopes", strings.Join(c.Scopes, " "))
	line("relaxed", strings.Join(c.Switches, " "))
	line("doors", all(c.Doors))
	line("formats", all(c.Formats))
	line("levels", all(c.Levels))
	if c.Calls > 0 {
		line("calls a second", strconv.Itoa(c.Calls))
	}
	for _, address := range c.ReturnAddresses {
		line("return address", address)
	}
	if len(c.SecretHashes(now)) > 1 {
		line("former secret", "good until "+c.FormerSecretUntil.UTC().Format(time.RFC3339))
	}
	for _, k := range c.Keys {
		line("key", k.ID+"  "+span(k.NotBefore, k.NotAfter, now))
	}
	for _, k := range c.Certificates {
		line("certificate", hex.EncodeToString(k.SHA256)+"  "+span(k.NotBefore, k.NotAfter, now))
	}
	return w.Flush()
}

// all are names, or a word for no limit.
func all[S ~string](names []S) string {
	if len(names) == 0 {
		return "all"
	}
	var out []string
	for _, n := range names {
		out = append(out, string(n))
	}
	return strings.Join(out, " ")
}

// span says when something is good, and whether that is now.
func span(from, until, now time.Time) string {
	note := ""
	switch {
	case now.Before(from):
		note = "  (not yet)"
	case !now.Before(until):
		note = "  (over)"
	}
	return from.UTC().Format(time.DateOnly) + " – " + until.UTC().Format(time.DateOnly) + note
}
