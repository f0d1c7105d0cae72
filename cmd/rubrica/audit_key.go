package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/rubrica-firma/rubrica/audit"
)

// AuditKeyCommand names the log, for the policy files of those who verify it and
// the lists of those who witness it.
type AuditKeyCommand struct {
	TokenSettings
	PublicSettings
	LogSettings
	// Output leaves the line in a file as well.
	Output string `help:"File for the line." type:"path"`
}

// Run prints the log's line of a C2SP policy.
func (c *AuditKeyCommand) Run(ctx context.Context) (err error) {
	if err := c.actAsOwner(); err != nil {
		return err
	}
	origin, err := c.origin(c.PublicSettings)
	if err != nil {
		return err
	}
	token, err := c.open(slog.Default())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, token.Close()) }()
	signer, err := checkpointKey(ctx, token)
	if err != nil {
		return err
	}
	key, err := audit.NewLogKey(origin, signer)
	if err != nil {
		return err
	}
	line := "log " + key.VerifierKey() + "\n"
	fmt.Print(line)
	if c.Output == "" {
		return nil
	}
	if err := os.WriteFile(c.Output, []byte(line), 0o644); err != nil { //nolint:gosec // all may know it
		return fmt.Errorf("writing the line: %w", err)
	}
	return nil
}
