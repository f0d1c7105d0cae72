package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/store"
)

// LetterCommand is invitation letters where a post room prints them, and not the
// officers at their desk.
type LetterCommand struct {
	Print LetterPrintCommand `cmd:"" help:"Make the codes of the letters that wait, and write the letters to a directory."`
}

// LetterPrintCommand prints the letters that wait. It signs as the registrar does
// and runs as its user: it may be started by a timer.
type LetterPrintCommand struct {
	Dir string `arg:"" help:"Directory to write the letters to (PDF); whoever reads it can register in their readers' name." type:"existingdir"`
	// Database, the signer and Office are those of `registrar serve`.
	Database string `help:"Address of the database (role rubrica_registrar)." required:""`
	RecorderSettings
	OfficeKeysSettings
	// Operator and Reason are what the log tells.
	Operator string `help:"Who prints, as the log will tell." required:""`
	Reason   string `help:"Why, as the log will tell." default:"Impresión por lotes"`
	// Together makes one file of them all.
	Together bool `help:"Write one file with all letters, instead of one for each."`
	// Organisation and LogoText stand at the letters' head.
	Organisation string `help:"Who runs the service, for the letters' head." default:"Rúbrica"`
	LogoText     string `help:"Short name beside the mark." default:"Rúbrica"`
}

// batchOfficer is the account that entries about letters of a batch name.
const batchOfficer = "letter-print"

// Run prints until nothing waits.
func (c *LetterPrintCommand) Run(ctx context.Context) error {
	db, err := openDatabase(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	offices, err := c.signatories()
	if err != nil {
		return err
	}
	signer, err := c.dial(slog.Default())
	if err != nil {
		return err
	}
	sentences, err := catalogue.New()
	if err != nil {
		return fmt.Errorf("loading the catalogue: %w", err)
	}
	drawn, err := pages.New(pages.Options{
		Catalogue: sentences, Logger: slog.Default(), Branding: pages.Branding{LogoText: c.LogoText, Organisation: c.Organisation},
	})
	if err != nil {
		return fmt.Errorf("preparing the letters: %w", err)
	}
	counter := desk.New(desk.Config{
		Store: store.ForDesk(db), Recorder: signer, Register: signer, Pens: map[string]desk.Pen{offices[0].Office(): offices[0]},
		Printer: letters{drawn: drawn, serviceURL: withoutSlash(c.ServiceURL)}, Limits: desk.DefaultLimits(), Now: time.Now,
	})
	batch := letterBatch{counter: counter, dir: c.Dir, together: c.Together, now: time.Now, asking: desk.Asking{
		Officer: desk.Officer{ID: batchOfficer, Name: c.Operator, Role: desk.RoleOfficer, Office: offices[0].Office(), By: "cli"}, Reason: c.Reason,
	}}
	n, err := batch.run(ctx)
	fmt.Println("letters:", n)
	return err
}

// letterCounter is where letters are printed. *desk.Service fulfils it.
type letterCounter interface {
	Letters(ctx context.Context, a desk.Asking) ([]citizen.Waiting, error)
	Print(ctx context.Context, a desk.Asking, ids []string) (pdf []byte, printed int, err error)
}

// letterBatch writes letters to a directory.
type letterBatch struct {
	counter  letterCounter
	asking   desk.Asking
	dir      string
	together bool
	now      func() time.Time
}

// run is how many letters were printed. It stops where one cannot be written: a
// letter whose code was made and that is not on paper has to be asked for again.
func (b letterBatch) run(ctx context.Context) (n int, err error) {
	for {
		waiting, err := b.counter.Letters(ctx, b.asking)
		if err != nil || len(waiting) == 0 {
			return n, err
		}
		printed := 0
		for _, sheet := range b.sheets(waiting) {
			more, err := b.write(ctx, sheet)
			printed += more
			if err != nil {
				return n + printed, err
			}
		}
		if n += printed; printed == 0 {
			return n, nil // what is left is refused, or somebody else's
		}
	}
}

// sheet is a file to be, and the letters in it.
type sheet struct {
	name string
	ids  []string
}

func (b letterBatch) sheets(waiting []citizen.Waiting) (all []sheet) {
	var ids []string
	for _, w := range waiting {
		ids = append(ids, w.ID)
		all = append(all, sheet{"carta-" + w.ID + ".pdf", []string{w.ID}})
	}
	if b.together {
		return []sheet{{"cartas-" + b.now().UTC().Format("20060102T150405.000Z") + ".pdf", ids}}
	}
	return all
}

// write prints into a file that stands before any code is made, and has its name
// when it is whole.
func (b letterBatch) write(ctx context.Context, s sheet) (printed int, err error) {
	file, err := os.CreateTemp(b.dir, ".carta-*") // of mode 0600
	if err != nil {
		return 0, fmt.Errorf("making a letter's file: %w", err)
	}
	defer func() {
		if err != nil || printed == 0 {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	defer file.Close() //nolint:errcheck // closed below where it counts
	pdf, printed, err := b.counter.Print(context.WithoutCancel(ctx), b.asking, s.ids)
	defer clear(pdf)
	if errors.Is(err, policies.Refuse(policies.NotFound)) {
		return 0, nil // printed at the desk in between
	}
	if err != nil {
		return printed, fmt.Errorf("printing %s: %w", s.name, err)
	}
	if _, err = file.Write(pdf); err == nil {
		err = errors.Join(file.Sync(), file.Close())
	}
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(b.dir, s.name))
	}
	if err != nil {
		return printed, fmt.Errorf("writing %s: its letters have to be asked for again: %w", s.name, err)
	}
	return printed, nil
}
