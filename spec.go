package stint

// Validate checks a job as [Queue.SubmitRaw] does, without a queue. The error
// is nil or an [*InvalidError]. Whether the args can be decoded is not tried.
func (s Submission) Validate() error {
	return validateCreate(s.Spec.withDefaults(DefaultTTL), s.Kind, len(s.Args))
}

// Validate checks a cron job as [Queue.ApplyCron] does, without a queue. The
// error is nil or an [*InvalidError]. Args are not encoded, so that their
// length is checked only where they are RawArgs.
func (c CronJob) Validate() error {
	if c.Args != nil {
		c.JobKind = c.Args.Kind()
	}
	c.withDefaults()
	return c.validate()
}
