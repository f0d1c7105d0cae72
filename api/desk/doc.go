// Package desk is what officers do at a registration office: look people up,
// register them, and act on their registrations.
//
// It decides nothing about citizens. What an officer asks for becomes a
// statement that the office's key signs, and the signer carries it out or
// refuses it. Who looked at whom, and why, is in the log before anything is
// answered; dangerous acts wait for a second officer.
package desk
