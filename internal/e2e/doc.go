// Package e2e holds the tests of the whole service: one `rubrica up` with its
// real database, token, SMS gateway and mail server, asked over its HTTP doors
// and in a real browser, and killed at every step of the ceremony.
package e2e
