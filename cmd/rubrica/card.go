package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/signer"
)

// CardCommand is a town's cards.
type CardCommand struct {
	Import CardImportCommand `cmd:"" help:"Add municipal cards, or renew them."`
}

// CardImportCommand reads cards. It needs the token, for what is kept of their
// PINs; the file holds the PINs, and belongs deleted afterwards.
type CardImportCommand struct {
	RegisterSettings
	TokenSettings
	File string `arg:"" help:"List of cards (CSV with a head: number, identifier, email, pin)." type:"existingfile"`
}

// Run imports the cards of the file, all of which are read first. One that was
// there loses its operations key and its wrong tries.
func (c *CardImportCommand) Run(ctx context.Context) error {
	file, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("opening the cards: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	cards, err := readCards(file)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	token, err := c.TokenSettings.open(slog.Default())
	if err != nil {
		return err
	}
	defer token.Close() //nolint:errcheck // the process ends
	if err := checkToken(ctx, db, token, map[string]bool{}); err != nil {
		return err
	}
	epochs, err := db.Epochs(ctx)
	if err != nil {
		return fmt.Errorf("reading the keys' epochs: %w", err)
	}
	town := &citizen.Cards{Store: db, Vault: signer.NewVault(signer.VaultConfig{Keys: token, Epochs: epochs}), Now: time.Now}
	for i, card := range cards {
		if err := town.Import(ctx, card); err != nil {
			return fmt.Errorf("importing the card in line %d: %w", i+2, err)
		}
	}
	fmt.Println("cards:", len(cards))
	return nil
}

// readCards reads all cards. An error names the line, and nothing that is in it.
func readCards(from io.Reader) ([]citizen.NewCard, error) {
	r := csv.NewReader(from)
	head, err := r.Read()
	if err != nil || fmt.Sprint(head) != "[number identifier email pin]" {
		return nil, errors.New("the first line must be number,identifier,email,pin")
	}
	var cards []citizen.NewCard
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return cards, nil
		}
		line, _ := r.FieldPos(0)
		if err != nil {
			return nil, fmt.Errorf("line %d has not four fields", line)
		}
		card, err := readCard(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		cards = append(cards, card)
	}
}

func readCard(fields []string) (c citizen.NewCard, err error) {
	if c.Number, err = citizen.ParseCardNumber(fields[0]); err != nil {
		return c, err
	}
	if c.Identifier, err = citizen.ParseIdentifier(fields[1]); err != nil {
		return c, err
	}
	if c.Email, err = citizen.ParseEmail(fields[2]); err != nil {
		return c, err
	}
	c.PIN, err = citizen.ParseCardPIN(fields[3])
	return c, err
}
