// Package csc is the door of the Cloud Signature Consortium's API, versions
// 1.0.4.0 and 2.0.0.2 with those additions of 2.2 that clients ask for, below
// /csc/v1/ and /csc/v2/.
//
// It has no rules of its own. What a citizen consents to is a request of
// api/requests over hashes; what spends the consent is signer.Module. The two
// versions differ in names of members and in views: an endpoint reads either by
// a dialect, and does the same. Errors are those of the documents, to the letter:
// clients compare them.
//
// Credentials are SCAL2 and of mode oauth2code: password and code are typed on
// this service's pages, never at a back end. credentials/authorize and what
// belongs to it therefore answer as the documents have it where nothing can be
// authorised that way.
package csc
