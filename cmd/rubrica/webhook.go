package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rubrica-firma/rubrica/api/webhooks"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// WebhookCommand administers where applications are told of what becomes of
// their requests (docs/webhooks.md).
type WebhookCommand struct {
	Add        WebhookAddCommand        `cmd:"" help:"Register an address at which an application is told, or take it up again after it answered that it is gone."`
	List       WebhookListCommand       `cmd:"" help:"List the addresses."`
	Remove     WebhookRemoveCommand     `cmd:"" help:"Remove an address; what waits for it is not delivered."`
	Deliveries WebhookDeliveriesCommand `cmd:"" help:"List what an application was told, and what it was not."`
	Replay     WebhookReplayCommand     `cmd:"" help:"Deliver events again, now."`
}

// webhookDatabase is what all of them need.
type webhookDatabase struct {
	// Database is opened in the role rubrica_signer.
	Database string `help:"Address of the database (role rubrica_signer)." required:""`
}

// with opens the database for as long as do takes.
func (s webhookDatabase) with(ctx context.Context, do func(*store.DB) error) error {
	db, err := openDatabase(ctx, s.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	return do(db)
}

// WebhookAddCommand registers an address.
type WebhookAddCommand struct {
	webhookDatabase
	Application string `help:"Client id of the application." required:""`
	URL         string `arg:"" help:"Address, https."`
	// Loopback is for development: it allows this very machine, also over http.
	Loopback bool `name:"webhook-loopback" help:"Allow addresses of this machine, for development." production:"never"`
}

// Run registers it and prints its id.
func (c *WebhookAddCommand) Run(ctx context.Context) error {
	address, err := webhooks.ParseAddress(c.URL, c.Loopback)
	if err != nil {
		return err
	}
	return c.with(ctx, func(db *store.DB) error {
		w, err := db.AddWebhook(ctx, newWebhook(c.Application, address, time.Now()))
		if err != nil {
			return fmt.Errorf("registering the address: %w", err)
		}
		fmt.Println(w.ID)
		return nil
	})
}

func newWebhook(application, address string, now time.Time) signer.Webhook {
	return signer.Webhook{ID: strings.ToLower(rand.Text()), ApplicationID: application, URL: address, CreatedAt: now}
}

// WebhookListCommand lists addresses.
type WebhookListCommand struct {
	webhookDatabase
	Application string `help:"Client id of one application alone."`
}

// Run prints them.
func (c *WebhookListCommand) Run(ctx context.Context) error {
	return c.with(ctx, func(db *store.DB) error {
		all, err := db.Webhooks(ctx, c.Application)
		if err != nil {
			return fmt.Errorf("reading the addresses: %w", err)
		}
		return table("id\tapplication\tadded\tstopped\taddress", all, func(w signer.Webhook) string {
			return strings.Join([]string{w.ID, w.ApplicationID, moment(w.CreatedAt), moment(w.StoppedAt), w.URL}, "\t")
		})
	})
}

// WebhookRemoveCommand removes an address.
type WebhookRemoveCommand struct {
	webhookDatabase
	ID string `arg:"" help:"Id of the address."`
}

// Run removes it.
func (c *WebhookRemoveCommand) Run(ctx context.Context) error {
	return c.with(ctx, func(db *store.DB) error {
		if err := db.RemoveWebhook(ctx, c.ID, time.Now()); err != nil {
			return fmt.Errorf("removing the address: %w", err)
		}
		return nil
	})
}

// WebhookDeliveriesCommand lists deliveries.
type WebhookDeliveriesCommand struct {
	webhookDatabase
	Application string `help:"Client id of the application." required:""`
	Request     string `help:"Of one request alone."`
	State       string `help:"In one state alone." enum:",waiting,delivered,given_up,stopped" default:""`
	Limit       int    `help:"At most so many, the newest." default:"50"`
}

// Run prints them.
func (c *WebhookDeliveriesCommand) Run(ctx context.Context) error {
	return c.with(ctx, func(db *store.DB) error {
		all, err := db.WebhookDeliveries(ctx, signer.WebhookQuery{
			ApplicationID: c.Application, RequestID: c.Request, State: signer.WebhookState(c.State), Limit: c.Limit,
		})
		if err != nil {
			return fmt.Errorf("reading the deliveries: %w", err)
		}
		return table("id\tcreated\ttype\trequest\tstate\tattempts\tlast\tanswer\tnext", all, func(d signer.WebhookDelivery) string {
			answer := d.Problem
			if d.Status != 0 {
				answer = fmt.Sprint(d.Status)
			}
			return strings.Join([]string{
				d.ID, moment(d.Event.CreatedAt), string(d.Event.Type), d.Event.RequestID, string(d.State), fmt.Sprint(d.Attempts),
				moment(d.LastAt), cmp.Or(answer, "-"), moment(d.NextAt),
			}, "\t")
		})
	})
}

// WebhookReplayCommand delivers again: one delivery, or all that were given up.
type WebhookReplayCommand struct {
	webhookDatabase
	ID          []string `arg:"" optional:"" help:"Ids of deliveries."`
	Application string   `help:"Client id of the application whose deliveries are meant that were given up."`
}

// Run begins another round of each.
func (c *WebhookReplayCommand) Run(ctx context.Context) error {
	if len(c.ID) == 0 && c.Application == "" {
		return fmt.Errorf("name deliveries, or an --application for all of its that were given up")
	}
	return c.with(ctx, func(db *store.DB) error {
		ids := c.ID
		if len(ids) == 0 {
			const all = 100_000
			lost, err := db.WebhookDeliveries(ctx, signer.WebhookQuery{ApplicationID: c.Application, State: signer.WebhookGivenUp, Limit: all})
			if err != nil {
				return fmt.Errorf("reading the deliveries: %w", err)
			}
			for _, d := range lost {
				ids = append(ids, d.ID)
			}
		}
		for _, id := range ids {
			if _, err := db.ReplayWebhook(ctx, c.Application, id, time.Now()); err != nil {
				return fmt.Errorf("replaying %s: %w", id, err)
			}
		}
		fmt.Println("on their way:", len(ids))
		return nil
	})
}

// table prints rows under a head.
func table[T any](head string, rows []T, row func(T) string) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(out, head)
	for _, r := range rows {
		fmt.Fprintln(out, row(r))
	}
	return out.Flush()
}

// moment is a time as tables show it.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
