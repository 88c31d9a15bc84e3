package handler_test

import (
	"os"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/consume"
)

// TestEventsOfTheContracts: each sample of a consumed event, delivered as a queue
// message, reaches its use case.
func TestEventsOfTheContracts(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	ports, memory := credentialstest.NewPorts(func() time.Time { return now })
	store := memory.Store
	reconciler := ports.Reconciler(ports.Tokens())
	// There is no provider, so tasks stay pending.
	handle := consume.Handler(ports.Log, handler.EventRoutes(reconciler)...)
	const athleteID = 4242424 // the samples'
	if _, err := store.Update(t.Context(), credentials.Athlete(athleteID), func(g *credentials.Grant) (bool, error) {
		g.State, g.Generation, g.Tokens = credentials.Active, 1, credentials.TokenRef{Sealed: []byte("x")}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	deliver := func(sample string) {
		t.Helper()
		body, err := os.ReadFile("../../event/" + sample)
		if err != nil {
			t.Fatal(err)
		}
		out, err := handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: string(body)}}})
		if err != nil || len(out.BatchItemFailures) > 0 {
			t.Fatalf("%s: %v, %v", sample, out, err)
		}
	}
	grant := func() credentials.Grant {
		t.Helper()
		g, err := store.Grant(t.Context(), credentials.Athlete(athleteID))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}

	deliver("gatheringv1/testdata/DeauthorizationReported.json")
	if g := grant(); g.State == credentials.Revoked || g.ClaimCheckedAt.IsZero() {
		t.Errorf("a claim: %+v", g)
	}
	deliver("athletev1/testdata/ErasureRequested.json")
	if g := grant(); g.State != credentials.Revoked && g.State != credentials.Erased || g.EndRequestedAt.IsZero() {
		t.Fatalf("a request to leave: %+v", g)
	}
	revoked := eventtest.Facts[credentialsv1.AuthorizationRevoked](memory.Bus)
	if len(revoked) != 1 || revoked[0].AthleteID != athleteID || revoked[0].Reason != credentialsv1.RevokedLeft {
		t.Errorf("published %+v", revoked)
	}
}
