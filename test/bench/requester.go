package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	vendor "github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/pkg/kit/startup"
	"github.com/paceline/paceline/standin/strava"
)

// activitiesPerPage is the largest page that Strava returns.
const activitiesPerPage = 200

// requesterOverhead compares a call that the requester forwards, from the
// payload of the invocation to the payload of the response, with the same call
// by the same HTTP client alone. The requester is warm: the token pair is in
// its memory. Both call the stand-in over loopback.
//
// The grant is either in memory, which leaves the requester's own code, or read
// by the real adapter from a DynamoDB on loopback, which adds the SDK. A real
// DynamoDB adds a few milliseconds.
func requesterOverhead(ctx context.Context, r *report) error {
	plenty := strava.Limit{1 << 40, 1 << 40}
	stand := strava.New(strava.Config{
		Seed: 1, Athletes: strava.Generate(1, 20, time.Now()),
		Settings: strava.Settings{ReadLimit: plenty, OverallLimit: plenty},
	})
	defer stand.Close()
	server := httptest.NewServer(stand)
	defer server.Close()
	athlete, err := athleteWith(stand, activitiesPerPage)
	if err != nil {
		return err
	}
	pair, err := authorize(ctx, stand, server.URL, athlete)
	if err != nil {
		return fmt.Errorf("authorize: %w", err)
	}
	aws := newCloud()
	defer aws.Close()
	if err := aws.setEnvironment(); err != nil {
		return err
	}
	config, err := startup.AWS(ctx)
	if err != nil {
		return err
	}
	f := forwarding{aws: aws, client: httpcall.NewClient(), server: server.URL, athlete: athlete, pair: pair}
	for _, store := range []struct {
		name   string
		grants credentials.Grants
	}{
		{"grants in memory", credentialstest.NewStore()},
		{"grants in DynamoDB on loopback", ddb.NewGrants(dynamodb.NewFromConfig(config), "grants")},
	} {
		requester, err := f.requester(ctx, store.grants)
		if err != nil {
			return err
		}
		for _, call := range forwardedCalls {
			if err := f.compare(ctx, r, requester, call, store.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// forwardedCall is a call to Strava that requesterOverhead measures.
type forwardedCall struct {
	name   string
	path   string
	query  map[string]string
	rounds int
}

var forwardedCalls = []forwardedCall{
	{"a small answer", "/athlete", nil, 3000},
	{
		fmt.Sprintf("a page of %d activities", activitiesPerPage), "/athlete/activities",
		map[string]string{"per_page": strconv.Itoa(activitiesPerPage)}, 600,
	},
}

// forwarding is the setting of requesterOverhead.
type forwarding struct {
	aws     *cloud
	client  *http.Client
	server  string // the stand-in's base URL
	athlete int64
	pair    credentials.TokenPair
}

// generation of the athlete's authorization.
const generation = 1

// requester returns the requester's handler, with the athlete's grant in grants.
func (f forwarding) requester(ctx context.Context, grants credentials.Grants) (lambda.Handler, error) {
	vault := credentialstest.NewVault()
	version, err := vault.SaveTokens(ctx, credentials.Athlete(f.athlete), generation, f.pair)
	if err != nil {
		return nil, err
	}
	if _, err := grants.Update(ctx, credentials.Athlete(f.athlete), func(g *credentials.Grant) (bool, error) {
		g.Generation, g.State = generation, credentials.Active
		g.Tokens = credentials.TokenRef{Generation: generation, Version: version}
		return true, nil
	}); err != nil {
		return nil, err
	}
	// The ports that only a refresh would need are missing.
	ports := credentials.Ports{
		Events: startup.EventFactory(), Log: slog.New(slog.DiscardHandler), Sleep: startup.Sleep,
		Grants: grants, Vault: vault,
		OAuth: provider.NewOAuth(f.client, provider.Strava(f.server+"/oauth", settings.RevocationRevoke), time.Now),
		API:   vendor.NewAPI(f.client, f.server+"/api/v3"),
	}
	return lambda.NewHandler(ports.Requester(ports.Tokens()).Forward), nil
}

// compare compares one call through the requester with the bare call.
func (f forwarding) compare(ctx context.Context, r *report, requester lambda.Handler, call forwardedCall, store string) error {
	payload, err := json.Marshal(credentialsv1.ForwardRequest{
		AthleteID: f.athlete, Generation: generation, Path: call.path, Query: call.query,
	})
	if err != nil {
		return err
	}
	query := url.Values{}
	for name, value := range call.query {
		query.Set(name, value)
	}
	target := f.server + "/api/v3" + call.path + "?" + query.Encode()
	before := f.aws.dynamoDBRequests()
	const warmUp = 50
	res, err := r.compare(ctx, comparison{
		name:     "requester forwards " + call.name + ", " + store,
		ours:     timed(func(ctx context.Context) error { return forwarded(requester.Invoke(ctx, payload)) }),
		baseline: "bare HTTP call",
		base:     timed(func(ctx context.Context) error { return bare(ctx, f.client, target, f.pair.Access) }),
		unit:     "ns",
		rounds:   call.rounds, warmUp: warmUp,
	})
	if err != nil {
		return err
	}
	each := float64(f.aws.dynamoDBRequests()-before) / float64(call.rounds+warmUp)
	res.DynamoDBRequests = &each
	return nil
}

// forwarded checks the requester's response.
func forwarded(payload []byte, err error) error {
	if err != nil {
		return err
	}
	// Decoding the response would count as the requester's work; it is the
	// caller's.
	if !strings.HasPrefix(string(payload[:min(len(payload), 64)]), `{"outcome":"answered","status":200,`) {
		return fmt.Errorf("the requester returned %.100s", payload)
	}
	return nil
}

// bare makes a call with the token, without the requester.
func bare(ctx context.Context, client *http.Client, target string, access secret.String) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+access.Reveal())
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// athleteWith returns an athlete with at least n activities.
func athleteWith(stand *strava.Server, n int) (id int64, _ error) {
	for _, athlete := range stand.Athletes() {
		activities, err := stand.Activities(athlete.ID)
		if err != nil {
			return 0, err
		}
		if len(activities) >= n {
			return athlete.ID, nil
		}
	}
	return 0, fmt.Errorf("no athlete has %d activities", n)
}

// authorize connects the athlete and returns the token pair.
func authorize(ctx context.Context, stand *strava.Server, base string, athlete int64) (credentials.TokenPair, error) {
	code, err := stand.Authorize(athlete, "read", "activity:read", "activity:read_all")
	if err != nil {
		return credentials.TokenPair{}, err
	}
	id, key := stand.Client()
	form := url.Values{
		"client_id": {strconv.FormatInt(id, 10)}, "client_secret": {key}, "grant_type": {"authorization_code"}, "code": {code},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return credentials.TokenPair{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return credentials.TokenPair{}, err
	}
	defer res.Body.Close()
	var answer struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		ExpiresAt    int64  `json:"expires_at"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		return credentials.TokenPair{}, fmt.Errorf("token endpoint: %s: %w", res.Status, err)
	}
	return credentials.TokenPair{
		Access: secret.New(answer.AccessToken), Refresh: secret.New(answer.RefreshToken), ExpiresAt: time.Unix(answer.ExpiresAt, 0),
	}, nil
}
