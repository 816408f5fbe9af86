package dashboard

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"

	"github.com/stint-go/stint"
)

// Defaults of Config.
const (
	DefaultTitle      = "stint"
	DefaultRefresh    = 2 * time.Second
	DefaultMaxStreams = 100
)

// Verb is what somebody wants to do, as [Config.Authorize] is asked.
type Verb string

// The verbs. All but View and ViewArgs need [Config.Writable].
const (
	View     Verb = "view"     // see a queue, a job or a cron job; also the pages themselves, with no queue
	ViewArgs Verb = "viewArgs" // see args and results of a job, where ShowArgs is set
	Suspend  Verb = "suspend"
	Resume   Verb = "resume"
	Scale    Verb = "scale" // change a job's parallelism
	Retry    Verb = "retry" // open a finished job's indexes again
	Evict    Verb = "evict" // cancel one attempt
	Delete   Verb = "delete"
	Run      Verb = "run" // start a cron job's run now
)

// Config says what a dashboard shows and allows. The zero value shows all but
// args and results, and changes nothing.
type Config struct {
	// Title stands at the top of each page; "stint" by default.
	Title string
	// Writable lets the verbs change jobs and cron jobs.
	Writable bool
	// Authorize decides whether a request may do a verb: nil is yes, and an
	// error is no, with its text shown to the user. queue is "" for what spans
	// queues, and job is a job's or a cron job's name, or "" for the whole
	// queue: an action on a filter asks for the queue first and for each job
	// then. It is called often, and from several goroutines: it should answer
	// from memory. Nil allows everything.
	Authorize func(r *http.Request, verb Verb, queue, job string) error
	// ShowArgs shows the args and results of jobs, to whom Authorize lets
	// ViewArgs. What is not text is shown as its size, and what is stored
	// encrypted never, even if the queue has the key.
	ShowArgs bool
	// Redact, where it is set, has the last word on what is shown of args and
	// results.
	Redact func(kind string, data []byte) []byte
	// Manifest writes a job's spec, as YAML; nil writes it in stint's own
	// form. Package batchv1 has Kubernetes's. It gets a job without args where
	// these are hidden.
	Manifest func(*stint.Job) ([]byte, error)
	// Refresh is how often live pages look at the queues; 2 s by default, and
	// 100 ms at least.
	Refresh time.Duration
	// MaxStreams is how many live pages may be open at a time; 100 by default,
	// and negative for none. Others are shown without updates.
	MaxStreams int
	// Logger hears of what fails; nil discards.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Title = cmp.Or(c.Title, DefaultTitle)
	c.Refresh = max(cmp.Or(c.Refresh, DefaultRefresh), 100*time.Millisecond)
	c.MaxStreams = max(cmp.Or(c.MaxStreams, DefaultMaxStreams), 0)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
