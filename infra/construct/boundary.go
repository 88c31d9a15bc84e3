package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/paceline/paceline/infra/config"
)

// Boundary holds what all constructs of one boundary share.
type Boundary struct {
	// Name is the prefix of the titles of the boundary's alarms, such as "Gathering".
	Name   string
	Config config.Config
	// Functions is the folder of the boundary's built functions. It holds a folder
	// for each function, with the file bootstrap.
	Functions string
	// Alarms is the topic that alarms notify.
	Alarms awssns.ITopic
}

// RemovalPolicy returns the removal policy of the stage's stateful resources.
func RemovalPolicy(c config.Config) awscdk.RemovalPolicy {
	if c.Removal == config.Retain {
		return awscdk.RemovalPolicy_RETAIN
	}
	return awscdk.RemovalPolicy_DESTROY
}
