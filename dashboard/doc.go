// Package dashboard shows queues in a browser, and steers them where it is
// allowed to. It is an [http.Handler] that an application mounts under any
// path:
//
//	board := dashboard.New([]*stint.Queue{media, mail}, dashboard.Config{})
//	mux.Handle("/jobs/", http.StripPrefix("/jobs", board))
//
// It is read-only unless [Config.Writable] is set, and asks [Config.Authorize]
// before everything that it shows or does. It has no users and no log-in of its
// own: put it behind those of the application. The args of jobs are hidden
// unless [Config.ShowArgs] is set.
//
// All pages are HTML made here, with style sheet and scripts embedded: nothing
// is fetched from elsewhere, and without scripts everything but the live
// updates and the map of indexes works. What is read from Redis for a page is
// bounded, and live pages are made anew no more often than [Config.Refresh].
package dashboard
