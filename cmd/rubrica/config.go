package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"

	"github.com/rubrica-firma/rubrica/internal/dev"
)

// tomlFile resolves settings from one TOML file. A key of the table [api] is
// the flag of the command api; a key outside any table belongs to all commands
// that know it. Underscores and dashes are the same, and deeper tables are
// prefixes: [api.sms] gateway is `rubrica api --sms-gateway`.
//
// Secrets are never values: a setting that needs one is the path of a file.
type tomlFile map[string]any

func loadTOML(r io.Reader) (tomlFile, error) {
	var tree map[string]any
	if _, err := toml.NewDecoder(r).Decode(&tree); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	file := tomlFile{}
	file.flatten("", tree)
	return file, nil
}

func (f tomlFile) flatten(prefix string, tree map[string]any) {
	for key, value := range tree {
		key = prefix + strings.ReplaceAll(key, "_", "-")
		if table, ok := value.(map[string]any); ok {
			f.flatten(key+"-", table)
			continue
		}
		f[key] = value
	}
}

// Validate refuses keys that no command knows: a misspelt setting that is
// silently ignored is the most expensive kind.
func (f tomlFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, s := range settings(app.Node) {
		known[s.flag.Name] = true
		known[s.key] = true
	}
	var unknown []string
	for key := range f {
		if !known[key] {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("the configuration has settings that do not exist: %s", strings.Join(unknown, ", "))
	}
	return nil
}

// Resolve gives kong the file's value of a flag, unless the environment has one.
func (f tomlFile) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil //nolint:nilnil // kong's way to say: not from here
		}
	}
	value, ok := f[keyOf(parent.Node(), flag)]
	if !ok {
		value, ok = f[flag.Name]
	}
	if !ok {
		return nil, nil //nolint:nilnil // kong's way to say: not from here
	}
	switch value := value.(type) {
	case string, []any, bool:
		return value, nil
	default:
		return fmt.Sprint(value), nil // numbers and dates, read again by the flag's own type
	}
}

// setting is a flag with its place in the configuration file and its rule in
// production, its own or its command's.
type setting struct {
	key  string
	flag *kong.Flag
	rule string
}

func settings(node *kong.Node) []setting {
	var found []setting
	for _, flag := range node.Flags {
		rule := flag.Tag.Get("production")
		if rule == "" && node.Tag != nil {
			rule = node.Tag.Get("production")
		}
		found = append(found, setting{keyOf(node, flag), flag, rule})
	}
	for _, child := range node.Children {
		found = append(found, settings(child)...)
	}
	return found
}

func keyOf(node *kong.Node, flag *kong.Flag) string {
	key := flag.Name
	for ; node != nil && node.Type == kong.CommandNode; node = node.Parent {
		key = node.Name + "-" + key
	}
	return key
}

// The rules of production, given as the tag `production` of a setting.
const (
	never = "never" // belongs to the development environment (a command may carry it too)
	https = "https" // an https address, and not of this very machine
)

// ruled is a setting's value with its rule.
type ruled struct{ rule, value string }

// checkMode applies the rules to the command that runs with its settings, and
// to whatever the file says to other commands.
func checkMode(mode string, command *kong.Context, file tomlFile) error {
	values := map[string]ruled{}
	for _, s := range settings(command.Model.Node) {
		if value, set := file[s.key]; set && s.rule != "" {
			values[s.key] = ruled{rule: s.rule, value: fmt.Sprint(value)}
		}
	}
	for _, path := range command.Path {
		if path.Command != nil && path.Command.Tag.Get("production") == never && mode == "production" {
			values[path.Command.Name] = ruled{rule: never, value: "this command"}
		}
		for _, flag := range path.Flags {
			if rule := flag.Tag.Get("production"); rule != "" {
				values[keyOf(path.Node(), flag)] = ruled{rule: rule, value: fmt.Sprint(command.FlagValue(flag))}
			}
		}
	}
	return checkProduction(mode, values)
}

// checkProduction says everything that is wrong with settings in production,
// not only the first thing.
func checkProduction(mode string, values map[string]ruled) error {
	if mode == "development" {
		return nil
	}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := checkSetting(values[name]); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
		}
	}
	return refused(wrong)
}

func refused(wrong []error) error {
	if len(wrong) == 0 {
		return nil
	}
	return &dev.FailureError{
		Status: dev.StatusProduction,
		Err:    fmt.Errorf("this is no configuration for production (mode = \"development\" allows it): %w", errors.Join(wrong...)),
	}
}

func checkSetting(s ruled) error {
	switch s.rule {
	case never:
		if cmp.Or(s.value, "false") != "false" {
			return errors.New("belongs to the development environment")
		}
		return nil
	case https:
		return checkHTTPS(s.value)
	default:
		return fmt.Errorf("unknown rule %q", s.rule)
	}
}

func checkHTTPS(address string) error {
	if address == "" {
		return nil // that it is missing is for its own command to say
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return errors.New("is not an address")
	}
	if u.Scheme != "https" {
		return fmt.Errorf("%s is not protected by TLS: https:// is needed", address)
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if ip := net.ParseIP(host); host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		return fmt.Errorf("%s is the address of this very machine", address)
	}
	return nil
}
