// Package strava reads Strava through the requester, the credentials boundary's
// exported function, and decodes what comes back.
//
// The decoder is an allow-list: what Paceline does not keep (coordinates,
// polylines, places, and everything else) is not read into anything. It takes
// numbers leniently, because Strava's answers hold floats where its
// specification says integer.
package strava
