// Package oauth is the authorisation server, on go-oidc: authorisation codes
// with PKCE for what a citizen grants, client credentials for what an
// application does itself. It promises:
//
//   - the FAPI 2.0 security profile for every application: pushed requests,
//     private_key_jwt or mutual TLS, tokens that are bound to a key or a
//     certificate, S256, return addresses compared character by character; what
//     is relaxed is a switch of the application, with a name, in the log;
//   - the database has hashes of codes, tokens and request URIs. Whoever shows a
//     code or a request URI for a second time ends what came of the first;
//   - an SAD, the citizen's consent to one signature, is kept only under a key
//     that comes of the code, and later of the access token: neither the database
//     nor this process can spend it alone;
//   - a disabled application is refused at once, with every token that it has.
//
// What go-oidc leaves to its caller, or is laxer about than we are, stands at
// the edge (edge.go), before a request reaches it: see docs/oauth.md.
package oauth
