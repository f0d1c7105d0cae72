// Package augment brings signatures to the levels B-T, B-LT and B-LTA of ETSI
// EN 319 122-1 and EN 319 142-1: it gets time-stamps, gathers the certificates
// and the revocation data that will prove the signature years from now, and
// renews an archive before its last time-stamp ends.
//
// Nothing is added that was not checked, and a level is reached only when all of
// it stands in the signature: whatever goes wrong, the level below is kept, and
// the error says what is missing (policies.TimeStampUnavailable and
// policies.EvidenceUnavailable are worth another try).
//
// The own authority is asked through interfaces. Others are reached over HTTP by
// a Web, which knows whom it may talk to. PDF files are not opened here: a
// Document does what is to be done to one, in the service a child process.
package augment
