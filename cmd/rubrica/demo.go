package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rubrica-firma/rubrica/internal/dev/sede"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// WorldSettings say where a running development environment is.
type WorldSettings struct {
	PublicURL string `name:"public-url" help:"Address of the service." required:""`
	Inbox     string `help:"Address of the inbox." required:""`
	ReturnURL string `name:"return-url" help:"A return address of the application." required:""`
	Office    string `help:"Credentials of an office (JSON)." required:"" type:"existingfile"`
	Sede      string `help:"Credentials of an application (JSON)." required:"" type:"existingfile"`
}

func (s WorldSettings) open() (*thread.World, error) {
	var office, sede thread.Account
	for path, account := range map[string]*thread.Account{s.Office: &office, s.Sede: &sede} {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading credentials: %w", err)
		}
		if err := json.Unmarshal(text, account); err != nil {
			return nil, fmt.Errorf("reading credentials in %s: %w", path, err)
		}
	}
	return thread.NewWorld(s.PublicURL, s.Inbox, s.ReturnURL, office, sede)
}

// DemoCommand carries one signature through without a hand, in a development
// environment that is up.
type DemoCommand struct {
	WorldSettings
	// Document is a PDF of your own; without it, the sede's sample is signed.
	Document string `arg:"" optional:"" help:"PDF to sign; the sede's sample if none is given." type:"existingfile"`
	RootFile string `help:"Root certificate of the service (PEM)." required:"" type:"existingfile"`
	Policy   string `help:"Witness policy of the signature log." required:"" type:"existingfile"`
	Output   string `help:"Directory for what comes out." required:"" type:"path"`
}

// Run signs, and fails if a foreign validator disagrees.
func (c *DemoCommand) Run(ctx context.Context) error {
	world, err := c.open()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	d := thread.Demonstration{World: world, RootFile: c.RootFile, Policy: c.Policy, Dir: c.Output, Program: program, Out: os.Stdout}
	d.Name, d.PDF = sede.Sample()
	if c.Document != "" {
		d.Name = filepath.Base(c.Document)
		if d.PDF, err = os.ReadFile(c.Document); err != nil {
			return fmt.Errorf("reading the document: %w", err)
		}
	}
	return d.Run(ctx)
}
