package aws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	"github.com/paceline/paceline/pkg/athlete/ddb"
)

func mustAthletesTable(t *testing.T) string {
	return mustTable(t, dynamodb.CreateTableInput{
		AttributeDefinitions: []types.AttributeDefinition{attribute("pk", types.ScalarAttributeTypeS)},
		KeySchema:            primaryKey("pk"),
	})
}

func TestAthletesTableConforms(t *testing.T) {
	for name, client := range clients(t, 2) {
		t.Run(name, func(t *testing.T) {
			athletetest.Run(t, func(t *testing.T) athlete.Ports {
				table := mustAthletesTable(t)
				return athlete.Ports{
					Accounts: ddb.NewAccounts(client, table), Erasures: ddb.NewErasures(client, table), Inventory: ddb.NewInventory(client, table),
				}
			})
		})
	}
}

func TestAthleteItemsHoldWhatTheyShould(t *testing.T) {
	name := mustAthletesTable(t)
	client := dynamodb.NewFromConfig(mustConfig(t))
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	_, err := ddb.NewAccounts(client, name).Update(t.Context(), 42, func(a *athlete.Account) (bool, error) {
		a.RevokedGeneration, a.Receipt, a.ExpiresAt = 7, "done", at
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, erasure := range []athlete.Erasure{
		{Receipt: "early", Confirmed: map[string]time.Time{"a": at}},
		{Receipt: "open", RequestedAt: at},
		{Receipt: "done", RequestedAt: at, Parts: []string{"a"}, Confirmed: map[string]time.Time{"a": at}},
	} {
		_, err := ddb.NewErasures(client, name).Update(t.Context(), erasure.Receipt, func(e *athlete.Erasure) (bool, error) {
			*e = erasure
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]string{}
	for _, item := range mustItems(t, name) {
		var attributes []string
		for _, attribute := range []string{
			"revision", "profile", "profile_generation", "profile_read_at", "erasure_request", "revoked_generation", "receipt", "requested_at", "parts", "confirmed",
		} {
			if _, there := item[attribute]; there {
				attributes = append(attributes, attribute)
				delete(item, attribute)
			}
		}
		pk := item["pk"].(*types.AttributeValueMemberS).Value
		delete(item, "pk")
		if expires, there := item["expires_at"].(*types.AttributeValueMemberN); there {
			attributes = append(attributes, "expires_at="+expires.Value)
			delete(item, "expires_at")
		}
		got[pk] = strings.Join(attributes, " ")
		if len(item) > 0 {
			t.Errorf("%s has more: %v", pk, item)
		}
	}
	want := map[string]string{
		"athlete#42":    "revision revoked_generation receipt expires_at=1795176000",
		"erasure#early": "revision confirmed",
		"erasure#open":  "revision requested_at",
		"erasure#done":  "revision requested_at parts confirmed",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
