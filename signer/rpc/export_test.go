package rpc

// NewServerFor is NewServer with another life for connections.
var NewServerFor = newServer
