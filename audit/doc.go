// Package audit is the signature log: the record of everything that happened,
// which nobody, the operator included, can rewrite unseen.
//
// The log is a Merkle tree of RFC 6962 over commitments. A leaf is public and
// says what kind of event happened to which operation and when, and commits to
// the rest with the hash of a salted payload. Payload and salt stand beside
// it: who may read them sees the facts and can prove that they are the ones
// committed to; erasing salt and payload unlinks a person and leaves the tree
// whole.
//
// What it promises:
//
//   - Append writes in the caller's transaction: an event and its entry commit
//     together or not at all, in the order of their numbers, without gaps;
//   - no entry is appended when the clock has gone back behind the log;
//   - each type of event has a Schema (docs/log-events.md), and a payload that
//     does not fit it, or that names a secret, is refused;
//   - Verify finds the first entry that was changed, moved, removed or added,
//     and with an older tree in hand, that the past was rewritten.
//
// It does no I/O: the database is behind Tx and Log, which store implements.
package audit
