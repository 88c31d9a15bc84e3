package stack

import (
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/construct"
)

// Assets holds the folders of what was built.
type Assets struct {
	// Functions has a folder for each boundary, and in it one for each function.
	Functions string
	// Site holds the built athlete UI.
	Site string
}

// Paceline holds the stacks of one stage.
type Paceline struct {
	Platform      *Platform
	Credentials   *Credentials
	Gathering     *Gathering
	AthletePlane  *AthletePlane
	ActivityPlane *ActivityPlane
	AthleteUI     *AthleteUI
}

// NewPaceline makes all stacks of a stage in the order of their deployment.
func NewPaceline(app awscdk.App, c config.Config, assets Assets) *Paceline {
	var p Paceline
	p.Platform = NewPlatform(app, "Platform", &PlatformProps{Config: c})
	boundary := func(name, folder string) *construct.Boundary {
		return &construct.Boundary{
			Name:      name,
			Config:    c,
			Functions: filepath.Join(assets.Functions, folder),
			Alarms:    p.Platform.Alarms,
		}
	}
	p.Credentials = NewCredentials(app, "Credentials", &CredentialsProps{
		Boundary: boundary("Credentials", "credentials"),
		Bus:      p.Platform.Bus,
		API:      p.Platform.API,
	})
	p.Gathering = NewGathering(app, "Gathering", &GatheringProps{
		Boundary:            boundary("Gathering", "gathering"),
		Bus:                 p.Platform.Bus,
		WebhookAPI:          p.Platform.WebhookAPI,
		Requester:           p.Credentials.Requester,
		SubscriptionChecker: p.Credentials.SubscriptionChecker,
	})
	p.AthletePlane = NewAthletePlane(app, "AthletePlane", &AthletePlaneProps{
		Boundary:          boundary("AthletePlane", "athlete"),
		Bus:               p.Platform.Bus,
		API:               p.Platform.API,
		SessionAuthorizer: p.Credentials.SessionAuthorizer,
	})
	p.ActivityPlane = NewActivityPlane(app, "ActivityPlane", &ActivityPlaneProps{
		Boundary:          boundary("ActivityPlane", "activity"),
		Bus:               p.Platform.Bus,
		API:               p.Platform.API,
		SessionAuthorizer: p.Credentials.SessionAuthorizer,
	})
	p.AthleteUI = NewAthleteUI(app, "AthleteUi", &AthleteUIProps{
		Config:     c,
		API:        p.Platform.API,
		WebhookAPI: p.Platform.WebhookAPI,
		Site:       assets.Site,
	})
	return &p
}

// newStack makes a stack whose resources cdk-nag checks: a finding that is not
// acknowledged on its construct fails the synthesis.
func newStack(scope constructs.Construct, id string, c config.Config, context, description string) awscdk.Stack {
	s := awscdk.NewStack(scope, jsii.String(c.Name()+"-"+id), &awscdk.StackProps{
		Description:           jsii.String(description),
		TerminationProtection: jsii.Bool(c.Removal == config.Retain),
	})
	for key, value := range map[string]string{"app": "paceline", "stage": string(c.Stage), "context": context} {
		awscdk.Tags_Of(s).Add(jsii.String(key), jsii.String(value), nil)
	}
	awscdk.Aspects_Of(s).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{
		Reports: jsii.Bool(false),
		Verbose: jsii.Bool(true),
	}), nil)
	return s
}

// output adds an output whose key is exactly key.
func output(s awscdk.Stack, key string, value *string, description string) {
	awscdk.NewCfnOutput(s, jsii.String(key), &awscdk.CfnOutputProps{Value: value, Description: jsii.String(description)})
}
