package local

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// As the CDK CLI 2.1148 and infra print it.
const deployOutput = `stage local lacks the event bus's archive: the local cloud does not know AWS::Events::Archive

✨  Synthesis time: 3.1s

Paceline-local-Platform: start: Building Paceline-local-Platform Template
Paceline-local-Platform: deploying... [1/2]
Paceline-local-Platform | 0/4 | 12:31:40 AM | REVIEW_IN_PROGRESS | AWS::CloudFormation::Stack | Paceline-local-Platform
Paceline-local-Platform | 3/4 | 12:31:40 AM | CREATE_COMPLETE | AWS::ApiGatewayV2::Api | Api (ApiF70053CD)

 ✅  Paceline-local-Platform

✨  Deployment time: 0.04s

Outputs:
Paceline-local-Platform.HttpApiId = 23fb8fc7

 ✅  Paceline-local-Credentials (no changes)
`

func TestStackWatchFollowsADeployment(t *testing.T) {
	var reports []string
	w := &stackWatch{report: func(note string) { reports = append(reports, note) }}
	for line := range strings.SplitSeq(deployOutput, "\n") {
		w.line(line)
	}
	if w.done != 2 || w.failure != "" {
		t.Errorf("%d stacks, failure %q", w.done, w.failure)
	}
	if want := []string{"Paceline-local-Platform 0/4", "Paceline-local-Platform 3/4"}; !reflect.DeepEqual(reports, want) {
		t.Errorf("reported %q", reports)
	}
	if len(w.omissions) != 1 || !strings.HasSuffix(w.omissions[0], "AWS::Events::Archive") {
		t.Errorf("omissions %q", w.omissions)
	}
}

func TestStackWatchKeepsTheFirstFailure(t *testing.T) {
	w := &stackWatch{report: func(string) {}}
	w.line("Paceline-local-Platform | 1/4 | 12:31:40 AM | CREATE_FAILED        | AWS::SQS::Queue | Queue (Queue4A7E3555) The queue exists")
	w.line(" ❌  Paceline-local-Platform failed: _ToolkitError: the stack failed")
	if w.failure != "AWS::SQS::Queue | Queue (Queue4A7E3555) The queue exists" {
		t.Errorf("failure is %q", w.failure)
	}
}

func TestADeploymentIsForgottenWithItsEmulator(t *testing.T) {
	c, _ := testCloud(t)
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mustStart(t, c.processes, shell(emulator, "sleep 1000"))
	given, err := c.lastDeployment()
	if err != nil || given.Inputs != "" || given.Bootstrapped {
		t.Fatalf("a new emulator has %+v, %v", given, err)
	}
	given.Bootstrapped, given.Inputs = true, "digest"
	if err := writeJSON(c.deploymentPath(), given); err != nil {
		t.Fatal(err)
	}
	if again, err := c.lastDeployment(); err != nil || !reflect.DeepEqual(again, given) {
		t.Errorf("the same emulator has %+v, %v", again, err)
	}
	if _, err := c.stop(t.Context(), emulator); err != nil {
		t.Fatal(err)
	}
	mustStart(t, c.processes, shell(emulator, "sleep 1000"))
	if another, err := c.lastDeployment(); err != nil || another.Bootstrapped || another.Inputs != "" {
		t.Errorf("another emulator has %+v, %v", another, err)
	}
}

func TestInputsChangeWithWhatIsDeployed(t *testing.T) {
	c, _ := testCloud(t)
	digest := func(contexts ...string) string {
		t.Helper()
		inputs, err := c.inputs(contexts)
		if err != nil {
			t.Fatal(err)
		}
		return inputs
	}
	for _, name := range []string{"cdk.json", "dist/infra", "dist/host/athlete/serve-api/bootstrap"} {
		before := digest("stage=local")
		if err := writeFile(filepath.Join(c.settings.Root, name), []byte("1"), 0o644); err != nil {
			t.Fatal(err)
		}
		if digest("stage=local") == before {
			t.Errorf("%s does not count", name)
		}
	}
	if digest("stage=local") == digest("stage=dev") {
		t.Error("the context does not count")
	}
	before := digest("stage=local")
	for _, name := range []string{"dist/strava-standin", "dist/fitbit-standin", "dist/lambda/athlete/serve-api/bootstrap"} {
		if err := writeFile(filepath.Join(c.settings.Root, name), []byte("1"), 0o644); err != nil {
			t.Fatal(err)
		}
		if digest("stage=local") != before {
			t.Errorf("%s counts although it is not deployed", name)
		}
	}
}

func TestAnOutputOfAStackIsFoundByItsKey(t *testing.T) {
	c, _ := testCloud(t)
	if err := writeFile(c.path("cdk-outputs.json"), []byte(`{"Paceline-local-Platform":{"HttpApiId":"23fb8fc7"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := c.stackOutput("Platform", "HttpApiId"); err != nil || got != "23fb8fc7" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := c.stackOutput("Platform", "Other"); err == nil {
		t.Error("an output that is not there was found")
	}
}
