package main

import (
	"context"
	"os"

	"github.com/rubrica-firma/rubrica/internal/dev"
)

// DoctorCommand looks for what `rubrica up` needs and says what is missing.
type DoctorCommand struct {
	Dir    string   `help:"Data directory." default:"var" type:"path" placeholder:"DIR"`
	Listen []string `help:"Addresses that must be free." default:"127.0.0.1:8080,127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8025" placeholder:"HOST:PORT"`
}

// Run exits with 1 when something is missing.
func (c *DoctorCommand) Run(ctx context.Context) error {
	return dev.Doctor(ctx, dev.Examination{Dir: c.Dir, Addresses: c.Listen, Out: os.Stdout})
}
