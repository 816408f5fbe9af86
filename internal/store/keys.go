package store

import "strconv"

// Every key of a queue is made here, and all of them share the hash tag
// {queue}, so that a queue is one slot of a cluster.
//
//	key             type    holds                                        written by             until
//	ready:<lane>    stream  runnable and leased tasks, group "w"         submit, sync           settled; the empty stream of a
//	                                                                                            kind stays, of others see lanes
//	bell:<lane>     list    at most one token: wakes an idle worker      submit, sync           taken
//	bell:~          list    a token: there is a new lane with requests   submit, cron           taken
//	bell:@<worker>  list    a token: the worker shuts down               wake                   taken, or a minute
//	job:<name>      hash    spec, rules, state, args, events of a job    submit, every verb     TTL or delete
//	job:<n>:done    string  bitmap of succeeded slots                    settle                 with the job
//	job:<n>:bad     string  bitmap of failed indexes                     settle                 with the job
//	job:<n>:tasks   hash    slot -> entry and counts of an active task   sync, settle           settled
//	job:<n>:ends    hash    entry -> slot, counts, cause: told to stop   sync, evict            settled
//	job:<n>:wait    zset    slot -> slot, or due time: to start again    sync, settle           started
//	job:<n>:data    hash    u: counts, r: result, c: checkpoint,
//	                        p: progress of a slot, e: its errors, T and
//	                        t: when how many ended                       settle, note           with the job
//	late:<kind>     hash    plain jobs that start later or again: id ->
//	                        what they are, or, started, @<entry>         submit, postpone       settled
//	later:<kind>    zset    id -> start, of those that wait for it       submit, postpone       ripen
//	timers          zset    <name>, cron/<name>, past/<name>,
//	                        lack/<object>, late/<kind> -> due            sync, cron, finish     done
//	jobs            zset    name -> created, of jobs with a record       submit, settle         with the job
//	cron            hash    name -> version and record of a cron job     cron                   deleted
//	beats           hash    worker -> beat and lease                     claim, renew           leave
//	worker:<id>     hash    a worker's last claim and what it says of
//	                        itself                                       claim, renew           leave, or a day
//	layout          string  version of all of this; see Layout           the first to write     stays
//	kinds           set     kinds that the queue has seen                submit, cron           stays
//	lanes           hash    lane with requests -> its unfinished jobs,
//	                        '' -> version                                submit, cron, finish   its last job finishes
//	sub:<id>        string  a submitter's last operation and its answer  submit                 ten minutes
//	past:<b>        hash    finished plain jobs that go together         finish                 forget
//	pasts           zset    <b> -> when it goes                          finish                 forget
//	stats:<kind>    hash    minute of the day -> minute and what ended   finish, settle         two days
//	waits           hash    plain jobs whose end somebody waits for      wait                   an hour at most
//	events          stream  what happened to jobs, about 10,000 entries  every verb             trimmed
//	ctl             stream  j: look at your tasks of a job; t: a timer;
//	                        c: an object has changed                     sync, evict, delete    trimmed at about 1,000
//	object:<id>     hash    a config map or secret, as config/app        object                 deleted
//	objects         zset    <id>, all with score 0                       object                 with the object
//	lacks:<id>      zset    jobs that wait for an object -> since when   park                   lift, or ten minutes
//	steer           -       nothing: declared by what steers jobs, so that
//	                        ACLs refuse it whole, before it has written  nobody                 never
type keys struct{ prefix string }

func newKeys(queue string) keys { return keys{"stint:{" + queue + "}:"} }

func (k keys) ready(lane string) string   { return k.prefix + "ready:" + lane }
func (k keys) bell(lane string) string    { return k.prefix + "bell:" + lane }
func (k keys) job(name string) string     { return k.prefix + "job:" + name }
func (k keys) done(name string) string    { return k.prefix + "job:" + name + ":done" }
func (k keys) bad(name string) string     { return k.prefix + "job:" + name + ":bad" }
func (k keys) tasks(name string) string   { return k.prefix + "job:" + name + ":tasks" }
func (k keys) ends(name string) string    { return k.prefix + "job:" + name + ":ends" }
func (k keys) wait(name string) string    { return k.prefix + "job:" + name + ":wait" }
func (k keys) data(name string) string    { return k.prefix + "job:" + name + ":data" }
func (k keys) timers() string             { return k.prefix + "timers" }
func (k keys) jobs() string               { return k.prefix + "jobs" }
func (k keys) cron() string               { return k.prefix + "cron" }
func (k keys) beats() string              { return k.prefix + "beats" }
func (k keys) worker(id string) string    { return k.prefix + "worker:" + id }
func (k keys) layout() string             { return k.prefix + "layout" }
func (k keys) kinds() string              { return k.prefix + "kinds" }
func (k keys) lanes() string              { return k.prefix + "lanes" }
func (k keys) submitter(id string) string { return k.prefix + "sub:" + id }
func (k keys) past(bucket string) string  { return k.prefix + "past:" + bucket }
func (k keys) late(kind string) string    { return k.prefix + "late:" + kind }
func (k keys) later(kind string) string   { return k.prefix + "later:" + kind }
func (k keys) pasts() string              { return k.prefix + "pasts" }
func (k keys) stats(kind string) string   { return k.prefix + "stats:" + kind }
func (k keys) waits() string              { return k.prefix + "waits" }
func (k keys) events() string             { return k.prefix + "events" }
func (k keys) ctl() string                { return k.prefix + "ctl" }
func (k keys) object(id string) string    { return k.prefix + "object:" + id }
func (k keys) objects() string            { return k.prefix + "objects" }
func (k keys) lacks(id string) string     { return k.prefix + "lacks:" + id }

// queue are the keys that every transition of a job is given first.
func (k keys) queue() []string {
	return []string{k.timers(), k.jobs(), k.events(), k.ctl(), k.waits()}
}

// record are the seven keys of a job.
func (k keys) record(name string) []string {
	job := k.job(name)
	return []string{job, job + ":done", job + ":bad", job + ":tasks", job + ":ends", job + ":wait", job + ":data"}
}

// transition are the keys of a script that changes one job, and more that it
// needs. Those of a job with requests end with laneKeys.
func (k keys) transition(name, lane string, more ...string) []string {
	all := append(make([]string, 0, 17), k.queue()...)
	all = append(all, k.record(name)...)
	all = append(append(all, k.ready(lane), k.bell(lane)), more...)
	if KindOf(lane) != lane {
		all = append(all, k.laneKeys()...)
	}
	return all
}

// steering are the keys of a script by which somebody changes a job.
func (k keys) steering(name, lane string) []string {
	return k.transition(name, lane, k.prefix+"steer")
}

// lateKeys adds those of plain jobs that start later, of each kind, and at last others.
func (k keys) lateKeys(keys []string, kinds []any, last ...string) []string {
	for _, kind := range kinds {
		keys = append(keys, k.late(kind.(string)), k.later(kind.(string))) //nolint:forcetypeassert // they are names
	}
	return append(keys, last...)
}

// laneKeys are the last keys of a script that may make or forget a lane with
// requests.
func (k keys) laneKeys() []string { return []string{k.lanes(), k.bell(NewLanes)} }

// bucket names the hash of finished plain jobs in which one goes that expires
// at a time, and says when the hash goes. A longer time to live has wider
// buckets, so that few of them exist at any time.
func bucket(expires, ttl int64) (name string, goes int64) {
	width := int64(60_000)
	for width*64 < ttl {
		width *= 2
	}
	n := expires/width + 1
	return strconv.FormatInt(width/60_000, 36) + "-" + strconv.FormatInt(n, 36), n * width
}
