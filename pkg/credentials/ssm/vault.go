package ssm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// Vault implements [credentials.Vault].
type Vault struct {
	client *ssm.Client
	path   string
	keyID  string
	tier   types.ParameterTier
}

// New returns a vault of the parameters below path, encrypted under the KMS
// key. tier is one of [settings.ParameterTiers].
func New(client *ssm.Client, path, keyID, tier string) *Vault {
	return &Vault{client, strings.TrimSuffix(path, "/"), keyID, tiers[tier]}
}

// tiers are SSM's names of the tiers.
var tiers = map[string]types.ParameterTier{
	settings.TierStandard: types.ParameterTierStandard,
	settings.TierAdvanced: types.ParameterTierAdvanced,
}

// appValue is the plain text of <path>/apps/<provider>.
type appValue struct {
	ClientID       string `json:"client_id"`
	ClientSecret   string `json:"client_secret"`
	VerifyToken    string `json:"verify_token"`
	CallbackKey    string `json:"callback_key"`
	SubscriptionID int64  `json:"subscription_id,omitempty"`
}

// tokensValue is the plain text of
// <path>/accounts/<provider>/<id>/<generation>.
type tokensValue struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresAt    int64  `json:"expires_at"` // Unix s
	IssuedAt     int64  `json:"issued_at"`  // Unix ms
}

func toValue(p credentials.TokenPair) tokensValue {
	return tokensValue{p.Access.Reveal(), p.Refresh.Reveal(), p.ExpiresAt.Unix(), p.IssuedAt.UnixMilli()}
}

func (t tokensValue) pair() credentials.TokenPair {
	return credentials.TokenPair{
		Access: secret.New(t.AccessToken), Refresh: secret.New(t.RefreshToken),
		ExpiresAt: time.Unix(t.ExpiresAt, 0).UTC(), IssuedAt: time.UnixMilli(t.IssuedAt).UTC(),
	}
}

// pendingConnectValue is the plain text of
// <path>/received/<provider>/<account's id>/<id>.
type pendingConnectValue struct {
	tokensValue
	AccountID  string   `json:"account_id"`
	ID         string   `json:"id"`
	ReceivedAt int64    `json:"received_at"` // Unix ms
	Scopes     []string `json:"scopes"`
	// Owner is the id of the athlete who links the account; 0 for an athlete's
	// own.
	Owner           int64 `json:"owner,omitempty"`
	OwnerGeneration int64 `json:"owner_generation,omitempty"`
}

func (v *Vault) appName(provider string) string { return v.path + "/apps/" + provider }

func (v *Vault) tokensName(account credentials.Account, generation int64) string {
	return v.path + "/accounts/" + account.String() + "/" + strconv.FormatInt(generation, 10)
}

func (v *Vault) pendingConnectsPath(provider string) string { return v.path + "/received/" + provider }

func (v *Vault) pendingConnectName(r credentials.PendingConnect) string {
	return v.pendingConnectsPath(r.Account.Provider) + "/" + r.Account.ID + "/" + r.ID
}

// App implements [credentials.Vault].
func (v *Vault) App(ctx context.Context, provider string) (credentials.App, error) {
	var a appValue
	name := v.appName(provider)
	_, err := v.get(ctx, name, &a)
	if refusedByKMS(err) && v.underAnotherKey(ctx, name) {
		return credentials.App{}, fault.New(fault.Permanent, "the parameter is encrypted under another KMS key than the stage's: %w", err)
	}
	if err != nil {
		return credentials.App{}, err
	}
	return credentials.App{
		ClientID:       a.ClientID,
		ClientSecret:   secret.New(a.ClientSecret),
		VerifyToken:    secret.New(a.VerifyToken),
		CallbackKey:    secret.New(a.CallbackKey),
		SubscriptionID: a.SubscriptionID,
	}, nil
}

