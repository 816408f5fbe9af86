// Package browsertest tests the dashboard in a real browser, headless
// Chromium. It is a module of its own, so that nobody who uses the dashboard
// gets what drives the browser.
package browsertest
