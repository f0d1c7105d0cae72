// Package personnel is who works behind the service's own doors: auditors, who
// ask the log, and officers, who register citizens. It has their accounts and
// what they come in with; of each secret it knows the hash alone.
//
// The two kinds have nothing in common but this form: an account of one is
// nobody at the other's door.
package personnel
