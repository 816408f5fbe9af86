package dashboard

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/seal"
)

// jobData is a job's page.
type jobData struct {
	jobRow

	Why        stint.Explanation
	Budgets    []budget
	Forecast   forecast
	Burn       chart
	Groups     []stint.ErrorGroup
	GroupsPart bool // there are more
	Longest    []longRow
	Mean       time.Duration // of an attempt of the kind
	Crew       []crewRow
	Events     []stint.JobEvent
	Progress   []progressRow
	YAML       string
	Args       shown
	Slots      int // that the map of indexes has
}

func (d *jobData) title() string { return d.Name }

// shown is args or a result, as far as they may be seen.
type shown struct {
	Text   string
	Hidden bool
}

// progressRow is what a running handler says.
type progressRow struct{ stint.IndexProgress }

// Percent is how much is done, of those who tell a total.
func (r progressRow) Percent() int {
	return int(max(0, min(100, 100*float64(r.Done)/float64(max(1, r.Total)))))
}

// longRow is an active attempt.
type longRow struct {
	stint.TaskInfo

	Age       time.Duration
	Share     int // of the longest, in percent
	Straggler bool
}

// crewRow is a worker's part in a job.
type crewRow struct {
	Worker         string
	Active, Failed int
}

func (b *board) job(in *request) (any, error) {
	q := in.queue
	j, err := b.readJob(in)
	if err != nil {
		return nil, err
	}
	d := &jobData{jobRow: rowOf(q.Name(), j), Slots: slotsOf(j)}
	if !j.Finished() {
		if d.Why, err = q.Explain(in.ctx(), in.name); err != nil {
			return nil, err
		}
	}
	if d.Events, err = q.Events(in.ctx(), in.name); err != nil {
		return nil, err
	}
	d.Budgets = budgetsOf(j)
	if err := b.jobPace(in, d); err != nil {
		return nil, err
	}
	if err := b.jobFailures(in, d); err != nil {
		return nil, err
	}
	if err := b.jobTasks(in, d); err != nil {
		return nil, err
	}
	if d.Args = b.show(in, j.Kind, j.Args); j.Encrypted && !d.Args.Hidden {
		d.Args.Text = encrypted
	}
	d.YAML, err = b.manifest(in, j)
	return d, err
}

// readJob reads a job, or has it from a moment ago.
func (b *board) readJob(in *request) (*stint.Job, error) {
	return cached(&b.cache, "job "+in.queue.Name()+" "+in.name, b.cfg.Refresh/2, func() (*stint.Job, error) {
		return in.queue.Get(in.ctx(), in.name)
	})
}

// slotsOf is how many indexes or slots a job has.
func slotsOf(j *stint.Job) int {
	if j.Spec.Completions != nil {
		return *j.Spec.Completions
	}
	return *j.Spec.Parallelism
}

func (b *board) jobPace(in *request, d *jobData) error {
	points, err := cached(&b.cache, "pace "+d.Queue+" "+d.Name, b.cfg.Refresh/2, func() ([]stint.PacePoint, error) {
		return in.queue.Pace(in.ctx(), in.name)
	})
	if err != nil {
		return err
	}
	d.Forecast = forecastOf(d.Job, points, time.Now())
	d.Burn = burnUp(d.Job, points, d.Forecast, time.Now())
	return nil
}

type groupsRead struct {
	groups []stint.ErrorGroup
	whole  bool
}

func (b *board) jobFailures(in *request, d *jobData) error {
	if d.Status.LastError == "" {
		return nil
	}
	read, err := cached(&b.cache, "groups "+d.Queue+" "+d.Name, 2*b.cfg.Refresh, func() (groupsRead, error) {
		groups, whole, err := in.queue.ErrorGroups(in.ctx(), in.name)
		return groupsRead{groups, whole}, err
	})
	const most = 20
	d.Groups, d.GroupsPart = read.groups[:min(len(read.groups), most)], !read.whole || len(read.groups) > most
	return err
}

// jobTasks looks at the active attempts: who has them, and which take long.
func (b *board) jobTasks(in *request, d *jobData) error {
	crew := map[string]*crewRow{}
	of := func(worker string) *crewRow {
		if crew[worker] == nil {
			crew[worker] = &crewRow{Worker: worker}
		}
		return crew[worker]
	}
	for _, g := range d.Groups {
		for w, n := range g.Workers {
			of(w).Failed += n
		}
	}
	if !d.Finished() {
		if err := b.activeTasks(in, d, func(w string) { of(w).Active++ }); err != nil {
			return err
		}
	}
	for _, row := range crew {
		d.Crew = append(d.Crew, *row)
	}
	slices.SortFunc(d.Crew, func(a, b crewRow) int {
		return cmp.Or(b.Active-a.Active, b.Failed-a.Failed, strings.Compare(a.Worker, b.Worker))
	})
	d.Crew = d.Crew[:min(len(d.Crew), 50)]
	return nil
}

