package stint

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Role is what a program does with a queue, and so what its Redis user must
// be allowed to do; see [ACL].
type Role string

// The roles.
const (
	// RoleObserver reads: Get, List, Tasks, Errors, Results, Progress, Watch,
	// Wait, Explain, Stats, Workers, Health, Audit, GetCron, ListCron, and Get and
	// List of config maps and secrets.
	RoleObserver Role = "observer"
	// RoleProducer submits as well. It may not steer or take a job.
	RoleProducer Role = "producer"
	// RoleOperator steers as well: Update, Suspend, Resume, Scale, Evict,
	// Retry, Delete, and the verbs of cron jobs, config maps and secrets. It may
	// not take a task.
	RoleOperator Role = "operator"
	// RoleWorker runs workers and schedulers, and may do all that the others
	// may.
	RoleWorker Role = "worker"
)

// Roles are all of them, from the one that may least.
func Roles() []Role { return []Role{RoleObserver, RoleProducer, RoleOperator, RoleWorker} }

// What each role's calls and scripts need beyond the role before it; tests
// hold it against the scripts. Of keys they are those that are written: every
// role may read all keys of its queues.
var (
	aclCommands = map[Role]string{
		RoleObserver: "ping select readonly cluster|slots cluster|shards command client|setname eval_ro evalsha_ro time " +
			"bitcount exists get getbit getrange hexists hget hgetall hlen hmget hscan hvals llen pttl smembers " +
			"xinfo|consumers xlen xpending xrange xread xrevrange zcard zcount zrange zrangebylex zrangebyscore zmscore zscore",
		RoleProducer: "eval evalsha hdel hincrby hset lpush ltrim pexpire sadd set setnx unlink wait xadd xdel zadd zrem",
		RoleOperator: "del setbit strlen xack zremrangebyscore",
		RoleWorker:   "blpop info script|exists script|load setrange xgroup|create xgroup|delconsumer xreadgroup xtrim",
	}
	aclKeys = map[Role]string{
		RoleProducer: "bell:* ctl events job:* jobs kinds lanes late:* later:* layout ready:* sub:* timers waits",
		RoleOperator: "cron lacks:* object:* objects past:* steer",
		RoleWorker:   "*",
	}
	// aclSince are commands that 7.0 does not know: it refuses a user with one.
	aclSince = map[string]map[Role]string{"7.2": {RoleObserver: "client|setinfo", RoleProducer: "waitaof"}}
)

var (
	aclQueue   = regexp.MustCompile(`^[a-z0-9*?._-]{1,63}$`)
	aclVersion = regexp.MustCompile(`(\d+)\.(\d+)`)
)

// ACL gives the rules of a Redis user that has the least rights for a role at
// a queue, for ACL SETUSER: after the user's name, "on" and its password. The
// queue may be a pattern with * and ?, such as "media-*", or "*" for all. The
// version is the server's, such as "7.0.15" or "valkey 8.0.1"; "" suits every
// one from 7.0 on, and lacks what later ones have. Bad input is an
// [*InvalidError].
//
// What no role may do: [Queue.Audit], which goes over the key space; read or write another key, and any command that is not
// needed, those of administrators among them. Scripts are bound by the same
// rules. Whoever may run scripts may run any script within them: a producer
// that is not trusted can spoil the jobs of its own queues, so give those who
// must not meddle with each other queues of their own.
func ACL(role Role, queue, version string) ([]string, error) {
	var v validation
	known := slices.Index(Roles(), role)
	if known < 0 {
		v.add("role", FieldNotSupported, role, oneOf(Roles()))
	}
	if !aclQueue.MatchString(queue) {
		v.add("queue", FieldInvalid, queue, "must be the name of a queue, or a pattern of one with * and ?")
	}
	major, minor := 7, 0
	if m := aclVersion.FindStringSubmatch(version); m != nil {
		major, _ = strconv.Atoi(m[1])
		minor, _ = strconv.Atoi(m[2])
	} else if version != "" {
		v.add("version", FieldInvalid, version, "must be the version of a server, such as 7.2.4")
	}
	if major < 7 {
		v.add("version", FieldNotSupported, version, "must be 7.0 or later")
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	rules := []string{"resetkeys", "resetchannels", "clearselectors", "-@all"}
	prefix := "stint:{" + queue + "}:"
	rules = append(rules, "%R~"+prefix+"*")
	for _, r := range Roles()[:known+1] {
		for key := range strings.FieldsSeq(aclKeys[r]) {
			rules = append(rules, "%RW~"+prefix+key)
		}
		commands := aclCommands[r]
		if major > 7 || minor >= 2 {
			commands += " " + aclSince["7.2"][r]
		}
		for c := range strings.FieldsSeq(commands) {
			rules = append(rules, "+"+c)
		}
	}
	return rules, nil
}
