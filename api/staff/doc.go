// Package auditors knows who stands at the auditor's door: people, by a TLS
// client certificate or a passkey, and programs, by a client secret or a
// certificate.
//
// What it promises:
//
//   - a role is auditor or administrator, and nobody has both; what was given to
//     citizens, applications and offices is worth nothing here;
//   - an attempt is counted before anything is compared; every refusal looks the
//     same from outside, whatever its cause, and is in the log with it;
//   - nobody is let in whose entry could not be recorded;
//   - secrets are drawn with 256 bits and kept as hashes; challenges and
//     invitations are used once, by one browser;
//   - a session that began with a certificate, and a token that was given for
//     one, are worth nothing without it.
package auditors
