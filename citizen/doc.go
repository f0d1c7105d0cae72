// Package citizen knows natural persons with a DNI or NIE: the data that
// identifies and reaches them, their registration and its renewal, activation,
// password and deregistration.
//
// What a person or an office types is parsed once, at the edge, into a value
// type of this package: Identifier, Name, Phone, Email, Password,
// ActivationCode. A value that a Parse function returned is valid and in one
// canonical form, so that the rest compares and stores without asking again.
// The zero values stand for "none" and are never returned without an error.
//
// What cannot be parsed is a *policies.Refusal. No refusal repeats what was
// typed. Personal data is masked in structured logs; secrets are redacted in
// every textual form and only their Reveal method gives them away.
package citizen
