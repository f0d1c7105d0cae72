// Package tamper holds the attacks on the signature log by those who run it: with
// every right in the database, and with the log's own key as well. It has tests
// and nothing else; who finds what stands in them.
package tamper
