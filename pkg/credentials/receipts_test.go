package credentials_test

import (
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/retention"
	"github.com/paceline/paceline/standin/strava"
)

// TestReceiptsOfAReturnedAthleteAreForgotten: an athlete who connects again
// leaves no lasting reference from the grant to the athlete plane's erasures.
func TestReceiptsOfAReturnedAthleteAreForgotten(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.connected(id)
	if _, err := w.admin.RevokeAthlete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	generation := w.connected(id)
	w.clock.Advance(retention.Tombstone)
	w.mustAnswer(id, generation) // It takes a refresh.
	if left := w.grant(id).Completed; len(left) > 0 {
		t.Errorf("the grant still holds %+v", left)
	}
}

// TestARepeatedRequestKeepsOneReceipt: the athlete plane publishes a request again
// until its own part is done.
func TestARepeatedRequestKeepsOneReceipt(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	requestedAt := w.clock.Now()
	for range 3 {
		if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", requestedAt); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(15 * time.Minute)
	}
	w.mustBeErased(id, "in the end")
	if kept := w.grant(id).Completed; len(kept) != 1 || !kept[0].RequestedAt.Equal(requestedAt) {
		t.Errorf("the grant holds %+v", kept)
	}
}

// TestATombstoneOutlivesItsLastReceipt, also when the end was completed late, or the
// request came late.
func TestATombstoneOutlivesItsLastReceipt(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	if _, err := w.admin.RevokeAthlete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	w.clock.Advance(retention.Tombstone - 7*time.Hour)
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "late", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	g := w.grant(id)
	if !slices.ContainsFunc(g.Completed, func(c credentials.CompletedRevocation) bool { return c.Receipt == "late" }) {
		t.Fatalf("the request is not completed: %+v", g)
	}
	if until, want := g.TombstoneUntil(), w.clock.Now().Add(retention.Tombstone); !until.Equal(want) {
		t.Errorf("kept until %v, want %v", until, want)
	}
}
