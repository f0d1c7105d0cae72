// Package ceremony holds the ceremonies of the certification authority's keys:
// the first one, the rollover of the issuing authority, the renewal of its
// services, the root's revocation lists, and the revocation of a member.
//
// A ceremony is an ordered list of steps. Each is announced, confirmed by a
// person, done, and recorded in one transaction with its entries in the log; the
// lines that the minutes want are printed after that. What is recorded counts,
// and nothing else does: an interrupted ceremony goes on at the step where it
// stopped. Keys are found again by their label and tried before they are used,
// so a crash between the making and the recording of a key leaves one key. A
// certificate that was signed and not recorded has left this process for
// nowhere, and another one takes its place; its intent stays in the log.
//
// The root's key is asked for in a ceremony only, by the steps that need it. All
// else can be done without the root's token.
package ceremony
