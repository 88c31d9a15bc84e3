package aws_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/wiring"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
	"github.com/paceline/paceline/test/awsfault"
)

// boundary is the credentials boundary as its functions build it, over the real
// adapters, with a proxy before AWS and the Strava stand-in in this process. It
// runs in real time, shifted by as much as [boundary.reconcileAll] adds.
type boundary struct {
	proxy      *awsfault.Proxy
	strava     *strava.Server
	connect    *credentials.Connect
	requester  *credentials.Requester
	reconciler *credentials.Reconciler
	// grants and vault are the grants table and the parameters without the proxy.
	grants *ddb.GrantsTable
	vault  *ssm.Vault
	// parameters names those of accounts.
	parameters func(*testing.T) []string

	shift atomic.Int64 // of the time, in ns
}

// Now implements [standin.Clock].
func (b *boundary) Now() time.Time { return time.Now().Add(time.Duration(b.shift.Load())) }

// AfterFunc implements [standin.Clock], in real time.
func (b *boundary) AfterFunc(d time.Duration, f func()) { time.AfterFunc(d, f) }

// mustBoundary builds a boundary with its registration at a Strava that has
// athletes, none of them connected.
func mustBoundary(t *testing.T, athletes int) *boundary {
	t.Helper()
	b := &boundary{}
	limit := strava.Limit{1_000_000, 1_000_000}
	b.strava = strava.New(strava.Config{
		Clock: b, Seed: 1, Athletes: strava.Generate(1, athletes, b.Now()),
		Settings: strava.Settings{ReadLimit: limit, OverallLimit: limit},
	})
	standin := httptest.NewServer(b.strava)
	t.Cleanup(func() {
		b.strava.Close()
		standin.Close()
	})

	s := settings.UseTokens{
		Stage: "test", GrantsTable: mustGrantsTable(t), AthleteCapacity: athletes, ParameterPath: "/paceline/test/" + rand.Text(),
		TokenKeyID: mustKey(t, awskms.CreateKeyInput{}), ParameterTier: settings.TierStandard, EventBusName: "default",
		StravaOAuthURL: standin.URL + "/oauth", StravaRevocation: settings.RevocationRevoke, StravaAPIURL: standin.URL + "/api/v3",
	}
	direct := mustConfig(t)
	b.grants = ddb.NewGrants(dynamodb.NewFromConfig(direct), s.GrantsTable)
	b.vault = ssm.New(awsssm.NewFromConfig(direct), s.ParameterPath, s.TokenKeyID, settings.TierStandard)
	id, key := b.strava.Client()
	err := b.vault.SaveApp(t.Context(), credentials.ProviderStrava,
		credentials.App{ClientID: strconv.FormatInt(id, 10), ClientSecret: secret.New(key)})
	if err != nil {
		t.Fatal(err)
	}
	b.parameters = func(t *testing.T) (names []string) {
		pages := awsssm.NewDescribeParametersPaginator(awsssm.NewFromConfig(direct), &awsssm.DescribeParametersInput{
			ParameterFilters: []ssmtypes.ParameterStringFilter{{
				Key: aws.String("Path"), Option: aws.String("Recursive"), Values: []string{s.ParameterPath + "/accounts", s.ParameterPath + "/received"},
			}},
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page.Parameters {
				names = append(names, *p.Name)
			}
		}
		return names
	}

	proxy, cfg := mustProxy(t)
	b.proxy = proxy
	ports := wiring.Strava(cfg, s, &kittest.Metrics{}, slog.New(slog.DiscardHandler))
	ports.Events.Now, ports.RedirectURI = b.Now, "http://localhost:8080/oauth/callback"
	tokens := ports.Tokens()
	b.requester, b.reconciler = ports.Requester(tokens), ports.Reconciler(tokens)
	b.connect = b.reconciler.Connect
	return b
}

// invocation is how long a function that connects athletes may work: less than
// API Gateway waits.
const invocation = 26 * time.Second

// connectAthlete leads an athlete through Strava's consent screen and back.
func (b *boundary) connectAthlete(t *testing.T, id int64) error {
	ctx, cancel := context.WithTimeout(t.Context(), invocation)
	defer cancel()
	started, err := b.connect.Start(ctx, credentials.Authorization{})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, started.AuthorizeURL+"&as_athlete="+strconv.FormatInt(id, 10), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultTransport.RoundTrip(req) // Follows no redirect.
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		return err
	}
	q := back.Query()
	_, err = b.connect.Finish(ctx, credentials.Callback{
		State: secret.New(q.Get("state")), Code: secret.New(q.Get("code")), Scope: q.Get("scope"), Nonce: started.Nonce,
	})
	return err
}

// reconcileAll shifts the time and reconciles grants until none has a pending task.
func (b *boundary) reconcileAll(t *testing.T) {
	t.Helper()
	const rounds = 20
	for range rounds {
		b.shift.Add(int64(6 * time.Hour))
		if err := b.reconciler.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		pending, err := b.grants.Pending(t.Context(), credentials.ProviderStrava)
		if err != nil {
			t.Fatal(err)
		}
		if len(pending) == 0 {
			return
		}
	}
	t.Errorf("after %d rounds grants still have pending tasks", rounds)
}

// mustAgree checks that Strava and the grants table agree on which athletes are
// connected and that calls are answered for those athletes, and returns how many
// there are.
func (b *boundary) mustAgree(t *testing.T) (connected int) {
	t.Helper()
	for _, athlete := range b.strava.Athletes() {
		grant, err := b.grants.Grant(t.Context(), credentials.Athlete(athlete.ID))
		if err != nil && !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
		if ours := grant.Authorized(); ours != athlete.Connected {
			t.Errorf("athlete %d: Strava says connected %v, the grant says %v (state %q)", athlete.ID, athlete.Connected, ours, grant.State)
			continue
		}
		if !athlete.Connected {
			continue
		}
		connected++
		res, err := b.requester.Forward(t.Context(), credentialsv1.ForwardRequest{
			AthleteID: athlete.ID, Generation: grant.Generation, Path: "/athlete",
		})
		if err != nil || res.Outcome != credentialsv1.OutcomeAnswered || res.Status != http.StatusOK {
			t.Errorf("athlete %d: outcome %s, status %d, %v (grant %q)", athlete.ID, res.Outcome, res.Status, err, grant.State)
		}
	}
	return connected
}

// TestAnAthleteConnectsThroughThrottledStores: neither the athlete nor
// Strava sees throttling that the SDK's own attempts outlast.
func TestAnAthleteConnectsThroughThrottledStores(t *testing.T) {
	b := mustBoundary(t, 2)
	throttled := map[string]string{"ssm": "PutParameter", "dynamodb": "PutItem", "kms": "GenerateDataKey"}
	for service, operation := range throttled {
		b.proxy.Add(awsfault.Rule{Service: service, Operation: operation, When: awsfault.First(1), Fault: throttle(service)})
	}
	if err := b.connectAthlete(t, b.strava.Athletes()[0].ID); err != nil {
		t.Fatal(err)
	}
	for service, operation := range throttled {
		if n := b.proxy.Counts()[awsfault.Count{Service: service, Operation: operation, Fault: throttle(service)}]; n != 1 {
			t.Errorf("%d calls of %s were throttled: %v", n, operation, b.proxy.Counts())
		}
	}
	b.reconcileAll(t)
	if n := b.mustAgree(t); n != 1 {
		t.Errorf("%d athletes are connected", n)
	}
}
