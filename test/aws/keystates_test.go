package aws_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// keyStates is Parameter Store over keys. The emulator's Parameter Store asks
// no key, so this stands before it and refuses what needs a key that the
// emulator's KMS says cannot be used. Codes and texts are those that Parameter
// Store was seen to answer with.
type keyStates struct {
	aws.HTTPClient
	kms   *awskms.Client
	plain *awsssm.Client
	// strangers are keys whose policies do not name the caller's role.
	strangers map[string]bool
	// fails, if it isn't nil, answers in place of anything.
	fails func(action string) (code, message string)
}

func (k *keyStates) Do(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	var in struct {
		Name, KeyId    string
		WithDecryption bool
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	_, action, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	if k.fails != nil {
		if code, message := k.fails(action); code != "" {
			return refusal(req, code, message), nil
		}
	}
	key := in.KeyId
	if action == "GetParameter" && in.WithDecryption {
		if key, err = k.keyOf(req.Context(), in.Name); err != nil {
			return nil, err
		}
	}
	if code, message := k.refuses(req.Context(), key, action); code != "" {
		return refusal(req, code, message), nil
	}
	return k.HTTPClient.Do(req)
}

// keyOf is the key of the parameter's newest version, "" if there is none.
func (k *keyStates) keyOf(ctx context.Context, name string) (string, error) {
	out, err := k.plain.DescribeParameters(ctx, &awsssm.DescribeParametersInput{
		ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Name"), Values: []string{name}}},
	})
	if err != nil || len(out.Parameters) == 0 {
		return "", err
	}
	return aws.ToString(out.Parameters[0].KeyId), nil
}

func (k *keyStates) refuses(ctx context.Context, key, action string) (code, message string) {
	if key == "" {
		return "", ""
	}
	out, err := k.kms.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: aws.String(key)})
	var gone *kmstypes.NotFoundException
	denied := errors.As(err, &gone) && action == "GetParameter"
	switch {
	case k.strangers[key], denied:
		return "AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, does not exist in this region, " +
			"or you are not allowed to access. (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException)"
	case errors.As(err, &gone):
		return "InvalidKeyId", "Key is not found. (Service: AWSKMS; Status Code: 400; Error Code: NotFoundException)"
	case err != nil:
		return "InternalServerError", err.Error()
	case out.KeyMetadata.KeyState == kmstypes.KeyStatePendingDeletion:
		return "InvalidKeyId", *out.KeyMetadata.Arn + " is pending deletion. (Service: AWSKMS; Status Code: 400; Error Code: KMSInvalidStateException)"
	case out.KeyMetadata.KeyState == kmstypes.KeyStateDisabled:
		return "InvalidKeyId", *out.KeyMetadata.Arn + " is disabled. (Service: AWSKMS; Status Code: 400; Error Code: DisabledException)"
	}
	return "", ""
}

func refusal(req *http.Request, code, message string) *http.Response {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message})
	return &http.Response{
		StatusCode: http.StatusBadRequest, Status: "400 Bad Request", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amzn-Errortype": {code}},
		Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// stage is a stage's vaults: the present one, and what the keys allow.
type stage struct {
	keys   *keyStates
	client *awsssm.Client
	path   string
}

func newStage(t *testing.T) *stage {
	cfg := mustConfig(t)
	keys := &keyStates{HTTPClient: cfg.HTTPClient, kms: awskms.NewFromConfig(cfg), plain: awsssm.NewFromConfig(cfg), strangers: map[string]bool{}}
	cfg.HTTPClient = keys
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
			if _, err := s.keys.kms.ScheduleKeyDeletion(t.Context(), &awskms.ScheduleKeyDeletionInput{KeyId: aws.String(key)}); err != nil {
				t.Fatal(err)
			}
		},
		"the key is disabled": func(t *testing.T, s *stage, key string) {
			if _, err := s.keys.kms.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: aws.String(key)}); err != nil {
				t.Fatal(err)
			}
		},
		// The old key's policy names roles that are gone.
		"the key knows the old functions only": func(_ *testing.T, s *stage, key string) { s.keys.strangers[key] = true },
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
			if _, err := old.SaveTokens(t.Context(), account, pair); err != nil {
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
			s.keys.fails = func(action string) (string, string) {
				if action == "GetParameter" {
					return "AccessDeniedException", "refused"
				}
				return "", ""
			}
			if _, err := now.App(t.Context(), "strava"); !fault.Is(err, fault.Transient) {
				t.Errorf("the new registration, not readable now: %v", err)
			}
			s.keys.fails = nil
			fresh := credentials.TokenPair{Access: secret.New("new-access"), Refresh: secret.New("new-refresh")}
			version, err := now.SaveTokens(t.Context(), account, fresh)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := now.Tokens(t.Context(), account, version); err != nil || !got.Access.Equal(fresh.Access) {
				t.Errorf("the new tokens: %v", err)
			}
		})
	}
}

// TestARegistrationThatCannotBeReadNowIsNotTakenForLost, for it would be
// overwritten then.
func TestARegistrationThatCannotBeReadNowIsNotTakenForLost(t *testing.T) {
	s := newStage(t)
	vault, key := s.deploy(t)
	if err := vault.SaveApp(t.Context(), "strava", credentials.App{ClientID: "1"}); err != nil {
		t.Fatal(err)
	}
	refuse := func(code string, actions ...string) {
		s.keys.fails = func(action string) (string, string) {
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
		s.keys.fails = nil
	}
	refuse("ThrottlingException", "GetParameter")
	must("throttled")
	refuse("InternalServerError", "GetParameter")
	must("a failure of Parameter Store")
	refuse("AccessDeniedException", "GetParameter")
	must("a permission that is missing")
	refuse("InvalidKeyId", "GetParameter", "GetParameterHistory")
	must("a key that cannot be told")
	if _, err := s.keys.kms.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: aws.String(key)}); err != nil {
		t.Fatal(err)
	}
	must("the stage's own key is disabled")
	if _, err := s.keys.kms.EnableKey(t.Context(), &awskms.EnableKeyInput{KeyId: aws.String(key)}); err != nil {
		t.Fatal(err)
	}
	if app, err := vault.App(t.Context(), "strava"); err != nil || app.ClientID != "1" {
		t.Errorf("enabled again: %v", err)
	}
}

func TestAMalformedRegistrationIsTakenForLost(t *testing.T) {
	s := newStage(t)
	vault, key := s.deploy(t)
	if _, err := s.keys.plain.PutParameter(t.Context(), &awsssm.PutParameterInput{
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
		if _, err := vault.SaveTokens(t.Context(), credentials.Athlete(i+1), credentials.TokenPair{}); err != nil {
			t.Fatal(err)
		}
	}
	s.keys.strangers[key] = true
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
	s.keys.strangers[key] = false
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
		out, err := s.keys.plain.DescribeParameters(t.Context(), &awsssm.DescribeParametersInput{
			ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Name"), Values: []string{s.path + "/apps/strava"}}},
		})
		if err != nil || len(out.Parameters) != 1 || out.Parameters[0].Tier != want {
			t.Errorf("tier %s: %+v, %v", tier, out.Parameters, err)
		}
	}
}
