package handler

import (
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/kit/consume"
)

// EventRoutes are the events that the athlete plane consumes.
func EventRoutes(s *athlete.Service) []consume.Route {
	return []consume.Route{
		consume.On(s.AthleteGathered),
		consume.On(s.AthleteAuthorized),
		consume.On(s.AuthorizationDegraded),
		consume.On(s.AuthorizationRevoked),
		consume.On(s.AccountLinked),
		consume.On(s.AccountUnlinked),
		consume.On(s.ErasureReceiptIssued),
	}
}
