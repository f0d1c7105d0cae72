// Package ocsp answers questions about the status of certificates (RFC 6960),
// for the delegated responders of one or more issuing authorities.
//
// Whatever is sent, the answer is one that OCSP knows: a signed answer, or one
// of the protocol's errors. What went wrong is told to the operator, not to
// whoever asked. Every signature is verified with the responder's public key
// before it leaves.
//
// A signed answer says what Statuses said after the question had come. An
// answer that was kept is given again only if it is, but for its dates and its
// signature, the answer that would be signed now.
//
// The package does no I/O: status and kept answers come from Statuses, keys
// arrive as crypto.Signer.
//
// What the norm leaves open is decided so:
//
//   - The signature of a request is ignored: anyone may ask (RFC 6960, section
//     4.1.2 makes it optional), and there is no one whom we would refuse.
//   - A critical extension that is not understood makes a request malformed
//     (RFC 6960, section 4.4). The nonce alone is understood.
//   - An answer is signed for one issuing authority, that of the first
//     certificate in the request that is of one of ours. All others in it are
//     "unknown" to its responder (section 2.2).
//   - A nonce is echoed (RFC 9654, section 2.1); answers with one are not kept.
//   - archiveCutoff is the issuing authority's notBefore: the status of no
//     certificate is ever forgotten (section 4.4.4; ETSI EN 319 411-2,
//     requirement CSS-6.3.10-10).
//   - "unknown" has no nextUpdate: there may be news at any time (section 2.4).
//     The extended revoked definition (section 4.4.8) is not used.
package ocsp
