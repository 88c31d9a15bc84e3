package gathering

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// named returns n activities, each with its own id and all with that name.
func named(n int, name string) (list []gatheringv1.Activity) {
	for i := range n {
		list = append(list, gatheringv1.Activity{
			ID: int64(20_000_000_000 + i), Name: name, SportType: "Run", StartDate: "2025-07-20T16:00:00Z", StartDateLocal: "2025-07-20T18:00:00Z",
			Timezone: "Europe/Berlin", Visibility: "everyone", DeviceName: "Garmin Forerunner 965",
		})
	}
	return list
}

func TestChunksFitIntoEvents(t *testing.T) {
	const eventBridge = 256_000 // Bytes of an entry.
	for _, name := range []string{
		"Lunch Run", strings.Repeat("a", 255), strings.Repeat("<", 500), strings.Repeat("🏃", 500), strings.Repeat("\u2028", 500), strings.Repeat(`"`, 4000), strings.Repeat("a", 10_000),
	} {
		for _, n := range []int{0, 1, 49, 50, 51, 200} {
			for _, long := range []int{0, 1, n / 2, n} {
				list := append(named(n-min(long, n), "Run"), named(min(long, n), name)...)
				what := fmt.Sprintf("%d activities, %d of them called %.3q (%d bytes)", n, long, name, len(name))
				got := chunks(list)
				if !slices.EqualFunc(slices.Concat(got...), list, func(a, b gatheringv1.Activity) bool { return reflect.DeepEqual(a, b) }) {
					t.Errorf("%s: the chunks hold other activities, or in another order", what)
				}
				if !reflect.DeepEqual(got, chunks(list)) {
					t.Errorf("%s: divided in another way the second time", what)
				}
				for i, chunk := range got {
					if len(chunk) == 0 || len(chunk) > gatheringv1.MaxActivities {
						t.Errorf("%s: a chunk of %d", what, len(chunk))
					}
					e := event.Event{Meta: event.Meta{OccurredAt: time.Unix(0, 0)}, Fact: gatheringv1.ActivitiesGathered{Activities: chunk}}
					detail, err := e.Detail()
					if err != nil || len(detail) > eventBridge/2+4096 {
						t.Errorf("%s: an event of %d bytes, %v", what, len(detail), err)
					}
					// As few chunks as can be: the next activity would not have fitted.
					if i+1 < len(got) && len(chunk) < gatheringv1.MaxActivities && size(t, append(slices.Clone(chunk), got[i+1][0])) <= maxChunkBytes {
						t.Errorf("%s: chunk %d of %d has room for more", what, i, len(got))
					}
				}
			}
		}
	}
}

func size(t *testing.T, list []gatheringv1.Activity) int {
	t.Helper()
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return len(b) - len("[")
}

func TestAnActivityThatFillsAChunkIsAlone(t *testing.T) {
	large := named(1, strings.Repeat("<", maxChunkBytes/6))
	list := slices.Concat(large, named(2, "Run"), large, large)
	var sizes []int
	for _, chunk := range chunks(list) {
		sizes = append(sizes, len(chunk))
	}
	if !slices.Equal(sizes, []int{1, 2, 1, 1}) {
		t.Errorf("chunks of %v", sizes)
	}
}
