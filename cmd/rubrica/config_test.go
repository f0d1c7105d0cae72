package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/dev"
)

// testCLI has one setting of each kind that a configuration file may hold.
type testCLI struct {
	Globals

	Serve struct {
		Listen  string        `default:"127.0.0.1:1"`
		URL     string        `name:"public-url" production:"https"`
		Wait    time.Duration `env:"RUBRICA_TEST_WAIT" default:"1s"`
		Tries   int
		Names   []string
		Gateway struct {
			URL string `name:"url" production:"https"`
		} `embed:"" prefix:"gateway-"`
		Lax bool `production:"never"`
	} `cmd:""`
	Play struct {
		Speed int
	} `cmd:"" production:"never"`
}

func parse(t *testing.T, file string, args ...string) (testCLI, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rubrica.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	var cli testCLI
	var loaded tomlFile
	parser, err := newParser(&cli, &loaded)
	if err != nil {
		t.Fatal(err)
	}
	command, err := parser.Parse(append(args, "--config", path))
	if err != nil {
		return cli, err
	}
	return cli, checkMode(cli.Mode, command, loaded)
}

// A change of mobile is followed by a time in which nothing is issued, which no
// deployment makes so short that nobody reads of the change.
func TestPhoneCoolOff(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"24h": 24 * time.Hour, "96h": 96 * time.Hour, "720h": 720 * time.Hour, "23h": 0, "721h": 0, "24h30m": 0, "0": 0, "-72h": 0, "tres días": 0} {
		var c coolOff
		if err := c.UnmarshalText([]byte(text)); c.Duration != want || (err == nil) != (want > 0) {
			t.Errorf("%s: got %v %v, want %v", text, c.Duration, err, want)
		}
	}
	rules := RuleSettings{FiveYears: "age", PhoneCoolOff: coolOff{96 * time.Hour}}.rules()
	if rules.PhoneCoolOff != 96*time.Hour || rules.Reading != "age" {
		t.Errorf("got %v, want what was set", rules)
	}
}

func TestConfigFile(t *testing.T) {
	t.Setenv("RUBRICA_TEST_WAIT", "7s")
	cli, err := parse(t, `
		mode = "development"
		public_url = "http://localhost:8080"
		[serve]
		listen = "from the file"
		wait = "2s"
		tries = 3
		names = ["a", "b,c"]
		lax = true
		[serve.gateway]
		url = "http://localhost/sms"
		[play]
		speed = 9
	`, "serve", "--listen", "from the flag")
	if err != nil {
		t.Fatal(err)
	}
	var want testCLI
	want.Mode = "development"
	want.Serve.Listen = "from the flag"
	want.Serve.URL = "http://localhost:8080"
	want.Serve.Wait = 7 * time.Second // the environment wins over the file
	want.Serve.Tries = 3
	want.Serve.Names = []string{"a", "b,c"}
	want.Serve.Gateway.URL = "http://localhost/sms"
	want.Serve.Lax = true
	cli.Config = ""
	if diff := cmp.Diff(want, cli); diff != "" {
		t.Errorf("settings differ (-want +got):\n%s", diff)
	}
}

// groupCLI has commands in a group.
type groupCLI struct {
	Globals

	Desk struct {
		Open struct {
			Key struct {
				Database string
				URL      string `name:"public-url" production:"https"`
			} `cmd:""`
		} `cmd:""`
		Shut struct {
			Database string
		} `cmd:""`
	} `cmd:""`
}

