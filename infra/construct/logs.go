package construct

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
)

var retention = map[int]awslogs.RetentionDays{
	1: awslogs.RetentionDays_ONE_DAY,
	3: awslogs.RetentionDays_THREE_DAYS,
	5: awslogs.RetentionDays_FIVE_DAYS,
	7: awslogs.RetentionDays_ONE_WEEK,
}

// NewLogGroup makes a log group with the stage's retention.
func NewLogGroup(scope constructs.Construct, id string, c config.Config) awslogs.LogGroup {
	days, ok := retention[c.LogRetentionDays]
	if !ok {
		panic(fmt.Sprintf("NewLogGroup: Config.LogRetentionDays: no retention of %d days", c.LogRetentionDays))
	}
	return awslogs.NewLogGroup(scope, jsii.String(id), &awslogs.LogGroupProps{
		Retention:     days,
		RemovalPolicy: RemovalPolicy(c),
	})
}
