package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/store"
)

// AuditEraseCommand takes from entries what links them to a person: payload and
// salt. Their places, types, operations and times stay, and so does the tree:
// what was published and handed out can be verified as before. It cannot be
// undone, and is an entry of the log itself.
type AuditEraseCommand struct {
	// Database is opened as its owner: nobody else may take anything from the log.
	Database string  `help:"Address of the database, as its owner." required:""`
	Person   string  `help:"DNI or NIE of somebody whose registration and certificates have ended: all of their entries." xor:"what" required:""`
	Entry    []int64 `help:"Numbers of single entries." xor:"what" required:""`
	// Kept is the time for which the law wants evidence of certificates (Ley
	// 6/2020, article 9.3.a: fifteen years from their end).
	Kept     int    `help:"Years since the end of the last certificate." default:"15"`
	Operator string `help:"Who decides, for the log." required:""`
	Reason   string `help:"Why, for the log. Do not name the person." required:""`
	Yes      bool   `help:"Yes, erase: it cannot be undone." required:""`
}

// Run erases.
func (c *AuditEraseCommand) Run(ctx context.Context) error {
	erasure := store.Erasure{Numbers: c.Entry, Operator: c.Operator, Reason: c.Reason}
	if c.Person != "" {
		person, err := citizen.ParseIdentifier(c.Person)
		if err != nil {
			return fmt.Errorf("reading --person: %w", err)
		}
		if c.Kept < 0 {
			return errors.New("--kept is a number of years")
		}
		erasure.Person, erasure.Ended = person.String(), time.Now().AddDate(-c.Kept, 0, 0)
	}
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	erased, err := db.Erase(ctx, erasure)
	if err != nil {
		return fmt.Errorf("erasing: %w", err)
	}
	fmt.Printf("%d entries were erased\n", erased)
	return nil
}
