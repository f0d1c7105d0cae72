// Package notify reaches citizens: one-time codes by SMS, through the HTTP
// gateway of an operator, and letters by e-mail. It promises that a code is
// handed over once and never retried behind the caller's back, and that no
// text is kept or logged.
package notify
