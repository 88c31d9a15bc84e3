package aws_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/test/keystates"
)

// stage is a stage's vaults: the present one, and what the keys allow.
type stage struct {
	keys   *keystates.Gate
	client *awsssm.Client
	path   string
}

func newStage(t *testing.T) *stage {
	cfg := mustConfig(t)
	keys := &keystates.Gate{Next: http.DefaultTransport, KMS: awskms.NewFromConfig(cfg), SSM: awsssm.NewFromConfig(cfg), Foreign: map[string]bool{}}
	cfg.HTTPClient = &http.Client{Transport: keys}
	return &stage{keys, awsssm.NewFromConfig(cfg, func(o *awsssm.Options) { o.RetryMaxAttempts = 1 }), "/paceline/test/" + rand.Text()}
}

// deploy gives the stage a key of its own.
func (s *stage) deploy(t *testing.T) (*ssm.Vault, string) {
	key := mustKey(t, awskms.CreateKeyInput{})
	return ssm.New(s.client, s.path, key, settings.TierStandard), key
}

// TestAStageIsDestroyedAndDeployedAgain: the parameters of its earlier life
// are there, under a key that is going away. The registration is known to be
// lost and can be replaced, and an athlete comes back.
func TestAStageIsDestroyedAndDeployedAgain(t *testing.T) {
	for name, destroy := range map[string]func(t *testing.T, s *stage, key string){
		"the key is pending deletion": func(t *testing.T, s *stage, key string) {
			if _, err := s.keys.KMS.ScheduleKeyDeletion(t.Context(), &awskms.ScheduleKeyDeletionInput{KeyId: aws.String(key)}); err != nil {
				t.Fatal(err)
			}
		},
		"the key is disabled": func(t *testing.T, s *stage, key string) {
			if _, err := s.keys.KMS.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: aws.String(key)}); err != nil {
				t.Fatal(err)
			}
		},
		// The old key's policy names roles that are gone.
		"the key knows the old functions only": func(_ *testing.T, s *stage, key string) { s.keys.Foreign[key] = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			old, oldKey := s.deploy(t)
			app := credentials.App{ClientID: "1", ClientSecret: secret.New("s"), CallbackKey: secret.New("k"), SubscriptionID: 5}
			account := credentials.Athlete(7)
			pair := credentials.TokenPair{Access: secret.New("old-access"), Refresh: secret.New("old-refresh")}
			for range 60 { // more than a page of the parameter's history
				if err := old.SaveApp(t.Context(), "strava", app); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := old.SaveTokens(t.Context(), account, 5, pair); err != nil {
				t.Fatal(err)
			}
			destroy(t, s, oldKey)
			now, _ := s.deploy(t)

			_, err := now.App(t.Context(), "strava")
			if !fault.Is(err, fault.Permanent) || strings.Contains(err.Error(), "old-") {
				t.Fatalf("the registration under the old key: %v", err)
			}
			app.CallbackKey = secret.New("new key")
			if err := now.SaveApp(t.Context(), "strava", app); err != nil {
				t.Fatal(err)
			}
			if got, err := now.App(t.Context(), "strava"); err != nil || !got.CallbackKey.Equal(app.CallbackKey) {
				t.Errorf("the new registration: %v", err)
			}
			// The versions before it are under the old key.
			s.keys.Fail = func(action string) (string, string) {
				if action == "GetParameter" {
					return "AccessDeniedException", "refused"
				}
				return "", ""
			}
			if _, err := now.App(t.Context(), "strava"); !fault.Is(err, fault.Transient) {
				t.Errorf("the new registration, not readable now: %v", err)
			}
			s.keys.Fail = nil
			fresh := credentials.TokenPair{Access: secret.New("new-access"), Refresh: secret.New("new-refresh")}
			version, err := now.SaveTokens(t.Context(), account, 5, fresh)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := now.Tokens(t.Context(), account, 5, version); err != nil || !got.Access.Equal(fresh.Access) {
				t.Errorf("the new tokens: %v", err)
			}
		})
	}
}

