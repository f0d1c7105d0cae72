//go:build !failpoints

package main

import (
	"net/http"

	"github.com/rubrica-firma/rubrica/api/oauth"
	"github.com/rubrica-firma/rubrica/signer/rpc"
)

// What the tests of crashes put into a program that is built with the tag
// failpoints, this one does not have.

func steps(string) func(string) { return nil }

func announced(c *rpc.Client) *rpc.Client { return c }

func announcedErrands(s *oauth.Server) *oauth.Server { return s }

func answering(_, _ string, h http.Handler) http.Handler { return h }
