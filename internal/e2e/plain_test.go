//go:build !failpoints

package e2e

// tags are those of the program under test.
const tags = ""

// settings are for these tests alone, as --set takes them.
func settings() []string { return nil }
