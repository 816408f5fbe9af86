package store

import (
	"cmp"
	"context"
	_ "embed" // the scripts are files

	"github.com/redis/go-redis/v9"
)

// What several scripts share.
var (
	//go:embed lua/prelude.lua
	prelude string // every script can use it
	//go:embed lua/record.lua
	recordSrc string
	//go:embed lua/attempts.lua
	attemptsSrc string
	//go:embed lua/sync.lua
	syncSrc string
	//go:embed lua/putoff.lua
	putOffSrc string
	//go:embed lua/own.lua
	ownSrc string
)

// One variable and one file per transition; a missing file does not compile.
var (
	//go:embed lua/submit.lua
	submitSrc string
	//go:embed lua/enqueue.lua
	enqueueSrc string
	//go:embed lua/late.lua
	lateSrc string
	//go:embed lua/claim.lua
	claimSrc string
	//go:embed lua/finish.lua
	finishSrc string
	//go:embed lua/postpone.lua
	postponeSrc string
	//go:embed lua/settle.lua
	settleSrc string
	//go:embed lua/advance.lua
	advanceSrc string
	//go:embed lua/update.lua
	updateSrc string
	//go:embed lua/delete.lua
	deleteSrc string
	//go:embed lua/evict.lua
	evictSrc string
	//go:embed lua/retry.lua
	retrySrc string
	//go:embed lua/cron.lua
	cronSrc string
	//go:embed lua/due.lua
	dueSrc string
	//go:embed lua/ripen.lua
	ripenSrc string
	//go:embed lua/forget.lua
	forgetSrc string
	//go:embed lua/note.lua
	noteSrc string
	//go:embed lua/adopt.lua
	adoptSrc string
	//go:embed lua/heads.lua
	headsSrc string
	//go:embed lua/sweep.lua
	sweepSrc string
	//go:embed lua/renew.lua
	renewSrc string
	//go:embed lua/read.lua
	readSrc string
	//go:embed lua/held.lua
	heldSrc string
	//go:embed lua/leave.lua
	leaveSrc string
	//go:embed lua/object.lua
	objectSrc string
	//go:embed lua/park.lua
	parkSrc string
	//go:embed lua/lacking.lua
	lackingSrc string
	//go:embed lua/lift.lua
	liftSrc string
	//go:embed lua/memory.lua
	memorySrc string
	//go:embed lua/auditjob.lua
	auditJobSrc string
	//go:embed lua/auditstream.lua
	auditStreamSrc string
	//go:embed lua/auditlane.lua
	auditLaneSrc string
	//go:embed lua/audittimers.lua
	auditTimersSrc string
	//go:embed lua/auditlate.lua
	auditLateSrc string
	//go:embed lua/auditkeys.lua
	auditKeysSrc string
)

// jobSrc is what transitions of a job share.
var jobSrc = prelude + recordSrc + attemptsSrc + syncSrc

var (
	submitScript   = redis.NewScript(jobSrc + putOffSrc + submitSrc)
	settleScript   = redis.NewScript(jobSrc + settleSrc)
	advanceScript  = redis.NewScript(jobSrc + advanceSrc)
	updateScript   = redis.NewScript(jobSrc + updateSrc)
	deleteScript   = redis.NewScript(jobSrc + deleteSrc)
	evictScript    = redis.NewScript(jobSrc + evictSrc)
	retryScript    = redis.NewScript(jobSrc + retrySrc)
	cronScript     = redis.NewScript(jobSrc + cronSrc)
	adoptScript    = redis.NewScript(jobSrc + adoptSrc)
	enqueueScript  = redis.NewScript(enqueueSrc)
	lateScript     = redis.NewScript(prelude + putOffSrc + lateSrc)
	claimScript    = redis.NewScript(prelude + claimSrc)
	finishScript   = redis.NewScript(prelude + ownSrc + finishSrc)
	dueScript      = redis.NewScript(prelude + dueSrc)
	postponeScript = redis.NewScript(prelude + putOffSrc + ownSrc + postponeSrc)
	ripenScript    = redis.NewScript(prelude + ripenSrc)
	forgetScript   = redis.NewScript(prelude + forgetSrc)
	noteScript     = redis.NewScript(prelude + noteSrc)
	headsScript    = redis.NewScript(headsSrc)
	sweepScript    = redis.NewScript(sweepSrc)
	renewScript    = redis.NewScript(renewSrc)
	readScript     = redis.NewScript(readSrc)
	heldScript     = redis.NewScript(heldSrc)
	leaveScript    = redis.NewScript(leaveSrc)
	objectScript   = redis.NewScript(prelude + objectSrc)
	parkScript     = redis.NewScript(jobSrc + parkSrc)
	lackingScript  = redis.NewScript(lackingSrc)
	liftScript     = redis.NewScript(jobSrc + liftSrc)
	memoryScript   = redis.NewScript(jobSrc + memorySrc)

	// workScripts are those that work needs, on both sides.
	workScripts = []*redis.Script{
		claimScript, settleScript, finishScript, postponeScript, submitScript, enqueueScript, dueScript, advanceScript, ripenScript, renewScript,
		adoptScript,
	}

	auditJobScript    = redis.NewScript(auditJobSrc)
	auditStreamScript = redis.NewScript(auditStreamSrc)
	auditLaneScript   = redis.NewScript(auditLaneSrc)
	auditLateScript   = redis.NewScript(prelude + auditLateSrc)
	auditTimersScript = redis.NewScript(auditTimersSrc)
	auditKeysScript   = redis.NewScript(auditKeysSrc)
)

// LoadScripts has the nodes of stores read the scripts that they will need and
// do not have: the first call of each would wait a millisecond or more for that.
// Without it they are read then.
func LoadScripts(ctx context.Context, stores ...*Store) error {
	var failed error
	done := map[*redis.Client]bool{}
	for _, s := range stores {
		node, err := s.node(ctx)
		if node != nil && !done[node] {
			done[node] = true
			err = loadScripts(ctx, node)
		}
		failed = cmp.Or(failed, err)
	}
	return failed
}

func loadScripts(ctx context.Context, node *redis.Client) error {
	sums := make([]string, len(workScripts))
	for i, script := range workScripts {
		sums[i] = script.Hash()
	}
	known, err := node.ScriptExists(ctx, sums...).Result()
	for i, script := range workScripts {
		if err == nil && !known[i] {
			err = script.Load(ctx, node).Err()
		}
	}
	return err
}
