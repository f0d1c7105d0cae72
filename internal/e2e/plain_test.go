//go:build !failpoints

package e2e

// tags are those of the program under test.
const tags = ""
