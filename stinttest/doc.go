// Package stinttest is for the tests of applications that use stint.
//
//   - [New] is a Redis in the test's own process. It works inside
//     testing/synctest bubbles, too.
//   - [RequireSubmitted] looks at what was submitted, by kind, args and labels.
//   - [Server.Run] gives a handler one task, with the index, attempt and
//     checkpoint that the test wants.
//   - [Server.Drain] works on all there is, over backoffs and delays, and
//     comes back when nothing is left; [Server.Start] works beside the test.
//   - [Server.Advance] moves time.
//   - [Server.LoseLease], [FailAttempt], [Server.DeliverTwice],
//     [Server.DropReplies] and their neighbours do harm.
//   - [Server.AssertIdempotent] takes a handler's lease away at each point at
//     which the handler can notice, and runs it again.
//
// All of it goes through the engine that the application uses: a task is a
// task of a job in a queue, and what the test sees is what Redis says. All
// that a Server starts ends with the test. Failures end the test, as Fatal
// does, unless a func says otherwise; so call them in the test's goroutine.
package stinttest
