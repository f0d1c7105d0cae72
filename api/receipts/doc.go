// Package receipts hands out what proves a signature without the service: its
// intent and its outcome in the log, under a checkpoint that witnesses cosigned
// (C2SP tlog-proof), for programs; and the same facts as a PDF for people.
package receipts
