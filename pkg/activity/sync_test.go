package activity_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

func progress(generation int64, scan string, sequence int64, state string, chunks int) gatheringv1.ScanProgressed {
	return gatheringv1.ScanProgressed{AthleteID: 1, Generation: generation, ScanID: scan, Sequence: sequence, State: state, Chunks: chunks}
}

func TestStatusOfSync(t *testing.T) {
	resumes := time.Date(2026, 11, 20, 12, 15, 0, 0, time.UTC)
	waiting := progress(1, "a", 2, gatheringv1.ScanWaiting, 2)
	waiting.WaitingFor, waiting.ResumesAt = gatheringv1.WaitingForQuota, &resumes
	store := func(scan string, chunk, n int) func(*activity.Sync) {
		return func(s *activity.Sync) { s.Store(1, gatheringv1.ScanChunk{ScanID: scan, Number: chunk}, n) }
	}
	report := func(f gatheringv1.ScanProgressed) func(*activity.Sync) {
		return func(s *activity.Sync) { s.Report(f) }
	}
	for name, tc := range map[string]struct {
		steps []func(*activity.Sync)
		want  activity.Status
	}{
		"nothing known": {nil, activity.Status{State: activity.Backfilling}},
		"scanning": {
			[]func(*activity.Sync){report(progress(1, "a", 1, gatheringv1.ScanScanning, 2)), store("a", 0, 50)},
			activity.Status{State: activity.Backfilling, Gathered: 50},
		},
		"waiting": {
			[]func(*activity.Sync){report(waiting), store("a", 0, 50)},
			activity.Status{State: activity.Waiting, Gathered: 50, WaitingFor: "quota", ResumesAt: &resumes},
		},
		"waited": {
			[]func(*activity.Sync){report(waiting), report(progress(1, "a", 3, gatheringv1.ScanScanning, 2))},
			activity.Status{State: activity.Backfilling},
		},
		"completed, a chunk is missing": {
			[]func(*activity.Sync){report(progress(1, "a", 9, gatheringv1.ScanCompleted, 3)), store("a", 0, 50), store("a", 2, 7)},
			activity.Status{State: activity.Backfilling, Gathered: 57},
		},
		"completed, stray chunks do not make up for a missing one": {
			[]func(*activity.Sync){report(progress(1, "a", 9, gatheringv1.ScanCompleted, 2)), store("a", 0, 50), store("a", 2, 7)},
			activity.Status{State: activity.Backfilling, Gathered: 57},
		},
		"completed": {
			[]func(*activity.Sync){report(progress(1, "a", 9, gatheringv1.ScanCompleted, 2)), store("a", 1, 7), store("a", 0, 50)},
			activity.Status{State: activity.Current, Gathered: 57},
		},
		"completed without any activity": {
			[]func(*activity.Sync){report(progress(1, "a", 0, gatheringv1.ScanCompleted, 0))},
			activity.Status{State: activity.Current},
		},
		"a repeated chunk counts once, by its largest size": {
			[]func(*activity.Sync){store("a", 0, 49), store("a", 0, 50), store("a", 0, 48)},
			activity.Status{State: activity.Backfilling, Gathered: 50},
		},
		"a newer scan replaces an older": {
			[]func(*activity.Sync){
				report(progress(1, "a", 9, gatheringv1.ScanCompleted, 1)), store("a", 0, 50),
				store("b", 0, 3), store("a", 1, 50), report(progress(1, "a", 99, gatheringv1.ScanCompleted, 1)),
			},
			activity.Status{State: activity.Backfilling, Gathered: 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s activity.Sync
			for _, step := range tc.steps {
				step(&s)
			}
			if d := cmp.Diff(tc.want, s.Status()); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// The end is the same in whatever order reports and chunks come, and however
// often.
func TestSyncIsTheSameInEveryOrder(t *testing.T) {
	var steps []func(*activity.Sync) bool
	scans := []struct {
		generation int64
		id         string
	}{{1, "b"}, {2, "a"}, {2, "b"}}
	for _, scan := range scans {
		for n := range 4 {
			steps = append(steps,
				func(s *activity.Sync) bool {
					return s.Store(scan.generation, gatheringv1.ScanChunk{ScanID: scan.id, Number: n}, 10+n)
				},
				func(s *activity.Sync) bool {
					state := gatheringv1.ScanScanning
					if n == 3 {
						state = gatheringv1.ScanCompleted
					}
					return s.Report(progress(scan.generation, scan.id, int64(n), state, n+1))
				})
		}
	}
	want := activity.Sync{
		Generation: 2, ScanID: "b", Sequence: 3, State: gatheringv1.ScanCompleted, Chunks: 4,
		Stored: map[int]int{0: 10, 1: 11, 2: 12, 3: 13},
	}
	for seed := range uint64(200) {
		order := append(steps, steps...)
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		var s activity.Sync
		for _, step := range order {
			step(&s)
		}
		if d := cmp.Diff(want, s); d != "" {
			t.Fatalf("seed %d (-want +got)\n%s", seed, d)
		}
		for _, step := range order {
			if step(&s) {
				t.Fatalf("seed %d: a repetition says that it changed something", seed)
			}
		}
	}
}
