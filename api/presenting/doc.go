// Package presenting judges the certificate that somebody shows at the
// certificate door, and has an office say to the signer who it was.
//
// What it promises:
//
//   - the certificate is the one whose key the other end of the TLS connection
//     holds; no header, no form and no proxy says anything about it;
//   - it was issued by an authority that the trust list names, under a policy
//     that the list names, is in its dates, is for authentication, and is not
//     revoked: what cannot be found out is refused;
//   - who it names is read from the attributes that the authority's profile has
//     for it, and nothing else in the certificate may say otherwise. One that
//     names an organisation speaks for that, and is refused;
//   - nothing is fetched from an address before the certificate that names it
//     was found to be of an authority of the list, and from no host that the
//     list does not name;
//   - what is handed over is signed by the office's key, bound to the browser
//     that began, and can be taken once.
package presenting