// SaveApp implements [credentials.Vault].
func (v *Vault) SaveApp(ctx context.Context, provider string, app credentials.App) error {
	_, err := v.put(ctx, v.appName(provider), appValue{
		ClientID:       app.ClientID,
		ClientSecret:   app.ClientSecret.Reveal(),
		VerifyToken:    app.VerifyToken.Reveal(),
		CallbackKey:    app.CallbackKey.Reveal(),
		SubscriptionID: app.SubscriptionID,
	})
	return err
}

// Tokens implements [credentials.Vault].
func (v *Vault) Tokens(ctx context.Context, account credentials.Account, generation, version int64) (credentials.TokenPair, error) {
	pair, _, err := v.tokens(ctx, v.tokensName(account, generation)+":"+strconv.FormatInt(version, 10))
	return pair, err
}

// Latest implements [credentials.Vault].
func (v *Vault) Latest(ctx context.Context, account credentials.Account, generation int64) (credentials.TokenPair, int64, error) {
	return v.tokens(ctx, v.tokensName(account, generation))
}

func (v *Vault) tokens(ctx context.Context, name string) (credentials.TokenPair, int64, error) {
	var t tokensValue
	version, err := v.get(ctx, name, &t)
	if err != nil {
		return credentials.TokenPair{}, 0, err
	}
	return t.pair(), version, nil
}

// SaveTokens implements [credentials.Vault].
func (v *Vault) SaveTokens(ctx context.Context, account credentials.Account, generation int64, pair credentials.TokenPair) (int64, error) {
	return v.put(ctx, v.tokensName(account, generation), toValue(pair))
}

// DeleteTokens implements [credentials.Vault].
func (v *Vault) DeleteTokens(ctx context.Context, account credentials.Account, generation int64) error {
	return v.delete(ctx, v.tokensName(account, generation))
}

// SavePendingConnect implements [credentials.Vault].
func (v *Vault) SavePendingConnect(ctx context.Context, r credentials.PendingConnect) error {
	_, err := v.put(ctx, v.pendingConnectName(r), pendingConnectValue{
		toValue(r.Tokens), r.Account.ID, r.ID, r.ReceivedAt, r.Scopes, r.Owner.AthleteID, r.Owner.Generation,
	})
	return err
}

// PendingConnects implements [credentials.Vault].
func (v *Vault) PendingConnects(ctx context.Context, provider string) ([]credentials.PendingConnect, error) {
	pages := ssm.NewGetParametersByPathPaginator(v.client, &ssm.GetParametersByPathInput{
		Path: aws.String(v.pendingConnectsPath(provider)), Recursive: aws.Bool(true), WithDecryption: aws.Bool(true),
	})
	var (
		received []credentials.PendingConnect
		damaged  error
	)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return received, fault.New(fault.Transient, "get parameters by path: %w", err)
		}
		for _, p := range page.Parameters {
			var r pendingConnectValue
			if json.Unmarshal([]byte(aws.ToString(p.Value)), &r) != nil {
				damaged = fault.New(fault.Permanent, "unexpected value of parameter %s", aws.ToString(p.Name))
				continue
			}
			received = append(received, credentials.PendingConnect{
				Account: credentials.Account{Provider: provider, ID: r.AccountID}, ID: r.ID,
				ReceivedAt: r.ReceivedAt, Scopes: r.Scopes, Tokens: r.pair(),
				Owner: credentials.Authorization{AthleteID: r.Owner, Generation: r.OwnerGeneration},
			})
		}
	}
	return received, damaged
}

// DeletePendingConnect implements [credentials.Vault].
func (v *Vault) DeletePendingConnect(ctx context.Context, r credentials.PendingConnect) error {
	return v.delete(ctx, v.pendingConnectName(r))
}

func (v *Vault) delete(ctx context.Context, name string) error {
	_, err := v.client.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: aws.String(name)})
	if nf := (*types.ParameterNotFound)(nil); err != nil && !errors.As(err, &nf) {
		return fault.New(fault.Transient, "delete parameter: %w", err)
	}
	return nil
}

