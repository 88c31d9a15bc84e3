package stack

import (
	"slices"

	"github.com/paceline/paceline/infra/config"
)

// Omission is a part that stage local lacks: the templates omit it, or the local
// cloud accepts and ignores it.
type Omission struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

var (
	archive = Omission{
		What:   "the event bus's archive",
		Reason: "the local cloud does not support AWS::Events::Archive",
	}
	siteDeployment = Omission{
		What:   "the upload of the site to its bucket",
		Reason: "the edge proxy serves web/dist itself, so a rebuilt page appears at once",
	}
)

// Omissions are all parts that stage local lacks.
var Omissions = []Omission{
	archive,
	siteDeployment,
	{
		What:   "the expiry of items in tables",
		Reason: "the local cloud ignores TimeToLiveSpecification",
	},
	{
		What:   "the HTTP API's access log",
		Reason: "the local cloud ignores AccessLogSettings",
	},
	{
		What:   "the HTTP API's rate limit",
		Reason: "the local cloud ignores DefaultRouteSettings",
	},
}

// omits reports whether the templates of a stage omit a part.
func omits(c config.Config, o Omission) bool {
	return c.Stage == config.Local && slices.Contains(Omissions, o)
}
