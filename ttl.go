package stint

import (
	"math"
	"time"
)

// DefaultTTL is how long a finished job is kept unless its spec or its queue
// says otherwise.
const DefaultTTL = time.Hour

// NeverExpire as TTLAfterFinished keeps a finished job for ever, as
// Kubernetes does where ttlSecondsAfterFinished is not set.
const NeverExpire = time.Duration(math.MaxInt64)
