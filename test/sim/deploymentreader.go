package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// deploymentReader makes a deployment of templates, and collects what it does
// not understand.
type deploymentReader struct {
	templates
	sources string
	// names are those by which the deployment knows resources. An integration and
	// an authorizer have the name of their function.
	names map[resourceID]string
	// deadLetters are the queues of dead letters by the queue that they belong to.
	deadLetters map[resourceID]resourceID
	deployment  *deployment
	errs        []error
}

// ignoredTypes are the types of resources that the simulation does not play:
// what they do is played by the in-memory adapters, or affects no request.
var ignoredTypes = []string{
	"AWS::CloudWatch::Dashboard", "AWS::DynamoDB::Table",
	"AWS::IAM::Policy", "AWS::IAM::Role", "AWS::KMS::Alias", "AWS::KMS::Key", "AWS::Lambda::Permission",
	"AWS::Logs::LogGroup", "AWS::Logs::MetricFilter", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy",
	"AWS::SQS::QueuePolicy", "AWS::ApiGatewayV2::Stage",
}

// read reads all resources, each type after those to which it refers.
func (r *deploymentReader) read() {
	known := slices.Clone(ignoredTypes)
	for _, step := range []struct {
		kind string
		read func(resourceID) error
	}{
		{"AWS::Lambda::Function", r.function},
		{"AWS::Lambda::EventInvokeConfig", r.invokeConfig},
		{"AWS::SQS::Queue", r.queue},
		{"AWS::Lambda::EventSourceMapping", r.mapping},
		{"AWS::Events::EventBus", r.bus},
		{"AWS::Events::Rule", r.rule},
		{"AWS::Events::Archive", r.archive},
		{"AWS::Scheduler::Schedule", r.schedule},
		{"AWS::ApiGatewayV2::Api", r.api},
		{"AWS::ApiGatewayV2::Authorizer", r.authorizer},
		{"AWS::ApiGatewayV2::Integration", r.integration},
		{"AWS::ApiGatewayV2::Route", r.route},
		{"AWS::CloudWatch::Alarm", r.alarm},
	} {
		known = append(known, step.kind)
		for _, id := range r.all() {
			if r.resource(id).Type == step.kind {
				r.check(id, step.read(id))
			}
		}
	}
	for _, id := range r.all() {
		if kind := r.resource(id).Type; !slices.Contains(known, kind) {
			r.check(id, fmt.Errorf("type %s is unknown", kind))
		}
	}
	for name, q := range r.deployment.queues {
		if q.reader == "" {
			r.errs = append(r.errs, fmt.Errorf("no function reads queue %s", name))
		}
	}
}

// check notes an error about a resource.
func (r *deploymentReader) check(id resourceID, err error) {
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", id, err))
	}
}

// properties decodes the properties of a resource.
func (r *deploymentReader) properties(id resourceID, into any) error {
	return decodeStrictly(r.resource(id).Properties, into)
}

// nameOf returns the name of the resource that a reference in the same stack as
// id means.
func (r *deploymentReader) nameOf(id resourceID, ref reference) (string, error) {
	to, err := r.resolve(id.stack, ref)
	if err != nil {
		return "", err
	}
	name, ok := r.names[to]
	if !ok {
		return "", fmt.Errorf("%s is a reference to %s, which was not expected here", ref, to)
	}
	return name, nil
}

// boundary returns the boundary that a resource's tags name.
func boundary(tags []templateTag) string {
	for _, t := range tags {
		if t.Key == "context" {
			return t.Value
		}
	}
	return ""
}

// templateTag is a tag of a resource.
type templateTag struct{ Key, Value string }

// idHash matches the hash that the CDK adds to an id.
var idHash = regexp.MustCompile(`[0-9A-F]{8}$`)

// function reads a Lambda function. Its id has the name of its folder, without
// hyphens.
func (r *deploymentReader) function(id resourceID) error {
	var p struct {
		Tags                         []templateTag
		Timeout                      int
		ReservedConcurrentExecutions int

		Architectures, Code, Description, Environment, Handler, LoggingConfig, MemorySize any
		RecursiveLoop, Role, Runtime                                                      any
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	folders, err := os.ReadDir(filepath.Join(r.sources, boundary(p.Tags)))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if strings.ReplaceAll(folder.Name(), "-", "")+"Function" == idHash.ReplaceAllString(id.id, "") {
			name := boundary(p.Tags) + "/" + folder.Name()
			r.names[id] = name
			r.deployment.functions[name] = functionSpec{name, seconds(p.Timeout), p.ReservedConcurrentExecutions}
			return nil
		}
	}
	return fmt.Errorf("no folder below functions/%s has the sources", boundary(p.Tags))
}

