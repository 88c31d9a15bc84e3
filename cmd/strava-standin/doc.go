// Command strava-standin serves the stand-in for Strava of standin/strava, or
// makes something happen in one that is running.
//
//	strava-standin --addr localhost:9090 [--history FILE | --seed N --athletes N]
//	strava-standin ctl [--url http://localhost:9090] VERB [--athlete ID] [--activity ID] [name=value ...]
//
// The environment sets STRAVA_CLIENT_ID, STRAVA_CLIENT_SECRET (generated
// otherwise, see /control/secrets), STRAVA_HISTORY and, for ctl, STRAVA_STANDIN_URL.
package main