// TestAnUnreadableRegistrationIsNotTakenForLost, for it would be
// overwritten then.
func TestAnUnreadableRegistrationIsNotTakenForLost(t *testing.T) {
	s := newStage(t)
	vault, key := s.deploy(t)
	if err := vault.SaveApp(t.Context(), "strava", credentials.App{ClientID: "1"}); err != nil {
		t.Fatal(err)
	}
	refuse := func(code string, actions ...string) {
		s.keys.Fail = func(action string) (string, string) {
			for _, a := range actions {
				if a == action {
					return code, "refused"
				}
			}
			return "", ""
		}
	}
	must := func(what string) {
		t.Helper()
		if _, err := vault.App(t.Context(), "strava"); !fault.Is(err, fault.Transient) {
			t.Errorf("%s: %v", what, err)
		}
		s.keys.Fail = nil
	}
	refuse("ThrottlingException", "GetParameter")
	must("throttled")
	refuse("InternalServerError", "GetParameter")
	must("a failure of Parameter Store")
	refuse("AccessDeniedException", "GetParameter")
	must("a permission that is missing")
	refuse("InvalidKeyId", "GetParameter", "GetParameterHistory")
	must("a key of unknown state")
	if _, err := s.keys.KMS.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: aws.String(key)}); err != nil {
		t.Fatal(err)
	}
	must("the stage's own key is disabled")
	if _, err := s.keys.KMS.EnableKey(t.Context(), &awskms.EnableKeyInput{KeyId: aws.String(key)}); err != nil {
		t.Fatal(err)
	}
	if app, err := vault.App(t.Context(), "strava"); err != nil || app.ClientID != "1" {
		t.Errorf("enabled again: %v", err)
	}
}

func TestAMalformedRegistrationIsTakenForLost(t *testing.T) {
	s := newStage(t)
	vault, key := s.deploy(t)
	if _, err := s.keys.SSM.PutParameter(t.Context(), &awsssm.PutParameterInput{
		Name: aws.String(s.path + "/apps/strava"), Type: types.ParameterTypeSecureString, KeyId: aws.String(key), Value: aws.String("hunter2"),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.App(t.Context(), "strava"); !fault.Is(err, fault.Permanent) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// TestClearDeletesAllBelowThePath, readable or not, and nothing else.
func TestClearDeletesAllBelowThePath(t *testing.T) {
	s := newStage(t)
	vault, key := s.deploy(t)
	other := ssm.New(s.client, s.path+"-other", key, settings.TierStandard)
	if err := errors.Join(vault.SaveApp(t.Context(), "strava", credentials.App{}), other.SaveApp(t.Context(), "strava", credentials.App{ClientID: "9"})); err != nil {
		t.Fatal(err)
	}
	const accounts = 230 // more than are deleted at once
	for i := range int64(accounts) {
		if _, err := vault.SaveTokens(t.Context(), credentials.Athlete(i+1), 5, credentials.TokenPair{}); err != nil {
			t.Fatal(err)
		}
	}
	s.keys.Foreign[key] = true
	var steps []int
	for len(steps) == 0 || steps[len(steps)-1] > 0 {
		n, err := vault.Clear(t.Context())
		if err != nil || len(steps) > 5 {
			t.Fatal(steps, err)
		}
		steps = append(steps, n)
	}
	if got := fmt.Sprint(steps); got != "[200 31 0]" {
		t.Errorf("deleted %s", got)
	}
	s.keys.Foreign[key] = false
	if app, err := other.App(t.Context(), "strava"); err != nil || app.ClientID != "9" {
		t.Errorf("another stage's: %v", err)
	}
}

func TestParametersAreOfTheStagesTier(t *testing.T) {
	for tier, want := range map[string]types.ParameterTier{
		settings.TierStandard: types.ParameterTierStandard, settings.TierAdvanced: types.ParameterTierAdvanced,
	} {
		s := newStage(t)
		_, key := s.deploy(t)
		vault := ssm.New(s.client, s.path, key, tier)
		if err := vault.SaveApp(t.Context(), "strava", credentials.App{}); err != nil {
			t.Fatal(err)
		}
		out, err := s.keys.SSM.DescribeParameters(t.Context(), &awsssm.DescribeParametersInput{
			ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Name"), Values: []string{s.path + "/apps/strava"}}},
		})
		if err != nil || len(out.Parameters) != 1 || out.Parameters[0].Tier != want {
			t.Errorf("tier %s: %+v, %v", tier, out.Parameters, err)
		}
	}
}
