package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca/ceremony"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/store"
)

// ceremonyStore is the database as ceremonies see it.
type ceremonyStore struct {
	*store.DB

	address string
}

var _ ceremony.Store = ceremonyStore{}

// Record implements ceremony.Store.
func (s ceremonyStore) Record(ctx context.Context, r ceremony.Record, entries ...audit.Entry) error {
	c := store.Ceremony{Step: r.Step, Members: r.Members, Keeper: signer.KeeperName(r.Keeper), Retire: r.Retire, List: r.List}
	for _, secret := range r.Secrets {
		c.Epochs = append(c.Epochs, store.Epoch{Kind: signer.Secret(secret.Kind), Epoch: secret.Epoch, CheckValue: secret.CheckValue})
	}
	err := s.RecordCeremony(ctx, c, entries...)
	if errors.Is(err, store.ErrStepDone) {
		return ceremony.ErrStepDone
	}
	return err
}

// Secrets implements ceremony.Store.
func (s ceremonyStore) Secrets(ctx context.Context) ([]ceremony.Secret, error) {
	epochs, err := s.KeyEpochs(ctx)
	if err != nil {
		return nil, err
	}
	secrets := make([]ceremony.Secret, len(epochs))
	for i, e := range epochs {
		secrets[i] = secretOf(e)
	}
	return secrets, nil
}

func secretOf(e store.Epoch) ceremony.Secret {
	return ceremony.Secret{Kind: string(e.Kind), Epoch: e.Epoch, Label: e.Kind.Label(e.Epoch), CheckValue: e.CheckValue}
}

// ceremonyLock is the number of the advisory lock that one ceremony holds.
const ceremonyLock = 0x52_75_62_72_69_63_61 // "Rubrica"

// Alone implements ceremony.Store: the lock belongs to a connection, and so goes
// away with whoever holds it. One that has just been killed is waited for.
func (s ceremonyStore) Alone(ctx context.Context) (release func(), err error) {
	conn, err := pgx.Connect(ctx, s.address)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	release = func() { _ = conn.Close(context.WithoutCancel(ctx)) } // and the lock with it
	for range 20 {
		var locked bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(ceremonyLock)).Scan(&locked); err != nil {
			release()
			return nil, fmt.Errorf("locking the database against other ceremonies: %w", err)
		}
		if locked {
			return release, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	release()
	return nil, ceremony.ErrHeld
}

// ceremonySecrets makes the secret keys of the service's token.
type ceremonySecrets struct{ token *hsm.Token }

// Make implements ceremony.Secrets.
func (s ceremonySecrets) Make(ctx context.Context) ([]ceremony.Secret, error) {
	var made []ceremony.Secret
	for _, secret := range signer.Secrets() {
		epoch, err := secretKey(ctx, s.token, secret, 1)
		if err != nil {
			return nil, err
		}
		made = append(made, secretOf(epoch))
	}
	return made, nil
}
