package main

import (
	"errors"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/dev"
)

// A log that nobody watches has to be asked for where it matters.
func TestUnwitnessed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy      string
		unwitnessed bool
		mode        string
		refused     bool
	}{
		"production":             {mode: "production", refused: true},
		"no mode":                {refused: true},
		"development":            {mode: "development"},
		"witnessed":              {policy: "policy.txt", mode: "production"},
		"unwitnessed by request": {unwitnessed: true, mode: "production"},
	} {
		s := PublicationSettings{Unwitnessed: tc.unwitnessed, CheckpointInterval: time.Second}
		s.WitnessPolicy, s.WitnessTimeout = tc.policy, time.Second
		err := s.check(tc.mode)
		failure, ok := errors.AsType[*dev.FailureError](err)
		if tc.refused != (ok && failure.Status == dev.StatusProduction && errors.Is(err, errNoWitness)) || !tc.refused && err != nil {
			t.Errorf("%s: got %v, refused %v", name, err, tc.refused)
		}
	}
	if err := (PublicationSettings{Unwitnessed: true}).check("production"); err == nil {
		t.Error("no time between checkpoints was accepted")
	}
}

func TestLogOrigin(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		origin, public, want string
	}{
		"by the address":          {"", "https://firma.example.es", "firma.example.es/log"},
		"by an address with more": {"", "https://firma.example.es:8443/x", "firma.example.es:8443/log"},
		"by its name":             {"registro.example.es/firmas", "https://firma.example.es", "registro.example.es/firmas"},
		"by no address":           {"", "firma", ""},
	} {
		got, err := LogSettings{LogOrigin: tc.origin}.origin(PublicSettings{PublicURL: tc.public})
		if got != tc.want || (err != nil) != (tc.want == "") {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, tc.want)
		}
	}
}
