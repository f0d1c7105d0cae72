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
// the flag of the command api; one of a group of commands, such as [app], is
// that of each of them that knows it and has none of its own in a deeper table,
// and one outside any table of all commands. Underscores and dashes are the
// same, and deeper tables are prefixes: [api.sms] gateway is
// `rubrica api --sms-gateway`.
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
		for _, key := range s.keys {
			known[key] = true
		}
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
	key, ok := f.key(keysOf(parent.Node(), flag))
	if !ok {
		return nil, nil //nolint:nilnil // kong's way to say: not from here
	}
	switch value := f[key].(type) {
	case string, []any, bool:
		return value, nil
	default:
		return fmt.Sprint(value), nil // numbers and dates, read again by the flag's own type
	}
}

// key is the first of the keys that the file has.
func (f tomlFile) key(keys []string) (string, bool) {
	for _, key := range keys {
		if _, ok := f[key]; ok {
			return key, true
		}
	}
	return keys[0], false
}

// setting is a flag with its places in the configuration file and its rule in
// production, its own or its command's.
type setting struct {
	keys []string
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
		found = append(found, setting{keysOf(node, flag), flag, rule})
	}
	for _, child := range node.Children {
		found = append(found, settings(child)...)
	}
	return found
}

// keysOf are the places of a command's flag, the nearest first: for the flag
// database of the command app add, app-add-database, app-database and database.
func keysOf(node *kong.Node, flag *kong.Flag) []string {
	if node == nil || node.Type != kong.CommandNode {
		return []string{flag.Name}
	}
	above := keysOf(node.Parent, flag)
	table := above[0][:len(above[0])-len(flag.Name)]
	return append([]string{table + node.Name + "-" + flag.Name}, above...)
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
		if key, set := file.key(s.keys); set && s.rule != "" {
			values[key] = ruled{rule: s.rule, value: fmt.Sprint(file[key])}
		}
	}
	for _, path := range command.Path {
		if path.Command != nil && path.Command.Tag.Get("production") == never && mode == "production" {
			values[path.Command.Name] = ruled{rule: never, value: "this command"}
		}
		for _, flag := range path.Flags {
			if rule := flag.Tag.Get("production"); rule != "" {
				key, _ := file.key(keysOf(path.Node(), flag))
				values[key] = ruled{rule: rule, value: fmt.Sprint(command.FlagValue(flag))}
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