// clearedAtOnce is how many parameters one call of [Vault.Clear] deletes at
// most, so that it ends within seconds.
const clearedAtOnce = 200

// Clear implements [credentials.Parameters]. It reads names only, so it also
// deletes parameters that an earlier deployment of the stage left under a key
// that is gone.
func (v *Vault) Clear(ctx context.Context) (deleted int, _ error) {
	var names []string
	pages := ssm.NewGetParametersByPathPaginator(v.client, &ssm.GetParametersByPathInput{Path: aws.String(v.path), Recursive: aws.Bool(true)})
	for pages.HasMorePages() && len(names) < clearedAtOnce {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, fault.New(fault.Transient, "list parameters: %w", err)
		}
		for _, p := range page.Parameters {
			names = append(names, aws.ToString(p.Name))
		}
	}
	for batch := range slices.Chunk(names, 10) { // as many as DeleteParameters takes
		out, err := v.client.DeleteParameters(ctx, &ssm.DeleteParametersInput{Names: batch})
		if err != nil {
			return deleted, fault.New(fault.Transient, "delete parameters: %w", err)
		}
		deleted += len(out.DeletedParameters)
	}
	return deleted, nil
}

// refusedByKMS reports whether Parameter Store could not use the key that a
// parameter is encrypted under. It passes KMS's errors on: InvalidKeyId if the
// key is disabled, pending deletion or gone, and AccessDeniedException if the
// caller may not use the key or the key is gone.
func refusedByKMS(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "InvalidKeyId" || api.ErrorCode() == "AccessDeniedException")
}

// underAnotherKey reports whether the parameter's newest version is known to be
// encrypted under another key than the vault's, such as that of the same stage
// before it was destroyed. The functions of this stage will never be able to
// use that key. It is false for the vault's own key in whatever state, which an
// operator can enable again.
func (v *Vault) underAnotherKey(ctx context.Context, name string) bool {
	newest := types.ParameterHistory{}
	for pages := ssm.NewGetParameterHistoryPaginator(v.client, &ssm.GetParameterHistoryInput{Name: aws.String(name)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false
		}
		for _, version := range page.Parameters {
			if version.Version > newest.Version {
				newest = version
			}
		}
	}
	key := aws.ToString(newest.KeyId) // as it was given: an id, or an ARN
	return key != "" && key != v.keyID && !strings.HasSuffix(key, "/"+v.keyID)
}

func (v *Vault) get(ctx context.Context, name string, into any) (version int64, _ error) {
	out, err := v.client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name), WithDecryption: aws.Bool(true)})
	var (
		noParameter *types.ParameterNotFound
		noVersion   *types.ParameterVersionNotFound
	)
	switch {
	case errors.As(err, &noParameter), errors.As(err, &noVersion):
		return 0, fault.New(fault.NotFound, "parameter not found")
	case err != nil:
		return 0, fault.New(fault.Transient, "get parameter: %w", err)
	}
	if json.Unmarshal([]byte(aws.ToString(out.Parameter.Value)), into) != nil {
		// The decoder's own error would quote the value.
		return 0, fault.New(fault.Permanent, "unexpected parameter value")
	}
	return out.Parameter.Version, nil
}

func (v *Vault) put(ctx context.Context, name string, value any) (int64, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return 0, fmt.Errorf("encode parameter: %w", err)
	}
	out, err := v.client.PutParameter(ctx, &ssm.PutParameterInput{
		Name:      aws.String(name),
		Type:      types.ParameterTypeSecureString,
		KeyId:     aws.String(v.keyID),
		Value:     aws.String(string(b)),
		Overwrite: aws.Bool(true),
		// Without it, the tier is the account's setting of the day.
		Tier: v.tier,
	})
	if err != nil {
		return 0, fault.New(fault.Transient, "put parameter: %w", err)
	}
	return out.Version, nil
}
