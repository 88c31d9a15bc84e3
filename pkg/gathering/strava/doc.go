// Package strava reads Strava through the requester, the credentials boundary's
// exported function, and decodes the answers.
//
// The decoder is an allow-list: it reads nothing that Paceline does not keep,
// such as coordinates, polylines and places. It is lenient, because Strava's
// answers hold floats where its specification says integer, and because one odd
// member must not cost an activity. It leaves out members that it cannot read,
// and counts those of lists. Only an activity's id and start are essential.
package strava
