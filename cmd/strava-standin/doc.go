// Command strava-standin serves the stand-in for Strava, package standin/strava,
// or controls one that is running.
//
//	strava-standin --addr localhost:9090 [--history FILE | --seed N --athletes N]
//	strava-standin ctl [--url http://localhost:9090] COMMAND [--athlete ID] [--activity ID] [name=value ...]
//
// It reads STRAVA_CLIENT_ID, STRAVA_CLIENT_SECRET and STRAVA_HISTORY from the
// environment, and STRAVA_STANDIN_URL for ctl. Without an id or a secret it
// generates one; GET /control/secrets returns the secret.
package main
