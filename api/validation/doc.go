// Package validation is what relying parties need to judge signatures: the
// certificates and revocation lists of the authority, OCSP (RFC 6960) and
// time-stamps (RFC 3161), for anybody who asks and over plain http.
//
// The room has no key. It asks the signer, and keeps OCSP answers in memory
// under one promise: who asks a second after the status of a certificate was
// committed, is told that status or to try later. The promise rests on the feed
// of changed certificates:
//
//   - An answer is given from memory only while the last poll of the feed that
//     succeeded began less than trust ago; every change committed before it has
//     been seen, and what it made stale has been dropped.
//   - An answer enters memory only if no change was seen since the signer was
//     asked: one that was on its way when its certificate was revoked is not kept.
//   - Whoever asks while the same question is with the signer shares its answer
//     only if the question is younger than shared.
package validation
