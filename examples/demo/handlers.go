package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stint-go/stint"
)

// The kinds of work. What they do is to wait, and now and then to fail.
type (
	// Thumbnail is small and quick, and each album has many.
	Thumbnail struct{ Album string }
	// Transcode takes its time and says how far it is.
	Transcode struct{ Film string }
	// Census has a million indexes: it will not be through today.
	Census struct{ Year int }
	// Import finds some of its files broken.
	Import struct{ Bucket string }
	// Upscale needs a worker that nobody runs.
	Upscale struct{ Film, Model string }
	// Email is one of many small jobs.
	Email struct{ To, Subject string }
	// Report is what cron jobs submit.
	Report struct{ Name string }
)

// Kind names the handler.
func (Thumbnail) Kind() string { return "thumbnail" }

// Kind names the handler.
func (Transcode) Kind() string { return "transcode" }

// Kind names the handler.
func (Census) Kind() string { return "census" }

// Kind names the handler.
func (Import) Kind() string { return "import" }

// Kind names the handler.
func (Upscale) Kind() string { return "upscale" }

// Kind names the handler.
func (Email) Kind() string { return "email" }

// Kind names the handler.
func (Report) Kind() string { return "report" }

// workers are three for the one queue and one for the other.
func workers(media, mail *stint.Queue) []*stint.Worker {
	cfg := stint.WorkerConfig{Concurrency: 16, ShutdownTimeout: -1, CancelTimeout: time.Second}
	all := []*stint.Worker{stint.NewWorker(media, cfg), stint.NewWorker(media, cfg), stint.NewWorker(media, cfg)}
	for i, w := range all {
		stint.Handle(w, thumbnail)
		stint.Handle(w, census)
		if i > 0 {
			stint.HandleResult(w, transcode)
			stint.Handle(w, importFile)
		}
	}
	cfg.Concurrency = 8
	mailer := stint.NewWorker(mail, cfg)
	stint.Handle(mailer, email)
	stint.Handle(mailer, report)
	return append(all, mailer)
}

func thumbnail(ctx context.Context, t *stint.Task[Thumbnail]) error {
	if err := busy(ctx, between(400*time.Millisecond, 2*time.Second)); err != nil {
		return err
	}
	if rand.IntN(40) == 0 {
		return fmt.Errorf("album %s: picture %d: connection reset by peer", t.Args.Album, t.Index)
	}
	return nil
}

func transcode(ctx context.Context, t *stint.Task[Transcode]) (string, error) {
	steps := 6 + rand.IntN(10)
	if t.Index%9 == 4 {
		steps *= 6 // a straggler
	}
	for i := range steps {
		if err := t.Progress(ctx, int64(i), int64(steps), fmt.Sprintf("chapter %d of %s", i/8+1, t.Args.Film)); err != nil {
			return "", err
		}
		if err := busy(ctx, between(400*time.Millisecond, 800*time.Millisecond)); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s-%03d.mp4", t.Args.Film, t.Index), nil
}

func census(ctx context.Context, t *stint.Task[Census]) error {
	if err := busy(ctx, between(50*time.Millisecond, 250*time.Millisecond)); err != nil {
		return err
	}
	if rand.IntN(200) == 0 {
		return stint.FailIndex(fmt.Errorf("household %d did not answer", t.Index))
	}
	return nil
}

func importFile(ctx context.Context, t *stint.Task[Import]) error {
	if err := busy(ctx, between(100*time.Millisecond, 700*time.Millisecond)); err != nil {
		return err
	}
	switch t.Index % 37 {
	case 11:
		return stint.FailIndex(stint.Code(65, fmt.Errorf("s3://%s/part-%05d: unexpected column \"amount\" in line %d", t.Args.Bucket, t.Index, rand.IntN(9000))))
	case 23:
		if t.Attempt < 3 {
			return errors.New("read timed out after 300ms")
		}
	case 31:
		if t.Attempt == 1 {
			panic("index out of range [3] with length 3")
		}
	}
	return nil
}

func email(ctx context.Context, t *stint.Task[Email]) error {
	if err := busy(ctx, between(40*time.Millisecond, 300*time.Millisecond)); err != nil {
		return err
	}
	switch rand.IntN(25) {
	case 0:
		return errors.New("421 4.7.0 Too many connections, try again later")
	case 1:
		return stint.RetryAfter(20*time.Second, errors.New("greylisted"))
	}
	if t.Args.To == "nobody@example.com" {
		return stint.FailJob(errors.New("550 5.1.1 mailbox does not exist"))
	}
	return nil
}

func report(ctx context.Context, t *stint.Task[Report]) error {
	if err := busy(ctx, between(2*time.Second, 6*time.Second)); err != nil {
		return err
	}
	if t.Args.Name == "billing" {
		return stint.FailJob(errors.New("relation \"invoices_2027\" does not exist"))
	}
	return nil
}

// busy stands for work.
func busy(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func between(low, high time.Duration) time.Duration { return low + rand.N(high-low) }