func (b *board) activeTasks(in *request, d *jobData, each func(worker string)) error {
	tasks, err := cached(&b.cache, "tasks "+d.Queue+" "+d.Name, b.cfg.Refresh/2, func() ([]stint.TaskInfo, error) {
		return in.queue.Tasks(in.ctx(), in.name)
	})
	if err != nil {
		return err
	}
	points, err := b.points(in, in.queue)
	if err != nil {
		return err
	}
	d.Mean = meanRun(points, d.Kind)
	now := time.Now()
	for _, t := range tasks {
		if t.Worker != "" {
			each(t.Worker)
			d.Longest = append(d.Longest, longRow{TaskInfo: t, Age: max(0, now.Sub(t.ReadyAt))})
		}
	}
	slices.SortStableFunc(d.Longest, func(a, b longRow) int { return cmp.Compare(b.Age, a.Age) })
	d.Longest = d.Longest[:min(len(d.Longest), 10)]
	const slow = 3 // times the mean, and not a matter of seconds
	for i := range d.Longest {
		row := &d.Longest[i]
		row.Share = int(100 * row.Age / max(1, d.Longest[0].Age))
		row.Straggler = d.Mean > 0 && row.Age > slow*d.Mean && row.Age > 5*time.Second
	}
	progress, err := b.progressOf(in, d)
	d.Progress = progress
	return err
}

// progressOf reads what some of the running handlers say.
func (b *board) progressOf(in *request, d *jobData) ([]progressRow, error) {
	const most = 20
	var out []progressRow
	for p, err := range in.queue.Progress(in.ctx(), d.Name) {
		if err != nil {
			return nil, err
		}
		if out = append(out, progressRow{p}); len(out) == most {
			break
		}
	}
	slices.SortFunc(out, func(a, b progressRow) int { return a.Index - b.Index })
	return out, nil
}

// budget is how much of a limit is used up.
type budget struct {
	Name, Detail string
	Used, Limit  int
	Share        int // in percent
}

func budgetsOf(j *stint.Job) []budget {
	var out []budget
	add := func(name, detail string, used int, limit *int) {
		if limit != nil && *limit < 1<<31-1 {
			b := budget{Name: name, Detail: detail, Used: used, Limit: *limit}
			b.Share = min(100, 100*used/max(1, *limit))
			out = append(out, b)
		}
	}
	add("Failed attempts", "backoffLimit: one more fails the job", j.Status.Failed, j.Spec.BackoffLimit)
	if j.Spec.BackoffLimitPerIndex != nil {
		add("Failed indexes", "maxFailedIndexes: one more fails the job", indexCount(j.Status.FailedIndexes), j.Spec.MaxFailedIndexes)
	}
	return out
}

// indexCount counts the indexes of a text such as "1,3-5,7".
func indexCount(text string) int {
	n := 0
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		switch {
		case part == "":
		case isRange:
			n += atoi(last) - atoi(first) + 1
		default:
			n++
		}
	}
	return n
}

// show is what the user may see of args or a result.
func (b *board) show(in *request, kind string, data []byte) shown {
	queue := in.queue.Name()
	if !in.may(ViewArgs, queue, in.name) {
		return shown{Hidden: true}
	}
	if b.cfg.Redact != nil && !seal.Is(data) {
		data = b.cfg.Redact(kind, data)
	}
	return shown{Text: printable(data)}
}

// manifest is a job's spec as YAML.
func (b *board) manifest(in *request, j *stint.Job) (string, error) {
	seen := *j
	if j.Encrypted || !in.may(ViewArgs, in.queue.Name(), in.name) {
		seen.Args = nil
	} else if b.cfg.Redact != nil {
		seen.Args = b.cfg.Redact(j.Kind, j.Args)
	}
	seen.Spec.Annotations = maps.Clone(j.Spec.Annotations)
	if b.cfg.Manifest != nil {
		text, err := b.cfg.Manifest(&seen)
		return string(text), err
	}
	return manifestOf(&seen)
}

// why is a fragment that tells why a job waits.
func (b *board) why(in *request) (any, error) {
	return in.queue.Explain(in.ctx(), in.name)
}

// indexData is the page of one index.
type indexData struct {
	Job  *stint.Job
	Info stint.IndexInfo

	Result, Checkpoint shown
	Queue              string
}

func (d *indexData) title() string { return d.Job.Name + " / " + number(d.Info.Index) }

// Prev and Next are the indexes beside it.
func (d *indexData) Prev() int { return d.Info.Index - 1 }

// Next is the one after it.
func (d *indexData) Next() int { return (d.Info.Index + 1) % slotsOf(d.Job) }

func (b *board) index(in *request) (any, error) {
	i, err := wholeNumber(in.URL.Query().Get("i"), "i")
	if err != nil {
		return nil, err
	}
	j, err := b.readJob(in)
	if err != nil {
		return nil, err
	}
	info, err := in.queue.Index(in.ctx(), in.name, i)
	if err != nil {
		return nil, err
	}
	return &indexData{
		Job: j, Info: info, Queue: in.queue.Name(), Result: b.show(in, j.Kind, info.Result), Checkpoint: b.show(in, j.Kind, info.Checkpoint),
	}, nil
}
