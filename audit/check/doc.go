// Package check verifies the signature log from outside, with no account and
// without asking who runs it: a log as it is served or mirrored, the database
// itself, an export, a receipt, one proof.
//
// What it promises:
//
//   - nothing is believed but the keys of a Policy, which the verifier brings;
//   - a Report says what was checked, by whom it was seen, and when;
//   - where something is wrong, it says which entry is the first that cannot be
//     believed, as exactly as what is still authentic allows;
//   - memory is bounded, whatever the size of the log.
//
// An error is what kept it from looking. What it found by looking stands in the
// report.
package check
