// Package fitbit speaks to the Fitbit Web API on behalf of the credentials
// boundary. Fitbit's authorization server is one of package provider's.
//
// Google announced the end of the Fitbit Web API and of its OAuth endpoints for
// 2 November 2026, in favour of the Google Health API (Google Health API,
// Migration guide). A stage whose fitbit settings name the real Fitbit depends
// on that date.
package fitbit
