package sim

import (
	"slices"
	"strings"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/standin/strava"
)

// remote are the ports behind which is another function or a provider. The
// failures of these are those of the function, the network and the provider.
var remote = []string{
	"credentials.OAuth", "credentials.API", "credentials.Push", "credentials.ReadToday", "gathering.Strava", "gathering.CheckSubscription",
}

// catalogue returns the failures that each place may have. Coverage is counted
// against it.
func catalogue() map[string][]kind {
	c := map[string][]kind{"webhook": webhookKinds}
	for boundary, ports := range map[string]any{
		"credentials": credentials.Ports{}, "gathering": gathering.Ports{}, "athlete": athlete.Ports{}, "activity": activity.Ports{},
	} {
		for _, op := range kittest.Operations(ports, boundary) {
			if !slices.ContainsFunc(remote, func(port string) bool { return strings.HasPrefix(op, port) }) {
				c[op] = kindsOf(op)
			}
		}
	}
	for _, op := range inParts {
		c[op+kittest.Part] = kindsOf(op + kittest.Part)
	}
	for name := range builders {
		c["lambda "+name] = []kind{throttle, coldStart, cut}
	}
	for _, u := range []string{stravaURL, fitbitURL, siteURL} {
		c["network "+host(u)] = networkKinds
	}
	for _, e := range []string{
		strava.EndpointExchange, strava.EndpointRefresh, strava.EndpointRevoke, strava.EndpointAthlete,
		strava.EndpointActivities, strava.EndpointActivity, strava.EndpointPush,
	} {
		c["strava "+e] = stravaKinds(e)
	}
	addCloud(c)
	return c
}
