package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stint-go/stint"
)

// begin submits what is there from the beginning.
func begin(ctx context.Context, media, mail *stint.Queue) error {
	jobs := []stint.NewJob{
		{Args: Census{2026}, Spec: stint.JobSpec{
			Name: "census-2026", Labels: map[string]string{"team": "data"}, CompletionMode: stint.Indexed, Completions: new(1_000_000), Parallelism: new(12),
			BackoffLimitPerIndex: new(0), MaxFailedIndexes: new(5000),
		}},
		{Args: Import{"ledger-2026"}, Spec: stint.JobSpec{
			Name: "import-ledger", Labels: map[string]string{"team": "finance", "env": "prod"}, CompletionMode: stint.Indexed, Completions: new(1500), Parallelism: new(6),
			BackoffLimitPerIndex: new(4), MaxFailedIndexes: new(60), Backoff: &stint.Backoff{Initial: 8 * time.Second, Max: time.Minute},
			FailurePolicy: &stint.FailurePolicy{Rules: []stint.FailureRule{{
				Action: stint.ActionFailIndex, OnCodes: &stint.CodesRule{Operator: stint.OperatorIn, Values: []int{65, 66}},
			}}},
		}},
		{Args: Transcode{"metropolis"}, Spec: stint.JobSpec{
			Name: "transcode-metropolis", Labels: map[string]string{"team": "film"}, CompletionMode: stint.Indexed, Completions: new(120), Parallelism: new(8),
		}},
		{Args: Upscale{"metropolis", "8k"}, Spec: stint.JobSpec{
			Name: "upscale-metropolis", Labels: map[string]string{"team": "film"}, CompletionMode: stint.Indexed, Completions: new(40), Parallelism: new(4),
		}},
		{Args: Thumbnail{"attic"}, Spec: stint.JobSpec{
			Name: "thumbnails-attic", Labels: map[string]string{"team": "photos"}, CompletionMode: stint.Indexed, Completions: new(300), Parallelism: new(10), Suspend: true,
		}},
		{Args: Thumbnail{"tomorrow"}, Spec: stint.JobSpec{Name: "thumbnails-tomorrow", Completions: new(50), Delay: 15 * time.Minute}},
		{Args: Import{"too-large"}, Spec: stint.JobSpec{
			Name: "import-too-large", CompletionMode: stint.Indexed, Completions: new(5000), Parallelism: new(2), BackoffLimitPerIndex: new(4), ActiveDeadline: new(40 * time.Second),
		}},
	}
	for _, j := range jobs { // of an earlier demo on the same Redis they may be there
		if _, err := media.Submit(ctx, j.Args, j.Spec); err != nil && !errors.Is(err, stint.ErrExists) {
			return err
		}
	}
	for _, c := range []stint.CronJob{
		{Name: "digest", Schedule: "@every 20s", Args: Report{"digest"}, SuccessfulJobsHistoryLimit: new(8)},
		{Name: "billing", Schedule: "@every 45s", Args: Report{"billing"}, FailedJobsHistoryLimit: new(5), ConcurrencyPolicy: stint.ForbidConcurrent},
		{Name: "nightly", Schedule: "30 2 * * 1-5", TimeZone: "Europe/Vienna", Args: Report{"nightly"}},
		{Name: "year-end", Schedule: "@yearly", Args: Report{"year-end"}, Suspend: true},
	} {
		if _, err := mail.ApplyCron(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// goOn submits more all the time.
func goOn(ctx context.Context, media, mail *stint.Queue) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for n := 0; ; n++ {
		if err := submit(ctx, media, mail, n); err != nil {
			return err
		}
		select {
		case <-second.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// submit is what the n-th second brings.
func submit(ctx context.Context, media, mail *stint.Queue, n int) error {
	var mails []stint.NewJob
	for range 1 + rand.IntN(5) {
		to := fmt.Sprintf("customer-%d@example.com", rand.IntN(5000))
		if rand.IntN(60) == 0 {
			to = "nobody@example.com"
		}
		mails = append(mails, stint.NewJob{Args: Email{to, "Your order"}, Spec: stint.JobSpec{
			TTLAfterFinished: new(2 * time.Minute), Backoff: &stint.Backoff{Initial: 5 * time.Second}, BackoffLimit: new(3),
		}})
	}
	if _, err := mail.SubmitMany(ctx, mails); err != nil {
		return err
	}
	const albums = 20 // seconds between them
	if n%albums != 0 {
		return nil
	}
	places := []string{"alps", "lisbon", "kyoto", "tromso", "oaxaca", "hanoi"}
	album := places[n/albums%len(places)]
	_, err := media.Submit(ctx, Thumbnail{album}, stint.JobSpec{
		Name: fmt.Sprintf("thumbnails-%s-%d", album, time.Now().Unix()), Labels: map[string]string{"team": "photos", "album": album},
		CompletionMode: stint.Indexed, Completions: new(60 + rand.IntN(200)), Parallelism: new(4 + rand.IntN(8)), BackoffLimit: new(12),
		Backoff: &stint.Backoff{Initial: 3 * time.Second}, TTLAfterFinished: new(10 * time.Minute),
	})
	return err
}
