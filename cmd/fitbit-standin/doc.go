// Command fitbit-standin serves the stand-in for Fitbit of standin/fitbit.
//
//	fitbit-standin --addr localhost:9091
//
// The environment sets FITBIT_CLIENT_ID and FITBIT_CLIENT_SECRET (generated
// otherwise, see /control/secrets).
package main
