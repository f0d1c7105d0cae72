package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strconv"
	"strings"

	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/bench"
	"github.com/rubrica-firma/rubrica/internal/dev"
	"github.com/rubrica-firma/rubrica/internal/dev/sede"
	"github.com/rubrica-firma/rubrica/signer"
)

// BenchCommand measures the service against limits taken in the same run, in an
// environment of its own that ends with it.
type BenchCommand struct {
	Only     string `help:"Measure only figures that start with this, such as spine/."`
	Dir      string `help:"Data directory of the environment." default:"var/bench" type:"path"`
	Output   string `help:"File for the figures (JSON)." default:"var/bench.json" type:"path"`
	Rounds   int    `help:"Rounds, of which the median counts." default:"5"`
	Citizens int    `help:"Ceremonies in a round." default:"12"`
	Scale    []int  `help:"Citizens in the databases that are compared, the smallest first; certificates, beyond a hundred thousand." default:"1000,100000"`
}

// Run brings the environment up for the measuring command below.
func (c *BenchCommand) Run(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	return dev.Up(ctx, dev.Config{
		Dir:    c.Dir,
		Listen: "127.0.0.1:8090", Sede: "127.0.0.1:8091", Inbox: "127.0.0.1:8092", SMTP: "127.0.0.1:8095",
		Witness: "127.0.0.1:8093", Auditor: "127.0.0.1:8094",
		Program:  program,
		Settings: benchSettings,
		Migrate:  migrate,
		Init:     developmentInit(c.Dir),
		Trust:    introduction,
		Register: developmentClients,
		Demo: []string{
			"measure", "--environment", fmt.Sprint(os.Getpid()), "--only", c.Only, "--output", c.Output,
			"--rounds", fmt.Sprint(c.Rounds), "--citizens", fmt.Sprint(c.Citizens), "--scale", numbers(c.Scale),
		},
		Once:   true,
		Hint:   func(dev.Environment) string { return "" },
		Out:    os.Stdout,
		Logger: slog.New(slog.DiscardHandler),
	})
}

func numbers(all []int) string {
	words := make([]string, len(all))
	for i, n := range all {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

// benchSettings lift what paces people, and nothing else.
func benchSettings(e dev.Environment) map[string]any {
	settings := developmentSettings(e)
	lift := func(command string, more map[string]any) {
		table, _ := settings[command].(map[string]any)
		merged := maps.Clone(table)
		maps.Copy(merged, more)
		settings[command] = merged
	}
	lift("signer", map[string]any{
		"codes-per-hour": 1_000_000, "code-interval": "0s", "sms-per-number": 0, "sms-per-prefix": 0, "sms-per-hour": 0,
	})
	lift("api", map[string]any{"attempts-per-minute": 1_000_000, "calls-per-second": 1_000_000})
	measured, _ := settings["ca"].(map[string]any)
	settings["measure"] = map[string]any{
		"pkcs11-module": measured["pkcs11-module"], "token-label": measured["token-label"], "pin-file": measured["pin-file"],
		"softhsm-config": measured["softhsm-config"],
		"office":         e.OfficeCredentials, "sede": e.SedeCredentials, "return-url": sede.ReturnURL(e.SedeURL),
		"settings": e.ConfigFile, "dir": e.Dir,
	}
	return settings
}

// MeasureCommand does the measuring, as a child of the environment.
type MeasureCommand struct {
	WorldSettings
	TokenSettings
	// Environment is the process whose descendants are measured.
	Environment  int    `help:"Process id of the environment." required:""`
	KeyAlgorithm string `help:"Citizens' keys." default:"rsa-3072"`
	Only         string `help:"Measure only figures that start with this."`
	Output       string `help:"File for the figures (JSON)." required:"" type:"path"`
	Rounds       int    `help:"Rounds, of which the median counts." default:"5"`
	Citizens     int    `help:"Ceremonies in a round." default:"12"`
	Scale        []int  `help:"Citizens in the databases that are compared, the smallest first."`
	// Settings is for the commands that are measured, Dir for their data.
	Settings string `help:"Configuration file of the environment." required:"" type:"existingfile"`
	Dir      string `help:"Data directory of the environment." required:"" type:"existingdir"`
}

// Run measures, prints and keeps the figures.
func (c *MeasureCommand) Run(ctx context.Context) error {
	world, err := c.WorldSettings.open()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	config, err := c.config(slog.Default())
	if err != nil {
		return err
	}
	token, err := hsm.Open(config)
	if err != nil {
		return err
	}
	defer token.Close() //nolint:errcheck // the process ends
	name, pdf := sede.Sample()
	spine := &bench.Spine{
		World: world, Environment: c.Environment, Token: token, KEK: signer.KEK.Label(1), Algorithm: c.KeyAlgorithm,
		Name: name, PDF: pdf, Rounds: c.Rounds, Citizens: c.Citizens,
	}
	keys := &bench.Keys{
		Token: token, Config: config, Program: program, Settings: c.Settings, Dir: c.Dir,
		Scales: c.Scale, Only: c.Only, Rounds: c.Rounds,
	}
	houses := []bench.House{
		{Prefix: "spine/", Measure: spine.Measure},
		{Prefix: "keys/", Measure: keys.Measure},
		{Prefix: "ca/", Measure: (&bench.CA{Keys: keys}).Measure},
		{Prefix: "formats/", Measure: (&bench.Formats{Keys: keys}).Measure},
		{Prefix: "citizen/", Measure: (&bench.Citizen{Keys: keys, Spine: spine}).Measure},
		{Prefix: "doors/webhooks", Measure: (&bench.Webhooks{Keys: keys}).Measure},
		{Prefix: "doors/csc", Measure: (&bench.CSC{Keys: keys}).Measure},
		{Prefix: "doors/", Measure: (&bench.Documents{Keys: keys, Spine: spine}).Measure},
		{Prefix: "doors/scale", Measure: (&bench.Scale{Keys: keys}).Measure},
		{Prefix: "log/", Measure: (&bench.Log{Keys: keys, Spine: spine}).Measure},
	}
	if err := bench.Run(ctx, houses, c.Only, c.Output, os.Stdout); err != nil {
		return fmt.Errorf("measuring: %w", err)
	}
	return nil
}
