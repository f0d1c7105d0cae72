package dev

import (
	"errors"
	"fmt"
)

// The exit statuses of `rubrica up`, so that a script can tell the causes apart.
const (
	StatusDirectory   = 10 // the data directory cannot be used
	StatusRunning     = 11 // another `rubrica up` has the data directory
	StatusAddress     = 12 // a port is in use
	StatusDatabase    = 13 // PostgreSQL is missing, or does not start
	StatusToken       = 14 // the token is missing, or its PIN is another
	StatusNewerSchema = 15 // the database was migrated by a newer version
	StatusService     = 16 // api or signer does not become ready
	StatusDemo        = 17 // the signature of the demo failed
	StatusProduction  = 18 // a production configuration names the development environment
)

// ErrNewerSchema is what Config.Migrate returns, wrapped, for a database that a
// newer version of the program has migrated.
var ErrNewerSchema = errors.New("the database belongs to a newer version of Rúbrica: use that version, or another --dir")

// FailureError is an error with an exit status.
type FailureError struct {
	Status int
	Err    error
}

func (f *FailureError) Error() string { return f.Err.Error() }

func (f *FailureError) Unwrap() error { return f.Err }

// ExitCode is the exit status that the command ends with.
func (f *FailureError) ExitCode() int { return f.Status }

func failure(status int, format string, args ...any) error {
	return &FailureError{Status: status, Err: fmt.Errorf(format, args...)}
}
