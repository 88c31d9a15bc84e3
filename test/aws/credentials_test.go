package aws_test

import (
	"crypto/rand"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
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
			credentialstest.RunStorage(t, func(t *testing.T) credentialstest.Storage { return ddb.New(client, mustGrantsTable(t)) })
		})
	}
}

func mustGrantsTable(t *testing.T) string {
	return mustTable(t, dynamodb.CreateTableInput{
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk", types.ScalarAttributeTypeS), attribute("provider", types.ScalarAttributeTypeS),
			attribute("unsettled", types.ScalarAttributeTypeS), attribute("due", types.ScalarAttributeTypeN),
		},
		KeySchema: primaryKey("pk"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  aws.String(settings.GrantsByProviderIndex),
			KeySchema:  primaryKey("provider", "pk"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}, {
			IndexName:  aws.String(settings.UnsettledGrantsIndex),
			KeySchema:  primaryKey("unsettled", "due"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
	})
}

// TestGrantsExpire: DynamoDB drops the grant of an authorization that is over
// and has no duties left (ADR 7). It drops no other grant.
func TestGrantsExpire(t *testing.T) {
	name := mustGrantsTable(t)
	table := ddb.New(dynamodb.NewFromConfig(mustConfig(t)), name)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	expires := strconv.FormatInt(at.Add(8*24*time.Hour).Unix(), 10)
	for id, tc := range map[int64]struct {
		grant credentials.Grant
		want  string // empty for never
	}{
		1: {credentials.Grant{Generation: 7, State: credentials.Active}, ""},
		2: {credentials.Grant{Generation: 7, State: credentials.Erased, RevokedAt: at}, expires},
		3: {credentials.Grant{Generation: 7, State: credentials.Erased, RevokedAt: at, Unannounced: true}, ""},
	} {
		account := credentials.Athlete(id)
		tc.grant.Account = account
		if _, err := table.Update(t.Context(), account, func(g *credentials.Grant) error { *g = tc.grant; return nil }); err != nil {
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

func TestWaitingTableConforms(t *testing.T) {
	credentialstest.RunWaitingRoom(t, ddb.NewWaiting(dynamodb.NewFromConfig(mustConfig(t)), mustTable(t, dynamodb.CreateTableInput{
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
	if _, err := vault.SaveTokens(t.Context(), credentials.Athlete(7), credentials.TokenPair{Access: secret.New("hunter2"), Refresh: secret.New("hunter3")}); err != nil {
		t.Fatal(err)
	}
	out, err := client.DescribeParameters(t.Context(), &awsssm.DescribeParametersInput{
		ParameterFilters: []ssmtypes.ParameterStringFilter{{Key: aws.String("Name"), Values: []string{path + "/accounts/strava/7"}}},
	})
	if err != nil || len(out.Parameters) != 1 {
		t.Fatalf("%d parameters, %v", len(out.Parameters), err)
	}
	if p := out.Parameters[0]; p.Type != ssmtypes.ParameterTypeSecureString || !strings.Contains(aws.ToString(p.KeyId), key) {
		t.Errorf("type %s, key %s", p.Type, aws.ToString(p.KeyId))
	}
	raw, err := client.GetParameter(t.Context(), &awsssm.GetParameterInput{Name: aws.String(path + "/accounts/strava/7")})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(aws.ToString(raw.Parameter.Value), "hunter") {
		t.Error("the value is readable without decryption")
	}
}

func TestSessionsAreSignedByKMSAndVerifiedOffline(t *testing.T) {
	client := awskms.NewFromConfig(mustConfig(t))
	signing := awskms.CreateKeyInput{KeySpec: kmstypes.KeySpecEccNistP256, KeyUsage: kmstypes.KeyUsageTypeSignVerify}
	key, otherKey := mustKey(t, signing), mustKey(t, signing)
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	session := credentials.Session{AthleteID: 42, Generation: 1_700_000_000_123}
	// Signatures whose integers are short are rare; enough of them show that
	// each is padded.
	var token secret.String
	verifier, err := kms.NewVerifier(t.Context(), client, key, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		session.AthleteID = int64(i + 1)
		if token, err = kms.NewSigner(client, key).Sign(t.Context(), session, now, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got, err := verifier.Verify(token); err != nil || got != session {
			t.Fatalf("session %d: %+v %v", i, got, err)
		}
	}

	other, err := kms.NewSigner(client, otherKey).Sign(t.Context(), session, now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token.Reveal(), ".")
	for name, bad := range map[string]string{
		"another key's":    other.Reveal(),
		"empty":            "",
		"no signature":     parts[0] + "." + parts[1] + ".",
		"the alg none":     "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + ".",
		"another's claims": parts[0] + "." + strings.Split(other.Reveal(), ".")[1][:10] + "." + parts[2],
	} {
		if _, err := verifier.Verify(secret.New(bad)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	now = now.Add(time.Hour)
	if _, err := verifier.Verify(token); err == nil {
		t.Error("an expired session was accepted")
	}
}
