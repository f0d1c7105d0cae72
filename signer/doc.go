// Package signer is the ceremony of a signature: a request, a citizen who
// passes two factors, an authorisation over exactly these hashes, and one use
// of the citizen's key.
//
// Service is the signature activation module (SAM) of EN 419 241-2: it alone
// checks passwords and one-time codes and reaches keys. It runs in a process
// of its own that has no HTTP listener for the public and no PDF or XML parser.
// What it promises:
//
//   - no signature leaves without its intent and its outcome in the log;
//   - an attempt is counted, and the count committed, before it is compared;
//   - a code, a ticket and an authorisation are each used at most once, by
//     compare-and-swap;
//   - no transaction is held open across an HSM or network call;
//   - every signature is verified with its certificate before it is recorded.
package signer
