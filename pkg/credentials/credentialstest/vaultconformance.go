package credentialstest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// RunVault checks an adapter of the vault. newVault returns an empty one each
// time.
func RunVault(t *testing.T, newVault func(t *testing.T) credentials.Vault) {
	for name, check := range map[string]func(*testing.T, credentials.Vault){
		"the app is stored whole":                            appIsStoredWhole,
		"each provider has an app of its own":                providersHaveTheirOwnApps,
		"a newer pair does not destroy an older one":         newerPairKeepsOlder,
		"deleting removes all versions":                      deletingRemovesAllVersions,
		"each generation has a parameter of its own":         generationsHaveTheirOwnParameters,
		"pending connects are stored until they are deleted": pendingConnectsAreStoredUntilDeleted,
	} {
		t.Run(name, func(t *testing.T) { check(t, newVault(t)) })
	}
}

// pair returns a token pair whose tokens end in name.
func pair(name string) credentials.TokenPair {
	return credentials.TokenPair{
		Access: secret.New("access-" + name), Refresh: secret.New("refresh-" + name),
		ExpiresAt: time.Unix(1_700_000_000, 0).UTC(), IssuedAt: time.UnixMilli(1_699_999_000_123).UTC(),
	}
}

func mustBeSame(t *testing.T, got, want credentials.TokenPair) {
	t.Helper()
	if !got.Access.Equal(want.Access) || !got.Refresh.Equal(want.Refresh) || !got.ExpiresAt.Equal(want.ExpiresAt) || !got.IssuedAt.Equal(want.IssuedAt) {
		t.Fatalf("got the pair %s, %s, want %s, %s", got.Access.Reveal(), got.Refresh.Reveal(), want.Access.Reveal(), want.Refresh.Reveal())
	}
}

func appIsStoredWhole(t *testing.T, v credentials.Vault) {
	if _, err := v.App(t.Context(), credentials.ProviderStrava); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a missing app: %v", err)
	}
	want := credentials.App{
		ClientID: "1", ClientSecret: secret.New("s"), VerifyToken: secret.New("v"),
		CallbackKey: secret.New("k"), SubscriptionID: 5,
	}
	for range 2 {
		if err := v.SaveApp(t.Context(), credentials.ProviderStrava, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := v.App(t.Context(), credentials.ProviderStrava)
	if err != nil {
		t.Fatal(err)
	}
	if got.ClientID != "1" || !got.ClientSecret.Equal(want.ClientSecret) || !got.VerifyToken.Equal(want.VerifyToken) ||
		!got.CallbackKey.Equal(want.CallbackKey) || got.SubscriptionID != 5 {
		t.Fatal("got another app")
	}
}

func providersHaveTheirOwnApps(t *testing.T, v credentials.Vault) {
	for _, provider := range []string{credentials.ProviderStrava, "other"} {
		if err := v.SaveApp(t.Context(), provider, credentials.App{ClientID: provider}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := v.App(t.Context(), credentials.ProviderStrava); err != nil || got.ClientID != credentials.ProviderStrava {
		t.Errorf("%s, %v", got.ClientID, err)
	}
}

func newerPairKeepsOlder(t *testing.T, v credentials.Vault) {
	first, err := v.SaveTokens(t.Context(), credentials.Athlete(7), 5, pair("1"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := v.SaveTokens(t.Context(), credentials.Athlete(7), 5, pair("2"))
	if err != nil || second == first {
		t.Fatalf("versions %d and %d (%v)", first, second, err)
	}
	if _, err := v.SaveTokens(t.Context(), credentials.Account{Provider: "other", ID: "7"}, 5, pair("other")); err != nil {
		t.Fatal(err)
	}
	for version, want := range map[int64]credentials.TokenPair{first: pair("1"), second: pair("2")} {
		got, err := v.Tokens(t.Context(), credentials.Athlete(7), 5, version)
		if err != nil {
			t.Fatal(err)
		}
		mustBeSame(t, got, want)
	}
	got, latest, err := v.Latest(t.Context(), credentials.Athlete(7), 5)
	if err != nil || latest != second {
		t.Fatalf("the latest version is %d (%v)", latest, err)
	}
	mustBeSame(t, got, pair("2"))
	if _, err := v.Tokens(t.Context(), credentials.Athlete(7), 5, second+1); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a missing version: %v", err)
	}
}

func deletingRemovesAllVersions(t *testing.T, v credentials.Vault) {
	for _, name := range []string{"1", "2"} {
		if _, err := v.SaveTokens(t.Context(), credentials.Athlete(7), 5, pair(name)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := v.DeleteTokens(t.Context(), credentials.Athlete(7), 5); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []int64{1, 2} {
		if _, err := v.Tokens(t.Context(), credentials.Athlete(7), 5, version); !fault.Is(err, fault.NotFound) {
			t.Fatalf("version %d is still there (%v)", version, err)
		}
	}
	if _, _, err := v.Latest(t.Context(), credentials.Athlete(7), 5); !fault.Is(err, fault.NotFound) {
		t.Fatalf("the latest of none: %v", err)
	}
}

func generationsHaveTheirOwnParameters(t *testing.T, v credentials.Vault) {
	for generation, name := range map[int64]string{5: "1", 6: "2"} {
		if _, err := v.SaveTokens(t.Context(), credentials.Athlete(7), generation, pair(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.DeleteTokens(t.Context(), credentials.Athlete(7), 5); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Latest(t.Context(), credentials.Athlete(7), 5); !fault.Is(err, fault.NotFound) {
		t.Errorf("the deleted one: %v", err)
	}
	got, _, err := v.Latest(t.Context(), credentials.Athlete(7), 6)
	if err != nil {
		t.Fatal(err)
	}
	mustBeSame(t, got, pair("2"))
}

func pendingConnectsAreStoredUntilDeleted(t *testing.T, v credentials.Vault) {
	received := func(account credentials.Account, id string) credentials.PendingConnect {
		return credentials.PendingConnect{Account: account, ID: id, ReceivedAt: 5, Scopes: []string{"read", "activity:read"}, Tokens: pair(account.ID), Owner: credentials.Authorization{AthleteID: 8, Generation: 5}}
	}
	one, two := received(credentials.Athlete(7), "A"), received(credentials.Athlete(7), "B")
	for _, r := range []credentials.PendingConnect{one, one, two, received(credentials.Account{Provider: "other", ID: "X"}, "A")} {
		if err := v.SavePendingConnect(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	want := []credentials.PendingConnect{one, two}
	for len(want) > 0 {
		got, err := v.PendingConnects(t.Context(), credentials.ProviderStrava)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b credentials.PendingConnect) int { return strings.Compare(a.ID, b.ID) })
		if len(got) != len(want) {
			t.Fatalf("%d pairs, want %d", len(got), len(want))
		}
		for i := range want {
			mustBeSame(t, got[i].Tokens, want[i].Tokens)
			if got[i].Account != want[i].Account || got[i].ID != want[i].ID || got[i].Owner != want[i].Owner || got[i].ReceivedAt != want[i].ReceivedAt || !slices.Equal(got[i].Scopes, want[i].Scopes) {
				t.Errorf("got %+v, want %+v", got[i], want[i])
			}
		}
		for range 2 {
			if err := v.DeletePendingConnect(t.Context(), want[0]); err != nil {
				t.Fatal(err)
			}
		}
		want = want[1:]
	}
}
