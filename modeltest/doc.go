// Package modeltest is a test alone: random sequences of operations against a
// queue and a model of it, with lost replies, repeated calls and deleted index
// keys among them; and histories of jobs checked for linearizability. It is a
// module of its own for the sake of its dependencies.
package modeltest
