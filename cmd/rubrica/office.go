package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rubrica-firma/rubrica/citizen"
)

// OfficeCommand is the list in which citizens find an office.
type OfficeCommand struct {
	Import OfficeImportCommand `cmd:"" help:"Replace the list of offices that citizens search."`
}

// OfficeImportCommand reads a list of offices. All of it is right, or the old one
// stays.
type OfficeImportCommand struct {
	RegisterSettings
	File string `arg:"" help:"List of offices (CSV with a head: id, name, address, postal_code, town, province, phone, hours, appointment, latitude, longitude)." type:"existingfile"`
}

// Run replaces the list.
func (c *OfficeImportCommand) Run(ctx context.Context) error {
	file, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("opening the list: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	places, err := citizen.ReadPlaces(file)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.ReplacePlaces(ctx, places); err != nil {
		return fmt.Errorf("replacing the list: %w", err)
	}
	fmt.Println("offices:", len(places))
	return nil
}
