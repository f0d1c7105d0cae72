// Package webhooks tells back ends what became of their requests: it posts
// events to the addresses that they have registered, signed (RFC 9421), over
// TLS, to the public Internet and nowhere else.
//
// It promises that an event whose outcome was committed is delivered at least
// once or is visibly given up after 48 hours; that one slow receiver takes
// nobody else's turn; and that no address, whatever its name resolves to and
// whenever, makes this process speak to a network of the deployment's own. It
// does not promise order: events carry a number of their own.
package webhooks
