package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // so that zones load where the system has no database
)

// ValidateZone tells whether a cron job may name that time zone, by the rules
// of Kubernetes: nil is fine, the empty name and "Local" are not, and the zone
// must be known.
func ValidateZone(name *string) error {
	if name == nil {
		return nil
	}
	_, err := loadZone(*name)
	return err
}

func loadZone(name string) (*time.Location, error) {
	switch {
	case name == "":
		return nil, errors.New("time zone: must be nil or non-empty")
	case strings.EqualFold(name, "Local"):
		return nil, errors.New("time zone: must be an explicit zone, not Local")
	}
	for part := range strings.SplitSeq(name, "/") {
		if !isZonePart(part) {
			return nil, fmt.Errorf("time zone: %.100q is not a name of the IANA database", name)
		}
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone: %.100q is unknown", name)
	}
	return zone, nil
}

// isZonePart keeps paths that lead out of the database from being loaded.
func isZonePart(part string) bool {
	const (
		maxLen  = 14
		letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		others  = "0123456789._-+"
	)
	if part == "" || len(part) > maxLen || part == "." || part == ".." || part[0] == '-' {
		return false
	}
	return strings.Trim(part, letters+others) == ""
}
