package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/rubrica-firma/rubrica/hsm"
)

// HSMCommand looks at tokens.
type HSMCommand struct {
	Probe HSMProbeCommand `cmd:"" help:"Try what a token can do, and say which keepers of citizens' keys it can carry."`
}

// HSMProbeCommand tries a token out, with keys of its own that it destroys.
type HSMProbeCommand struct {
	TokenSettings
	JSON bool `help:"Print the report as JSON."`
}

// Run prints the report. It fails if the token can carry neither keeper.
func (c *HSMProbeCommand) Run(ctx context.Context) error {
	if err := c.actAsOwner(); err != nil {
		return err
	}
	config, err := c.config(slog.Default())
	if err != nil {
		return err
	}
	defer clear(config.PIN)
	report, err := hsm.Probe(ctx, config)
	if err != nil {
		return err
	}
	if err := c.print(report); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	if !report.Sealed.OK && !report.Kept.OK {
		return errors.New("the token can carry neither keeper")
	}
	return nil
}

func (c *HSMProbeCommand) print(report hsm.Report) error {
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return printReport(os.Stdout, report)
}

func printReport(out io.Writer, r hsm.Report) error {
	fmt.Fprintf(out, "library:       %s\ntoken:         %s\nserial number: %s\nfirmware:      %s\n", r.Library, r.Token, r.Serial, r.Firmware)
	if r.FreeSessions >= 0 {
		fmt.Fprintf(out, "free sessions: %d\n", r.FreeSessions)
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, check := range r.Checks {
		result := "yes"
		if !check.OK {
			result = "no"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", result, check.Name, check.Error)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nsealed: %s\ntoken: %s\ncheckpoints: %s\n", verdict(r.Sealed), verdict(r.Kept), verdict(r.Checkpoints))
	if r.WrapMechanism != 0 {
		fmt.Fprintf(out, "configure --wrap-mechanism 0x%X\n", r.WrapMechanism)
	}
	return nil
}

func verdict(v hsm.Verdict) string {
	if v.OK {
		return "yes"
	}
	return "no (" + v.Why + ")"
}
