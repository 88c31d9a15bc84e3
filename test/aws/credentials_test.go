package aws_test

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/kit/secret"
)

func TestGrantsTableConforms(t *testing.T) {
	for name, client := range clients(t, 2) {
		t.Run(name, func(t *testing.T) {
			credentialstest.RunStorage(t, func(t *testing.T) credentialstest.Storage { return ddb.NewGrants(client, mustGrantsTable(t)) })
		})
	}
}

func mustGrantsTable(t *testing.T) string {
	return mustTable(t, dynamodb.CreateTableInput{
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk", types.ScalarAttributeTypeS), attribute("provider", types.ScalarAttributeTypeS),
			attribute("pending_of", types.ScalarAttributeTypeS), attribute("due", types.ScalarAttributeTypeN),
		},
		KeySchema: primaryKey("pk"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  aws.String(settings.GrantsByProviderIndex),
			KeySchema:  primaryKey("provider", "pk"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}, {
			IndexName:  aws.String(settings.PendingGrantsIndex),
			KeySchema:  primaryKey("pending_of", "due"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
	})
}

// TestGrantsExpire: DynamoDB drops the grant of an authorization that is over
// and has no tasks left (ADR 7). It drops no other grant.
func TestGrantsExpire(t *testing.T) {
	name := mustGrantsTable(t)
	table := ddb.NewGrants(dynamodb.NewFromConfig(mustConfig(t)), name)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	expires := strconv.FormatInt(at.Add(8*24*time.Hour).Unix(), 10)
	for id, tc := range map[int64]struct {
		grant credentials.Grant
		want  string // empty for never
	}{
		1: {credentials.Grant{Generation: 7, State: credentials.Active}, ""},
		2: {credentials.Grant{Generation: 7, State: credentials.Erased, RevokedAt: at}, expires},
		3: {credentials.Grant{Generation: 7, State: credentials.Erased, RevokedAt: at, Unpublished: true}, ""},
	} {
		account := credentials.Athlete(id)
		tc.grant.Account = account
		if _, err := table.Update(t.Context(), account, func(g *credentials.Grant) (bool, error) { *g = tc.grant; return true, nil }); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, item := range mustItems(t, name) {
			if item["pk"].(*types.AttributeValueMemberS).Value != "grant#"+account.String() {
				continue
			}
			if n, there := item["expires_at"].(*types.AttributeValueMemberN); there {
				got = n.Value
			}
		}
		if got != tc.want {
			t.Errorf("grant %d, %s, expires at %q, want %q", id, tc.grant.State, got, tc.want)
		}
	}
}

func TestWaitlistTableConforms(t *testing.T) {
	credentialstest.RunWaitlistStore(t, ddb.NewWaitlist(dynamodb.NewFromConfig(mustConfig(t)), mustTable(t, dynamodb.CreateTableInput{
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("list", types.ScalarAttributeTypeS), attribute("contact", types.ScalarAttributeTypeS),
		},
		KeySchema: primaryKey("list", "contact"),
	})))
}

func mustKey(t *testing.T, in awskms.CreateKeyInput) string {
	t.Helper()
	out, err := awskms.NewFromConfig(mustConfig(t)).CreateKey(t.Context(), &in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.KeyMetadata.KeyId
}

func TestVaultConforms(t *testing.T) {
	client := awsssm.NewFromConfig(mustConfig(t))
	key := mustKey(t, awskms.CreateKeyInput{})
	credentialstest.RunVault(t, func(*testing.T) credentials.Vault {
		return ssm.New(client, "/paceline/test/"+rand.Text(), key, settings.TierStandard)
	})
}

func TestSealerConforms(t *testing.T) {
	credentialstest.RunSealer(t, kms.NewSealer(awskms.NewFromConfig(mustConfig(t)), mustKey(t, awskms.CreateKeyInput{})))
}

func TestVaultEncryptsUnderTheDedicatedKey(t *testing.T) {
	client := awsssm.NewFromConfig(mustConfig(t))
	key := mustKey(t, awskms.CreateKeyInput{})
	path := "/paceline/test/" + rand.Text()
	vault := ssm.New(client, path, key, settings.TierStandard)
	if _, err := vault.SaveTokens(t.Context(), credentials.Athlete(7), 5, credentials.TokenPair{Access: secret.New("hunter2"), Refresh: secret.New("hunter3")}); err != nil {
		t.Fatal(err)
	}
	out, err := client.DescribeParameters(t.Context(), &awsssm.DescribeParametersInput{
		ParameterFilters: []ssmtypes.ParameterStringFilter{{Key: aws.String("Name"), Values: []string{path + "/accounts/strava/7/5"}}},
	})
	if err != nil || len(out.Parameters) != 1 {
		t.Fatalf("%d parameters, %v", len(out.Parameters), err)
	}
	if p := out.Parameters[0]; p.Type != ssmtypes.ParameterTypeSecureString || !strings.Contains(aws.ToString(p.KeyId), key) {
		t.Errorf("type %s, key %s", p.Type, aws.ToString(p.KeyId))
	}
	raw, err := client.GetParameter(t.Context(), &awsssm.GetParameterInput{Name: aws.String(path + "/accounts/strava/7/5")})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(aws.ToString(raw.Parameter.Value), "hunter") {
		t.Error("the value is readable without decryption")
	}
}

func TestCredentialsTableConforms(t *testing.T) {
	for name, client := range clients(t, 2) {
		t.Run(name, func(t *testing.T) {
			credentialstest.RunCredentials(t, func(t *testing.T) (credentials.CredentialStore, credentials.Grants) {
				grants := mustGrantsTable(t)
				return ddb.NewCredentials(client, mustCredentialsTable(t), grants), ddb.NewGrants(client, grants)
			})
		})
	}
}

func mustCredentialsTable(t *testing.T) string {
	return mustTable(t, dynamodb.CreateTableInput{
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("athlete_id", types.ScalarAttributeTypeN), attribute("hash", types.ScalarAttributeTypeS),
		},
		KeySchema: primaryKey("athlete_id", "hash"),
	})
}

// TestCredentialsExpire: DynamoDB drops what has expired, and tombstones. It
// drops no key without an end. No secret is stored.
func TestCredentialsExpire(t *testing.T) {
	grants, name := mustGrantsTable(t), mustCredentialsTable(t)
	client := dynamodb.NewFromConfig(mustConfig(t))
	store := ddb.NewCredentials(client, name, grants)
	if _, err := ddb.NewGrants(client, grants).Update(t.Context(), credentials.Athlete(7), func(g *credentials.Grant) (bool, error) {
		g.State, g.Generation = credentials.Active, 5
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	ports, _ := credentialstest.NewPorts(func() time.Time { return now })
	ports.CredentialStore = store
	sessions, keys := ports.Sessions(), ports.Keys()
	ann := credentials.Authorization{AthleteID: 7, Generation: 5}
	session, err := sessions.Open(t.Context(), ann)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]secret.String{"session": session}
	for name, end := range map[string]time.Time{"forever": {}, "a day": now.Add(24 * time.Hour), "revoked": {}} {
		key, token, err := keys.Create(t.Context(), ann, name, end)
		if err != nil {
			t.Fatal(err)
		}
		if secrets[name] = token; name == "revoked" {
			if err := keys.Revoke(t.Context(), 7, key.ID()); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := map[string]string{}
	for _, item := range mustItems(t, name) {
		for key, token := range secrets {
			if item["hash"].(*types.AttributeValueMemberS).Value == token.SHA256() {
				got[key] = ""
				if n, there := item["expires_at"].(*types.AttributeValueMemberN); there {
					got[key] = n.Value
				}
			}
			_, random, _ := strings.Cut(token.Reveal(), "7_")
			if text := fmt.Sprintf("%#v", item); strings.Contains(text, random) || random == "" {
				t.Errorf("the secret of %s is stored", key)
			}
		}
	}
	after := func(days int) string { return strconv.FormatInt(now.AddDate(0, 0, days).Unix(), 10) }
	want := map[string]string{
		"session": strconv.FormatInt(now.Truncate(24*time.Hour).AddDate(0, 0, 8).Unix(), 10), "forever": "", "a day": after(9), "revoked": after(8),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
