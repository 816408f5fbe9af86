package batchv1

// Annotations of stint's own; see the package documentation.
const (
	KindAnnotation             = "stint.dev/kind"
	ArgsAnnotation             = "stint.dev/args" // empty: no args at all
	BackoffAnnotation          = "stint.dev/backoff"
	LostCountsAnnotation       = "stint.dev/lost-counts"
	LostLimitAnnotation        = "stint.dev/lost-limit"
	StartAtAnnotation          = "stint.dev/start-at"
	DelayAnnotation            = "stint.dev/delay"
	ActiveDeadlineAnnotation   = "stint.dev/active-deadline"
	AttemptTimeoutAnnotation   = "stint.dev/attempt-timeout"
	StartingDeadlineAnnotation = "stint.dev/starting-deadline"
	TTLAnnotation              = "stint.dev/ttl-after-finished"
)

// ourPrefix is that of all annotations above.
const ourPrefix = "stint.dev/"

// never is the TTL that stint.NeverExpire stands for.
const never = "never"

func ourAnnotations() []string {
	return []string{
		KindAnnotation, ArgsAnnotation, BackoffAnnotation, LostCountsAnnotation, LostLimitAnnotation, StartAtAnnotation,
		DelayAnnotation, ActiveDeadlineAnnotation, AttemptTimeoutAnnotation, StartingDeadlineAnnotation, TTLAnnotation,
	}
}
