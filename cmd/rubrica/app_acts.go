package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/api/webhooks"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
	"github.com/rubrica-firma/rubrica/store"
)

// changeApplication carries out what a supervisor changes of an application at
// the desk, by the same functions as the command line.
func changeApplication(db *store.DB) citizen.Performer {
	return func(ctx context.Context, s citizen.Statement) (citizen.Receipt, error) {
		do, err := applicationChange(s.Change, time.Now())
		if err != nil {
			return citizen.Receipt{}, err
		}
		return citizen.Receipt{}, do(ctx, db.Administration(store.Operator{By: s.By(), Account: s.Change.By, Reason: s.Reason}))
	}
}

// change is one change of an application, ready to be made.
type change func(ctx context.Context, a store.Administration) error

// unreadable refuses what was handed in (policies.QueryInvalid).
func unreadable(what string) error { return policies.Refuse(policies.QueryInvalid, "reason", what) }

// applicationChange reads a change.
func applicationChange(c citizen.ApplicationChange, now time.Time) (change, error) {
	id, value := c.Application, strings.TrimSpace(c.Value)
	switch c.What {
	case citizen.ApplicationAdded:
		client, err := fromTheDesk(c, now)
		return func(ctx context.Context, a store.Administration) error {
			return a.Add(ctx, client, citizen.OfficeKey{}, now)
		}, err
	case citizen.ApplicationEnabled, citizen.ApplicationDisabled:
		return func(ctx context.Context, a store.Administration) error {
			return a.Enable(ctx, id, c.What == citizen.ApplicationEnabled, now)
		}, nil
	case citizen.ApplicationContact:
		return func(ctx context.Context, a store.Administration) error { return a.SetContact(ctx, id, value, now) }, checkContact(value)
	case citizen.ApplicationSwitchedOn, citizen.ApplicationSwitchedOff:
		if !slices.Contains(signer.Switches(), value) {
			return nil, unreadable("switch")
		}
		return func(ctx context.Context, a store.Administration) error {
			return a.Switch(ctx, id, value, c.What == citizen.ApplicationSwitchedOn, now)
		}, nil
	case citizen.ApplicationScopes:
		return func(ctx context.Context, a store.Administration) error { return a.SetScopes(ctx, id, c.Scopes, now) }, checkScopes(c.Scopes)
	case citizen.ApplicationLimits:
		limited, err := limits(c)
		return func(ctx context.Context, a store.Administration) error { return a.Limit(ctx, limited, now) }, err
	case citizen.RedirectAdded:
		if oauth.CheckReturnAddress(value) != nil {
			return nil, unreadable("return_address")
		}
		return func(ctx context.Context, a store.Administration) error {
			return a.AddReturnAddress(ctx, id, value, now)
		}, nil
	case citizen.RedirectRemoved:
		return func(ctx context.Context, a store.Administration) error {
			return a.RemoveReturnAddress(ctx, id, value, now)
		}, nil
	case citizen.WebhookAdded:
		address, err := webhooks.ParseAddress(value, false)
		if err != nil {
			return nil, unreadable("webhook_address")
		}
		return func(ctx context.Context, a store.Administration) error {
			_, err := a.AddWebhook(ctx, newWebhook(id, address, now))
			return err
		}, nil
	case citizen.WebhookRemoved:
		return func(ctx context.Context, a store.Administration) error { return a.RemoveWebhook(ctx, id, value, now) }, nil
	case citizen.KeyAdded, citizen.KeyUntil, citizen.KeyRemoved, citizen.CertificateAdded, citizen.CertificateUntil, citizen.CertificateRemoved, citizen.SecretReplaced:
	}
	return paperChange(c, value, now)
}

// paperChange reads a change of what an application shows itself by.
func paperChange(c citizen.ApplicationChange, value string, now time.Time) (change, error) {
	id := c.Application
	switch c.What { //nolint:exhaustive // the others are applicationChange's
	case citizen.KeyAdded:
		from, until, err := c.Span()
		if err != nil {
			return nil, err
		}
		keys, err := clientKeys(value, from, until)
		return func(ctx context.Context, a store.Administration) error { return a.AddKeys(ctx, id, keys, now) }, err
	case citizen.KeyUntil:
		until, err := c.End()
		return func(ctx context.Context, a store.Administration) error { return a.EndKey(ctx, id, value, until, now) }, err
	case citizen.KeyRemoved:
		return func(ctx context.Context, a store.Administration) error { return a.RemoveKey(ctx, id, value, now) }, nil
	case citizen.CertificateAdded:
		k, err := readCertificate(value)
		return func(ctx context.Context, a store.Administration) error { return a.AddCertificate(ctx, id, k, now) }, err
	case citizen.SecretReplaced:
		hash, err := secretHash(c)
		if err != nil {
			return nil, err
		}
		var former time.Time
		if c.Until != "" {
			former, err = c.End()
		}
		return func(ctx context.Context, a store.Administration) error {
			return a.SetSecret(ctx, id, hash, former, now)
		}, err
	}
	return certificateChange(c, value, now)
}

// certificateChange reads a change of a certificate that is there.
func certificateChange(c citizen.ApplicationChange, value string, now time.Time) (change, error) {
	fingerprint, err := hex.DecodeString(value)
	if err != nil || len(fingerprint) != sha256.Size {
		return nil, policies.Refuse(policies.NotFound)
	}
	switch c.What { //nolint:exhaustive // the others are paperChange's
	case citizen.CertificateUntil:
		until, err := c.End()
		return func(ctx context.Context, a store.Administration) error {
			return a.EndCertificate(ctx, c.Application, fingerprint, until, now)
		}, err
	case citizen.CertificateRemoved:
		return func(ctx context.Context, a store.Administration) error {
			return a.RemoveCertificate(ctx, c.Application, fingerprint, now)
		}, nil
	}
	return nil, policies.Refuse(policies.OfficeActInvalid, "reason", "format")
}

// secretHash is that of the secret that a change brings, nil if it brings none.
func secretHash(c citizen.ApplicationChange) ([]byte, error) {
	hash, err := hex.DecodeString(c.SecretSHA256)
	if err != nil || len(hash) != sha256.Size {
		return nil, policies.Refuse(policies.OfficeActInvalid, "reason", "format")
	}
	return hash, nil
}

// limits are those that a change names.
func limits(c citizen.ApplicationChange) (signer.Client, error) {
	limited := signer.Client{ID: c.Application, Calls: c.Calls}
	for _, name := range c.Doors {
		if !slices.Contains(signer.Doors(), name) {
			return limited, unreadable("limits")
		}
		limited.Doors = append(limited.Doors, name)
	}
	for _, name := range c.Formats {
		if !slices.Contains(signer.Formats(), signer.Format(name)) {
			return limited, unreadable("limits")
		}
		limited.Formats = append(limited.Formats, signer.Format(name))
	}
	for _, name := range c.Levels {
		if !cades.Level(name).Known() {
			return limited, unreadable("limits")
		}
		limited.Levels = append(limited.Levels, cades.Level(name))
	}
	return limited, nil
}
