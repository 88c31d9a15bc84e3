package stack

import (
	"slices"

	"github.com/paceline/paceline/infra/config"
)

// Omission is a part that stage local goes without: left out of the templates,
// or taken by the local cloud and ignored.
type Omission struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

var (
	archive = Omission{
		What:   "the event bus's archive",
		Reason: "the local cloud does not know AWS::Events::Archive",
	}
	siteDeployment = Omission{
		What:   "the upload of the site to its bucket",
		Reason: "the local front door serves web/dist itself, so that a rebuilt page is there at once",
	}
)

// Omissions is all that stage local goes without.
var Omissions = []Omission{
	archive,
	siteDeployment,
	{
		What:   "the expiry of items in tables",
		Reason: "the local cloud takes TimeToLiveSpecification and ignores it",
	},
	{
		What:   "the HTTP API's access log",
		Reason: "the local cloud takes AccessLogSettings and ignores them",
	},
	{
		What:   "the HTTP API's rate limit",
		Reason: "the local cloud takes DefaultRouteSettings and ignores them",
	},
}

// leftOut tells whether a part is to be left out of the templates.
func leftOut(c config.Config, o Omission) bool {
	return c.Stage == config.Local && slices.Contains(Omissions, o)
}
