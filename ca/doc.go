// Package ca is the internal certification authority: profiles as data, and
// the discipline of prepare, lint, issue once.
//
// Prepare builds the certificate in full, signs it with a throw-away key,
// lints that and compares it with what was asked for. The caller records the
// intent, with the fingerprint of exactly the bytes to be signed. Issue then
// uses the issuing key once; a Prepared is spent by the attempt, so that no
// crash or retry makes a second certificate out of one intent.
//
// Kinds are the profiles: what certificates of each kind have, and that they
// have nothing else. docs/profiles.md goes through them with their clauses.
//
// Keys arrive as crypto.Signer; the package does no I/O and keeps no record.
// It asserts no QcStatements (ETSI EN 319 412-5) unless a deployment that is a
// qualified provider configures them: an internal CA is none.
package ca
