// Package store keeps everything in PostgreSQL: it implements the interfaces
// that signer, citizen and api declare. Each exported method is one
// transaction; its log entries commit in it; no transaction spans a call to
// the HSM or the network. State changes compare and swap, and a compare that
// fails is the refusal that the interface names.
//
// DB is opened with one of two roles: what the public side may not write, the
// grants in the migrations refuse it.
package store
