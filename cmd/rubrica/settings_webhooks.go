package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/webhooks"
	"github.com/rubrica-firma/rubrica/store"
)

// WebhookSettings say how applications are told of what becomes of their
// requests.
type WebhookSettings struct {
	// WebhookKeys are files with keys of P-256 or Ed25519 (PEM). The first signs;
	// the others are published with it, before and after they sign: name the next
	// one last for a day, then first, and drop the former one a day later. Without
	// any, this process delivers nothing and leaves it to others.
	WebhookKeys []string `name:"webhook-keys" help:"Files with keys (PEM): the first signs webhooks, all are published." type:"existingfile" placeholder:"FILE"`
	// WebhookCAFile is for receivers whose certificates the system does not know.
	WebhookCAFile string `name:"webhook-ca-file" help:"Authorities of the receivers' certificates (PEM); else the system's." type:"existingfile"`
	// WebhookLoopback allows receivers on this very machine.
	WebhookLoopback bool `name:"webhook-loopback" help:"Deliver to addresses of this machine, for development." production:"never"`
}

// keys are nil if there are none.
func (s WebhookSettings) keys() (*webhooks.Keys, error) {
	if len(s.WebhookKeys) == 0 {
		return nil, nil //nolint:nilnil // none are configured
	}
	var files [][]byte
	for _, name := range s.WebhookKeys {
		file, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading a webhook key: %w", err)
		}
		files = append(files, file)
	}
	keys, err := webhooks.ReadKeys(files...)
	if err != nil {
		return nil, fmt.Errorf("reading webhook-keys: %w", err)
	}
	return keys, nil
}

// webhooks gives what publishes the keys, and what delivers until its context
// ends.
func (s WebhookSettings) webhooks(db *store.DB, logger *slog.Logger) (room func(*api.Site), work func(context.Context) error, err error) {
	keys, err := s.keys()
	if err != nil {
		return nil, nil, err
	}
	if room, err = webhooks.Room(keys); err != nil {
		return nil, nil, err
	}
	if keys == nil {
		return room, func(context.Context) error { return nil }, nil
	}
	var pool *x509.CertPool
	if s.WebhookCAFile != "" {
		if pool, err = authorities(s.WebhookCAFile); err != nil {
			return nil, nil, err
		}
	}
	deliverer := webhooks.New(webhooks.Config{
		Store: store.ForPublic(db), Keys: keys, Networks: webhooks.NewNetworks(s.WebhookLoopback), Authorities: pool,
		Logger: logger, Now: time.Now,
	})
	return room, func(ctx context.Context) error { return db.DeliverWebhooks(ctx, logger, deliverer.Deliver) }, nil
}