// invokeConfig checks that Lambda does not repeat asynchronous invocations.
func (r *deploymentReader) invokeConfig(id resourceID) error {
	var p struct {
		FunctionName             reference
		MaximumEventAgeInSeconds int
		MaximumRetryAttempts     *int
		Qualifier                string
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	if p.MaximumRetryAttempts == nil || *p.MaximumRetryAttempts != 0 {
		return errors.New("invocations are repeated")
	}
	_, err := r.nameOf(id, p.FunctionName)
	return err
}

// queue reads a queue. One without a redrive policy holds dead letters, and the
// queue to which it belongs describes it.
func (r *deploymentReader) queue(id resourceID) error {
	var p struct {
		MessageRetentionPeriod int
		VisibilityTimeout      int
		RedrivePolicy          struct {
			DeadLetterTargetArn reference
			MaxReceiveCount     int
		}
		Tags []templateTag
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	if p.RedrivePolicy.DeadLetterTargetArn == nil {
		return nil
	}
	deadLetters, err := r.resolve(id.stack, p.RedrivePolicy.DeadLetterTargetArn)
	if err != nil {
		return err
	}
	r.deadLetters[id] = deadLetters
	name := boundary(p.Tags) + "/" + idHash.ReplaceAllString(id.id, "")
	r.names[id] = name
	r.deployment.queues[name] = &queueSpec{
		name:        name,
		visibility:  seconds(p.VisibilityTimeout),
		retention:   seconds(p.MessageRetentionPeriod),
		maxReceives: p.RedrivePolicy.MaxReceiveCount,
	}
	return nil
}

// mapping reads the mapping by which a function reads a queue.
func (r *deploymentReader) mapping(id resourceID) error {
	var p struct {
		EventSourceArn, FunctionName   reference
		FunctionResponseTypes          []string
		BatchSize                      int
		MaximumBatchingWindowInSeconds int
		ScalingConfig                  struct{ MaximumConcurrency int }
		Tags                           any
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	name, err1 := r.nameOf(id, p.EventSourceArn)
	reader, err2 := r.nameOf(id, p.FunctionName)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	q := r.deployment.queues[name]
	switch {
	case q == nil:
		return fmt.Errorf("%s is no queue", name)
	case q.reader != "":
		return fmt.Errorf("queue %s has two readers", name)
	case !slices.Equal(p.FunctionResponseTypes, []string{"ReportBatchItemFailures"}):
		return fmt.Errorf("response types %v are unknown", p.FunctionResponseTypes)
	}
	q.reader = reader
	q.batchSize = p.BatchSize
	q.batchWindow = seconds(p.MaximumBatchingWindowInSeconds)
	q.maxConcurrency = p.ScalingConfig.MaximumConcurrency
	return nil
}

// bus notes the one event bus.
func (r *deploymentReader) bus(id resourceID) error {
	r.names[id] = "bus"
	return nil
}

// rule reads a rule of the bus, which must have one queue as its target.
func (r *deploymentReader) rule(id resourceID) error {
	var p struct {
		EventBusName reference
		EventPattern struct {
			Source     []string
			DetailType []string `json:"detail-type"`
		}
		State   string
		Tags    any
		Targets []struct {
			Arn              reference
			DeadLetterConfig struct{ Arn reference }
			ID               string `json:"Id"`
		}
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	bus, err := r.nameOf(id, p.EventBusName)
	if err != nil {
		return err
	}
	if bus != "bus" || p.State != "ENABLED" || len(p.EventPattern.Source) != 1 || len(p.Targets) != 1 {
		return errors.New("the rule is not one of the bus, enabled, with one source and one target")
	}
	queue, err1 := r.resolve(id.stack, p.Targets[0].Arn)
	name, err2 := r.nameOf(id, p.Targets[0].Arn)
	deadLetters, err3 := r.resolve(id.stack, p.Targets[0].DeadLetterConfig.Arn)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if r.deployment.queues[name] == nil || r.deadLetters[queue] != deadLetters {
		return fmt.Errorf("%s is no queue with the dead letters %s", name, deadLetters)
	}
	r.deployment.rules = append(r.deployment.rules, ruleSpec{p.EventPattern.Source[0], p.EventPattern.DetailType, name})
	return nil
}

// archive reads the archive of the bus.
func (r *deploymentReader) archive(id resourceID) error {
	var p struct {
		EventPattern struct {
			Source     []struct{ Prefix string }
			DetailType []struct {
				AnythingBut []string `json:"anything-but"`
			} `json:"detail-type"`
		}
		RetentionDays                            int
		SourceArn, Description, KMSKeyIdentifier any
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	if len(p.EventPattern.Source) != 1 || p.EventPattern.Source[0].Prefix != "paceline." || len(p.EventPattern.DetailType) != 1 {
		return errors.New("the archive is not of all events except some")
	}
	r.deployment.archive = archiveSpec{p.EventPattern.DetailType[0].AnythingBut, time.Duration(p.RetentionDays) * 24 * time.Hour}
	return nil
}

// rate matches a schedule's expression.
var rate = regexp.MustCompile(`^rate\((\d+) minutes?\)$`)

// schedule reads a schedule.
func (r *deploymentReader) schedule(id resourceID) error {
	var p struct {
		Description        string
		FlexibleTimeWindow struct{ Mode string }
		ScheduleExpression string
		Target             struct {
			Arn, RoleArn reference
			RetryPolicy  struct {
				MaximumEventAgeInSeconds int
				MaximumRetryAttempts     *int
			}
		}
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	function, err := r.nameOf(id, p.Target.Arn)
	if err != nil {
		return err
	}
	m := rate.FindStringSubmatch(p.ScheduleExpression)
	retries := p.Target.RetryPolicy.MaximumRetryAttempts
	if m == nil || p.FlexibleTimeWindow.Mode != "OFF" || retries == nil || *retries != 0 {
		return fmt.Errorf("%s is not a rate in minutes, exact and without retries", p.ScheduleExpression)
	}
	minutes, err := strconv.Atoi(m[1])
	r.deployment.schedules = append(r.deployment.schedules, scheduleSpec{function, time.Duration(minutes) * time.Minute})
	return err
}

// apis are the names of the HTTP APIs by their ids.
var apis = map[string]string{"Api": "http", "WebhookApi": "webhook"}

// api reads an HTTP API.
func (r *deploymentReader) api(id resourceID) error {
	var p struct {
		Name, ProtocolType string
		Tags               any
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	name := apis[idHash.ReplaceAllString(id.id, "")]
	if name == "" || p.ProtocolType != "HTTP" {
		return fmt.Errorf("a %s API with this name is unknown", p.ProtocolType)
	}
	r.names[id] = name
	return nil
}

// authorizer reads a function that admits requests. Its answers are not cached.
func (r *deploymentReader) authorizer(id resourceID) error {
	var p struct {
		APIID, AuthorizerURI           reference
		AuthorizerPayloadFormatVersion string
		AuthorizerResultTTLInSeconds   *int
		AuthorizerType                 string
		EnableSimpleResponses          bool
		IdentitySource                 []string
		Name                           string
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	if p.AuthorizerPayloadFormatVersion != "2.0" || p.AuthorizerType != "REQUEST" || !p.EnableSimpleResponses ||
		p.AuthorizerResultTTLInSeconds == nil || *p.AuthorizerResultTTLInSeconds != 0 || len(p.IdentitySource) != 0 {
		return errors.New("the authorizer does not see every request, or has answers of another kind")
	}
	name, err := r.nameOf(id, p.AuthorizerURI)
	r.names[id] = name
	return err
}

// integration reads the function of routes.
func (r *deploymentReader) integration(id resourceID) error {
	var p struct {
		APIID, IntegrationURI                 reference
		IntegrationType, PayloadFormatVersion string
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	if p.IntegrationType != "AWS_PROXY" || p.PayloadFormatVersion != "2.0" {
		return fmt.Errorf("type %s with payloads %s is unknown", p.IntegrationType, p.PayloadFormatVersion)
	}
	name, err := r.nameOf(id, p.IntegrationURI)
	r.names[id] = name
	return err
}

// route reads a route.
func (r *deploymentReader) route(id resourceID) error {
	var p struct {
		APIID, AuthorizerID, Target reference
		AuthorizationType, RouteKey string
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	api, err1 := r.nameOf(id, p.APIID)
	function, err2 := r.nameOf(id, p.Target)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	route := routeSpec{api: api, function: function}
	switch p.AuthorizationType {
	case "NONE":
	case "CUSTOM":
		authorizer, err := r.nameOf(id, p.AuthorizerID)
		if err != nil {
			return err
		}
		route.authorizer = authorizer
	default:
		return fmt.Errorf("authorization %s is unknown", p.AuthorizationType)
	}
	if p.RouteKey != "$default" {
		var ok bool
		if route.method, route.path, ok = strings.Cut(p.RouteKey, " "); !ok {
			return fmt.Errorf("key %q is unknown", p.RouteKey)
		}
	}
	r.deployment.routes = append(r.deployment.routes, route)
	return nil
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
