package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/paceline/paceline/infra/config"
)

// Boundary is what all constructs of one boundary share.
type Boundary struct {
	// Name begins the names of the boundary's alarms, e.g. "Gathering".
	Name   string
	Config config.Config
	// Functions is the folder of the boundary's built functions: each has
	// one of its own in there, with the file bootstrap in it.
	Functions string
	// Alarms is where alarms go.
	Alarms awssns.ITopic
}

// RemovalPolicy of everything stateful of the stage.
func RemovalPolicy(c config.Config) awscdk.RemovalPolicy {
	if c.Removal == config.Retain {
		return awscdk.RemovalPolicy_RETAIN
	}
	return awscdk.RemovalPolicy_DESTROY
}
