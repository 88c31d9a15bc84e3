package handler

import (
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/kit/consume"
)

// EventRoutes returns the routes of the events that the activity plane
// consumes.
func EventRoutes(r *activity.Recorder) []consume.Route {
	return []consume.Route{
		consume.On(r.ActivitiesGathered),
		consume.On(r.ActivityGone),
		consume.On(r.ScanProgressed),
		consume.On(r.AthleteAuthorized),
		consume.On(r.AuthorizationDegraded),
		consume.On(r.AuthorizationRevoked),
	}
}
