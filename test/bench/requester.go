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
	"os"
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

// activitiesPerPage is the most that Strava gives at once.
const activitiesPerPage = 200

// requesterOverhead compares a call that the requester forwards, from the
// invocation's payload to the answer's, with the same call made by the same
// HTTP client alone. The requester is warm: the token pair is in its memory.
// Both call the stand-in over loopback.
//
// Grants are read either from memory, which leaves the requester's own code, or
// by the real adapter from a DynamoDB on loopback, which adds the SDK. A real
// DynamoDB adds its own few milliseconds.
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
	for _, variable := range aws.environment() {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	config, err := startup.AWS(ctx)
	if err != nil {
		return err
	}
	client, api := httpcall.NewClient(), server.URL+"/api/v3"
	oauth := provider.NewOAuth(client, provider.Strava(server.URL+"/oauth", settings.RevocationRevoke), time.Now)
	stores := []struct {
		name   string
		grants credentials.Grants
	}{
		{"grants in memory", credentialstest.NewStore()},
		{"grants in DynamoDB on loopback", ddb.NewGrants(dynamodb.NewFromConfig(config), "grants")},
	}
	calls := []struct {
		name   string
		path   string
		query  url.Values
		rounds int
	}{
		{"a small answer", "/athlete", nil, 3000},
		{
			fmt.Sprintf("a page of %d activities", activitiesPerPage), "/athlete/activities",
			url.Values{"per_page": {strconv.Itoa(activitiesPerPage)}}, 600,
		},
	}
	for _, store := range stores {
		vault := credentialstest.NewVault()
		const generation = 1
		version, err := vault.SaveTokens(ctx, credentials.Athlete(athlete), generation, pair)
		if err != nil {
			return err
		}
		if _, err := store.grants.Update(ctx, credentials.Athlete(athlete), func(g *credentials.Grant) (bool, error) {
			g.Generation, g.State = generation, credentials.Active
			g.Tokens = credentials.TokenRef{Generation: generation, Version: version}
			return true, nil
		}); err != nil {
			return err
		}
		// The ports that only a refresh would need are missing.
		ports := credentials.Ports{
			Events: startup.EventFactory(), Log: slog.New(slog.DiscardHandler), Sleep: startup.Sleep,
			Grants: store.grants, Vault: vault, OAuth: oauth, API: vendor.NewAPI(client, api),
		}
		requester := ports.Requester(ports.Tokens())
		handler := lambda.NewHandler(requester.Forward)
		for _, call := range calls {
			query := map[string]string{}
			for name := range call.query {
				query[name] = call.query.Get(name)
			}
			payload, err := json.Marshal(credentialsv1.ForwardRequest{
				AthleteID: athlete, Generation: generation, Path: call.path, Query: query,
			})
			if err != nil {
				return err
			}
			before := aws.dynamoDBRequests()
			const warmUp = 50
			res, err := r.compare(ctx, comparison{
				name: "requester forwards " + call.name + ", " + store.name,
				ours: timed(func(ctx context.Context) error {
					return forwarded(handler.Invoke(ctx, payload))
				}),
				baseline: "bare HTTP call",
				base: timed(func(ctx context.Context) error {
					return bare(ctx, client, api+call.path+"?"+call.query.Encode(), pair.Access)
				}),
				unit:   "ns",
				rounds: call.rounds, warmUp: warmUp,
			})
			if err != nil {
				return err
			}
			each := float64(aws.dynamoDBRequests()-before) / float64(call.rounds+warmUp)
			res.DynamoDBRequests = &each
		}
	}
	return nil
}

// forwarded checks what the requester returned.
func forwarded(payload []byte, err error) error {
	if err != nil {
		return err
	}
	// Decoding it is the caller's work and would count as the requester's.
	if !strings.HasPrefix(string(payload[:min(len(payload), 64)]), `{"outcome":"answered","status":200,`) {
		return fmt.Errorf("the requester returned %.100s", payload)
	}
	return nil
}

// bare makes a call as anybody would who has the token.
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

// athleteWith gives an athlete with at least n activities.
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
	return 0, fmt.Errorf("nobody has %d activities", n)
}

// authorize gets the athlete's token pair from the stand-in.
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
		return credentials.TokenPair{}, fmt.Errorf("no tokens: %s: %w", res.Status, err)
	}
	return credentials.TokenPair{
		Access: secret.New(answer.AccessToken), Refresh: secret.New(answer.RefreshToken), ExpiresAt: time.Unix(answer.ExpiresAt, 0),
	}, nil
}
