// Command fitbit-standin serves the stand-in for Fitbit, package standin/fitbit.
//
//	fitbit-standin --addr localhost:9091
//
// It reads FITBIT_CLIENT_ID and FITBIT_CLIENT_SECRET from the environment.
// Without them it generates both; GET /control/secrets returns the secret.
package main
