// Package staff knows who stands at a door of the personnel: people, by a TLS
// client certificate or a passkey, and programs of auditors, by a client secret
// or a certificate. A Door is for one kind, auditors or officers.
//
// What it promises:
//
//   - an account has one role, and no administrator has another's; what was given
//     to citizens, applications, offices and the other kind is worth nothing here;
//   - an attempt is counted before anything is compared; every refusal looks the
//     same from outside, whatever its cause, and is in the log with it;
//   - nobody is let in whose entry could not be recorded;
//   - secrets are drawn with 256 bits and kept as hashes; challenges and
//     invitations are used once, by one browser;
//   - a session that began with a certificate, and a token that was given for
//     one, are worth nothing without it.
package staff
