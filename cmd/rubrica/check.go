package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/store"
)

// errOtherToken means that keys were sealed under another token's.
var errOtherToken = errors.New("this is not the token that the database knows: its keys answer differently. Name the right one with --pkcs11-module, --token-label and --pin-file, or restore its backup")

// checkToken refuses a token whose secret keys are not the ones that citizens'
// keys and records were sealed under, now and whenever it comes back. What it
// has checked is in known; called again, it looks at what has changed since.
func checkToken(ctx context.Context, db *store.DB, token *hsm.Token, known map[string]bool) error {
	epochs, err := db.KeyEpochs(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys' check values: %w", err)
	}
	for _, e := range epochs {
		label, want := e.Kind.Label(e.Epoch), e.CheckValue
		if !e.DestroyedAt.IsZero() {
			want = nil // nobody must miss it
		}
		if expected, asked := known[label]; asked && expected == (want != nil) {
			continue
		}
		if err := token.Expect(ctx, label, want); err != nil {
			return fmt.Errorf("%w (key %s: %w)", errOtherToken, label, err)
		}
		known[label] = want != nil
	}
	return nil
}
