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
		t.Run(name, func(t *testing.T) { athletetest.Run(t, ddb.New(client, mustAthletesTable(t))) })
	}
}

func TestAthleteItemsHoldWhatTheyShould(t *testing.T) {
	name := mustAthletesTable(t)
	table := ddb.New(dynamodb.NewFromConfig(mustConfig(t)), name)
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	_, err := table.Update(t.Context(), 42, func(a *athlete.Account) (bool, error) {
		a.Revoked, a.Receipt, a.Expires = 7, "done", at
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Open(t.Context(), athlete.Erasure{Receipt: "open", RequestedAt: at}); err != nil {
		t.Fatal(err)
	}
	if err := table.Complete(t.Context(), athlete.Erasure{Receipt: "done", RequestedAt: at, CompletedAt: at}); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, item := range mustItems(t, name) {
		var attributes []string
		for _, attribute := range []string{"version", "profile", "generation", "read_at", "leave", "revoked_generation", "receipt", "requested_at", "completed_at"} {
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
		"athlete#42":   "version revoked_generation receipt expires_at=1795176000",
		"erasure#open": "requested_at",
		"erasure#done": "requested_at completed_at expires_at=1797768000",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
