// Package chaos is a test alone: worker processes, schedulers and submitters
// on private Redis servers, while a nemesis kills, stops, cuts and resets what
// they stand on. A checker then compares what handlers wrote to files, what is
// in Redis, and what submitters were told. See `make chaos`.
package chaos