// A setting of a group is that of its commands, unless they have their own.
func TestConfigFileGroups(t *testing.T) {
	t.Parallel()
	file, err := loadTOML(strings.NewReader(`
		database = "all"
		[desk]
		database = "group"
		public_url = "http://desk.example"
		[desk.shut]
		database = "command"
	`))
	if err != nil {
		t.Fatal(err)
	}
	parser, err := newParser(new(groupCLI), new(tomlFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Validate(parser.Model); err != nil {
		t.Error(err)
	}
	got := map[string]any{}
	for _, s := range settings(parser.Model.Node) {
		if key, ok := file.key(s.keys); ok && s.flag.Name == "database" {
			got[s.keys[0]] = file[key]
		}
	}
	want := map[string]any{"desk-open-key-database": "group", "desk-shut-database": "command"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	command, err := parser.Parse([]string{"desk", "shut"})
	if err != nil {
		t.Fatal(err)
	}
	if err := checkMode("", command, file); err == nil || !strings.Contains(err.Error(), "desk-public-url: ") {
		t.Errorf("http in a group's table, in production: got %v, want desk-public-url named", err)
	}
	for _, unknown := range []string{"[desk]\nspeed = 1", "[desk.open]\nspeed = 1", "[open]\ndatabase = \"x\""} {
		if file, err = loadTOML(strings.NewReader(unknown)); err != nil || file.Validate(parser.Model) == nil {
			t.Errorf("%q: %v, and accepted", unknown, err)
		}
	}
}

func TestConfigFileUnknownKeys(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"at the top":          `pubic_url = "https://firma.example.es"`,
		"in a table":          "[serve]\nlissten = \"x\"",
		"of another command":  "[serve]\nspeed = 1",
		"table of no command": "[sever]\nlisten = \"x\"",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, file, "serve")
			if err == nil || !strings.Contains(err.Error(), "settings that do not exist") {
				t.Errorf("got %v, want the unknown key named", err)
			}
		})
	}
}

func TestProduction(t *testing.T) {
	t.Parallel()
	const good = "public_url = \"https://firma.example.es\"\n"
	for name, test := range map[string]struct {
		file    string
		command string
		refused bool
	}{
		"good":                       {good, "serve", false},
		"good, said aloud":           {good + `mode = "production"`, "serve", false},
		"no TLS":                     {`public_url = "http://firma.example.es"`, "serve", true},
		"loopback name":              {`public_url = "https://localhost:8443"`, "serve", true},
		"loopback address":           {`public_url = "https://127.0.0.1"`, "serve", true},
		"loopback address, IPv6":     {`public_url = "https://[::1]:8443"`, "serve", true},
		"no address":                 {`public_url = "firma.example.es"`, "serve", true},
		"the inbox as gateway":       {good + "[serve.gateway]\nurl = \"http://127.0.0.1:8082/sms\"", "serve", true},
		"a setting of development":   {good + "[serve]\nlax = true", "serve", true},
		"that setting, switched off": {good + "[serve]\nlax = false", "serve", false},
		"a command of development":   {good + "[play]\nspeed = 1", "serve", true},
		"running that command":       {`mode = "production"`, "play", true},
		"running it without a mode":  {"", "play", false},
		"all of it in development": {
			"mode = \"development\"\npublic_url = \"http://localhost\"\n[serve]\nlax = true\n[play]\nspeed = 1", "serve", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, test.file, test.command)
			failed, ok := errors.AsType[*dev.FailureError](err)
			if test.refused && (!ok || failed.Status != dev.StatusProduction) {
				t.Errorf("got %v, want exit status %d", err, dev.StatusProduction)
			}
			if !test.refused && err != nil {
				t.Errorf("got %v, want it accepted", err)
			}
		})
	}
}

// TestConfigurations loads the configurations that this repository itself
// writes: that of `rubrica up` and that of docker-compose.yml.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	var development bytes.Buffer
	if err := toml.NewEncoder(&development).Encode(developmentSettings(dev.Environment{})); err != nil {
		t.Fatal(err)
	}
	compose, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	_, production, _ := strings.Cut(string(compose), "  rubrica:\n    content: |\n")
	production, _, found := strings.Cut(production, "\n\n  #")
	if !found {
		t.Fatal("docker-compose.yml has no configuration where it is looked for")
	}
	for name, text := range map[string]string{"development": development.String(), "production": production} {
		file, err := loadTOML(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := file["mode"]; got != name {
			t.Errorf("got mode %q, want %q", got, name)
		}
		parser, err := newParser(new(CLI), new(tomlFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Validate(parser.Model); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name != "development" {
			continue
		}
		// Whatever asks a database finds it, wherever `up` runs.
		for _, s := range settings(parser.Model.Node) {
			if _, known := file.key(s.keys); !known && s.flag.Name == "database" && s.flag.Required {
				t.Errorf("%s: %s is not set", name, s.keys[0])
			}
		}
	}
}
