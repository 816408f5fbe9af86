package stint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stint-go/stint/internal/seal"
	"github.com/stint-go/stint/internal/store"
)

// Key encrypts what a queue keeps in Redis, with AES-256-GCM.
type Key struct {
	// ID stands, readable, with what the key encrypts; it is a word as the
	// names of queues, such as "2026-11".
	ID string
	// Secret is 32 random bytes.
	Secret SecretValue
}

// What decrypting can fail with. Errors name the key's ID at most.
var (
	// ErrNoKeys: the queue has no keys to encrypt with.
	ErrNoKeys = errors.New("stint: queue has no keys")
	// ErrUnknownKey: it is encrypted with a key that the queue does not have.
	ErrUnknownKey = errors.New("stint: encrypted with an unknown key")
	// ErrTampered: it does not open with the key that it names. It was
	// changed, or belongs to another place, or the key is not the one of that
	// ID.
	ErrTampered = errors.New("stint: encrypted data does not open")
	// ErrNotEncrypted: it should be encrypted and is not; see
	// [QueueConfig.AcceptPlain].
	ErrNotEncrypted = errors.New("stint: not encrypted")
)

// What is encrypted: the first part of the place that it is bound to.
const (
	sealedSecret     = "secret" // queue, secret, key
	sealedArgs       = "args"   // queue, kind, job; the job is "" where it was stored as plain
	sealedCron       = "cron"   // queue, kind, cron job
	sealedResult     = "result" // queue, kind, job, index
	sealedCheckpoint = "checkpoint"
)

// newRing checks the keys of a queue.
func newRing(cfg *QueueConfig) (*seal.Ring, error) {
	var v validation
	keys := make([]seal.Key, len(cfg.Keys))
	seen := map[string]bool{}
	for i, k := range cfg.Keys {
		field := fmt.Sprintf("keys[%d]", i)
		if !isWord(k.ID) {
			v.add(field+".id", FieldInvalid, k.ID, wordRule)
		}
		if seen[k.ID] {
			v.add(field+".id", FieldDuplicate, k.ID, "")
		}
		if n := len(k.Secret.Reveal()); n != seal.KeyBytes {
			v.add(field+".secret", FieldInvalid, n, fmt.Sprintf("must have %d bytes", seal.KeyBytes))
		}
		seen[k.ID] = true
		keys[i] = seal.Key{ID: k.ID, Secret: []byte(k.Secret.Reveal())}
	}
	if cfg.EncryptJobs && len(keys) == 0 {
		v.add("keys", FieldRequired, nil, "must be set with encryptJobs")
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	return seal.NewRing(keys)
}

// open decrypts, and gives errors their public names.
func (q *Queue) open(data []byte, place ...string) ([]byte, error) {
	text, err := q.ring.Open(data, place...)
	switch {
	case errors.Is(err, seal.ErrUnknownKey):
		return nil, fmt.Errorf("%w: %.64q", ErrUnknownKey, seal.KeyOf(data))
	case errors.Is(err, seal.ErrNoEnvelope):
		return nil, ErrNotEncrypted
	case err != nil:
		return nil, fmt.Errorf("%w: key %.64q", ErrTampered, seal.KeyOf(data))
	}
	return text, nil
}

// sealJob encrypts something of a job, if the queue does so.
func (q *Queue) sealJob(data []byte, place ...string) ([]byte, error) {
	if !q.cfg.EncryptJobs {
		return data, nil
	}
	return q.ring.Seal(data, place...)
}

// sealArgs encrypts the args of a job, if the queue does so; a plain one has no
// name.
func (q *Queue) sealArgs(args []byte, kind, name string) ([]byte, error) {
	if !q.cfg.EncryptJobs {
		return args, nil
	}
	return q.sealJob(args, q.argsPlace(kind, name)...)
}

// isOpen tells what is not encrypted, and need not be.
func (q *Queue) isOpen(data []byte) bool {
	return !seal.Is(data) && (!q.cfg.EncryptJobs || q.cfg.AcceptPlain)
}

// openJob decrypts something of a job. What is encrypted opens whether or not
// the queue encrypts.
func (q *Queue) openJob(data []byte, place ...string) ([]byte, error) {
	switch {
	case q.isOpen(data):
		return data, nil
	case !seal.Is(data):
		return nil, ErrNotEncrypted
	}
	return q.open(data, place...)
}

// overhead is how many bytes encryption adds to something of a job.
func (q *Queue) overhead() int {
	if !q.cfg.EncryptJobs || q.ring.Empty() {
		return 0
	}
	return q.ring.Overhead()
}

// argsPlace is what a job's args are bound to. The name of a plain job is not
// known before it is stored.
func (q *Queue) argsPlace(kind, name string) []string {
	if k, _, plain := store.SplitPlain(name); plain && k == kind {
		name = ""
	}
	return []string{sealedArgs, q.name, kind, name}
}

// indexPlace is what the result or checkpoint of an index is bound to.
func (q *Queue) indexPlace(what, kind, job string, index int) []string {
	return []string{what, q.name, kind, job, strconv.Itoa(index)}
}

// sums tell whether two jobs of one name are the same: by any of them, of which
// the first is kept. Encrypted args differ each time; so digests of the plain
// ones under the keys stand for them, and say nothing to others.
func (q *Queue) sums(kind string, args, spec []byte) string {
	plain := sumOf(kind, args, spec)
	keyed := q.ring.Digests([]byte(kind), args, spec)
	if !q.cfg.EncryptJobs {
		return strings.Join(append([]string{plain}, keyed...), " ")
	}
	if q.cfg.AcceptPlain {
		keyed = append(keyed, plain)
	}
	return strings.Join(keyed, " ")
}

// storedCron is a cron job as Redis keeps it.
type storedCron struct {
	CronJob
	Sealed []byte `json:"sealed,omitempty"` // in place of RawArgs
}

// cronData is the record of a cron job.
func (q *Queue) cronData(c *CronJob) ([]byte, error) {
	st := storedCron{CronJob: *c, Sealed: c.sealed}
	if q.cfg.EncryptJobs && c.sealed == nil {
		var err error
		if st.Sealed, err = q.sealJob(c.RawArgs, sealedCron, q.name, c.JobKind, c.Name); err != nil {
			return nil, err
		}
		st.RawArgs = nil
	}
	return json.Marshal(st)
}

// parseCron reads the record of a cron job. Args whose key the queue does not
// have stay sealed: all else can be done with the cron job.
func (q *Queue) parseCron(data []byte) (*CronJob, error) {
	var st storedCron
	if err := json.Unmarshal(data, &st); err != nil {
		return nil, err
	}
	c := &st.CronJob
	if st.Sealed == nil {
		_, err := q.openJob(c.RawArgs, sealedCron)
		return c, err
	}
	args, err := q.open(st.Sealed, sealedCron, q.name, c.JobKind, c.Name)
	if errors.Is(err, ErrUnknownKey) {
		c.sealed, err = st.Sealed, nil
	}
	if len(args) > 0 {
		c.RawArgs = args
	}
	return c, err
}
