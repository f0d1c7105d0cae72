package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rubrica-firma/rubrica/audit/witness"
	"github.com/rubrica-firma/rubrica/internal/dev"
)

// developmentInit are the commands that fill a development environment.
func developmentInit(dir string) [][]string {
	return [][]string{
		{"ca", "init", "--yes", "--export", filepath.Join(dir, "ca")},
		{"audit", "key", "--output", logLine(dir)},
	}
}

// logLine is where the environment's log is named.
func logLine(dir string) string { return filepath.Join(dir, "ca", "log.vkey") }

// introduction has the environment's log and witness know of each other, as their
// operators would by exchanging two lines of text.
func introduction(e dev.Environment) (map[string]string, error) {
	line, err := os.ReadFile(logLine(e.Dir))
	if err != nil {
		return nil, fmt.Errorf("reading the log's key: %w", err)
	}
	var vkey string
	report, err := witness.ReadReport(e.WitnessDir)
	switch {
	case err == nil:
		vkey = report.Witness
	case errors.Is(err, fs.ErrNotExist):
		if vkey, err = witness.Init(e.WitnessDir, "localhost/witness"); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	return map[string]string{
		e.LogWitnessed: string(line),
		e.LogPolicy:    fmt.Sprintf("%switness desarrollo %s %s\nquorum desarrollo\n", line, vkey, e.WitnessURL),
	}, nil
}
