// Package api is the public side: it takes requests from applications, shows
// documents to citizens, and hands back signatures. It parses and keeps
// documents, but has no key, no code and no way to move a request's state: for
// that it asks the signature activation module (DESIGN section 4).
package api
