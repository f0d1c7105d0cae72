package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/audit"
)

// databaseCLI has a setting whose value may hold a password.
type databaseCLI struct {
	Globals

	Serve struct {
		Database string
		Listen   string        `default:"127.0.0.1:1"`
		Wait     time.Duration `default:"1s"`
		Names    []string
	} `cmd:""`
}

func TestSumSettings(t *testing.T) {
	t.Parallel()
	sum := func(args ...string) settingsSum {
		t.Helper()
		var file tomlFile
		parser, err := newParser(&databaseCLI{}, &file)
		if err != nil {
			t.Fatal(err)
		}
		command, err := parser.Parse(append([]string{"serve"}, args...))
		if err != nil {
			t.Fatal(err)
		}
		return sumSettings(command)
	}
	plain := sum()
	if len(plain) != 64 {
		t.Errorf("got %q, want SHA-256 in hexadecimal", plain)
	}
	for name, tc := range map[string]struct {
		args []string
		same bool
	}{
		"a default that is said":  {[]string{"--listen", "127.0.0.1:1", "--wait", "1000ms"}, true},
		"the database's password": {[]string{"--database", "postgres://a:secret@db/x"}, true},
		"another value":           {[]string{"--wait", "2s"}, false},
		"a list":                  {[]string{"--names", "a"}, false},
		"production":              {[]string{"--mode", "production"}, false},
	} {
		if got := sum(tc.args...) == plain; got != tc.same {
			t.Errorf("%s: got the same sum: %t, want %t", name, got, tc.same)
		}
	}
}

func TestSettingsWithoutPassword(t *testing.T) {
	t.Parallel()
	for value, want := range map[any]string{
		"https://a:secret@sms.example.es/x": "https://a:xxxxx@sms.example.es/x",
		"https://sms.example.es/x":          "https://sms.example.es/x",
		"127.0.0.1:1":                       "127.0.0.1:1",
		time.Second:                         "1s",
	} {
		if got := withoutPassword(value); got != want {
			t.Errorf("%v: got %q, want %q", value, got, want)
		}
	}
}

func TestStartEntries(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		was  string
		want []audit.EventType
	}{
		"the first start":     {"", []audit.EventType{audit.ServiceStarted}},
		"the same settings":   {"aa", []audit.EventType{audit.ServiceStarted}},
		"some other settings": {"bb", []audit.EventType{audit.ServiceStarted, audit.ConfigChanged}},
	} {
		entries := startEntries(tc.was, "aa", time.Now())
		got := slices.Collect(func(yield func(audit.EventType) bool) {
			for _, e := range entries {
				if !yield(e.Type) {
					return
				}
			}
		})
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if last := entries[len(entries)-1].Payload; last["settings_sha256"] != "aa" || len(entries) == 2 && last["was_sha256"] != "bb" {
			t.Errorf("%s: got %v", name, last)
		}
	}
}
