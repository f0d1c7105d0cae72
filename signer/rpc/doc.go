// Package rpc carries signer.Module and the citizens' register between the
// public process and the signature activation module: Connect over a Unix
// socket or mutual TLS, with the contract in signerv1/signer.proto. Refusals cross as error
// details; any other error crosses as a reference into the module's own log
// and no more.
package rpc

//go:generate protoc -I . --go_out=. --go_opt=paths=source_relative --connect-go_out=. --connect-go_opt=paths=source_relative signerv1/signer.proto signerv1/pins.proto signerv1/letters.proto signerv1/cards.proto signerv1/profile.proto signerv1/sandbox.proto signerv1/consents.proto signerv1/envelopes.proto
