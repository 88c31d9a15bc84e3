package activity_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

func progress(generation int64, scan string, sequence int64, state string, chunks int) gatheringv1.ScanProgressed {
	return gatheringv1.ScanProgressed{AthleteID: 1, Generation: generation, ScanID: scan, Sequence: sequence, State: state, Chunks: chunks}
}

func TestProgressOfSync(t *testing.T) {
	resumes := time.Date(2026, 11, 20, 12, 15, 0, 0, time.UTC)
	waiting := progress(1, "a", 2, gatheringv1.ScanWaiting, 2)
	finishes := resumes.Add(time.Hour)
	waiting.WaitingFor, waiting.ResumesAt, waiting.FinishesAt = gatheringv1.WaitingForRateLimit, &resumes, &finishes
	now := activitytest.At(0)
	storeAt := func(scan string, chunk, n int, at time.Time) func(*activity.Sync) {
		return func(s *activity.Sync) {
			s.Store(1, gatheringv1.ScanChunk{ScanID: scan, Number: chunk}, activity.StoredChunk{Activities: n, ReadAt: at})
		}
	}
	store := func(scan string, chunk, n int) func(*activity.Sync) { return storeAt(scan, chunk, n, now) }
	tooOld := now.Add(-retention.StravaData)
	report := func(f gatheringv1.ScanProgressed) func(*activity.Sync) {
		return func(s *activity.Sync) { s.Report(f) }
	}
	reconcile := func(s *activity.Sync) { s.Reconcile(*s) }
	for name, tc := range map[string]struct {
		steps []func(*activity.Sync)
		want  activity.Progress
	}{
		"nothing known": {nil, activity.Progress{State: activity.Backfilling}},
		"complete after it went back and found less": {
			[]func(*activity.Sync){
				store("a", 0, 50), store("a", 1, 50), store("a", 2, 1),
				report(progress(1, "a", 5, gatheringv1.ScanCompleted, 2)), reconcile,
			},
			activity.Progress{State: activity.Current, Gathered: 100},
		},
		"scanning": {
			[]func(*activity.Sync){report(progress(1, "a", 1, gatheringv1.ScanScanning, 2)), store("a", 0, 50)},
			activity.Progress{State: activity.Backfilling, Gathered: 50},
		},
		"waiting": {
			[]func(*activity.Sync){report(waiting), store("a", 0, 50)},
			activity.Progress{State: activity.Waiting, Gathered: 50, WaitingFor: "rate_limit", ResumesAt: &resumes, FinishesAt: &finishes},
		},
		"waited": {
			[]func(*activity.Sync){report(waiting), report(progress(1, "a", 3, gatheringv1.ScanScanning, 2))},
			activity.Progress{State: activity.Backfilling},
		},
		"completed, a chunk is missing": {
			[]func(*activity.Sync){report(progress(1, "a", 9, gatheringv1.ScanCompleted, 3)), store("a", 0, 50), store("a", 2, 7)},
			activity.Progress{State: activity.Backfilling, Gathered: 57},
		},
		"completed, stray chunks do not make up for a missing one": {
			[]func(*activity.Sync){report(progress(1, "a", 9, gatheringv1.ScanCompleted, 2)), store("a", 0, 50), store("a", 2, 7)},
			activity.Progress{State: activity.Backfilling, Gathered: 57},
		},
		"completed": {
			[]func(*activity.Sync){report(progress(1, "a", 9, gatheringv1.ScanCompleted, 2)), store("a", 1, 7), store("a", 0, 50), reconcile},
			activity.Progress{State: activity.Current, Gathered: 57},
		},
		"completed, what it did not find is still there": {
			[]func(*activity.Sync){report(progress(1, "a", 9, gatheringv1.ScanCompleted, 1)), store("a", 0, 50)},
			activity.Progress{State: activity.Backfilling, Gathered: 50},
		},
		"the next scan is completed, what it did not find is still there": {
			[]func(*activity.Sync){
				report(progress(1, "a", 9, gatheringv1.ScanCompleted, 1)), store("a", 0, 50), reconcile,
				store("b", 0, 3), report(progress(1, "b", 9, gatheringv1.ScanCompleted, 1)),
			},
			activity.Progress{State: activity.Current, Gathered: 50},
		},
		"a scan takes the place of one that was never reconciled": {
			[]func(*activity.Sync){
				report(progress(1, "a", 9, gatheringv1.ScanCompleted, 1)), store("a", 0, 50), reconcile,
				store("b", 0, 3), report(progress(1, "b", 9, gatheringv1.ScanCompleted, 1)), store("c", 0, 4),
			},
			activity.Progress{State: activity.Current, Gathered: 50},
		},
		"completed without any activity": {
			[]func(*activity.Sync){report(progress(1, "a", 0, gatheringv1.ScanCompleted, 0)), reconcile},
			activity.Progress{State: activity.Current},
		},
		"a repeated chunk counts once, by its latest reading": {
			[]func(*activity.Sync){store("a", 0, 50), storeAt("a", 0, 51, now.Add(1)), store("a", 0, 52)},
			activity.Progress{State: activity.Backfilling, Gathered: 51},
		},
		"completed, a chunk is too old": {
			[]func(*activity.Sync){
				report(progress(1, "a", 9, gatheringv1.ScanCompleted, 2)), storeAt("a", 0, 50, tooOld), storeAt("a", 1, 7, tooOld.Add(1)), reconcile,
			},
			activity.Progress{State: activity.Backfilling, Gathered: 7},
		},
		"a newer scan replaces an older": {
			[]func(*activity.Sync){
				report(progress(1, "a", 9, gatheringv1.ScanCompleted, 2)), store("a", 0, 50),
				store("b", 0, 3), store("a", 1, 50), report(progress(1, "a", 99, gatheringv1.ScanCompleted, 1)),
			},
			activity.Progress{State: activity.Backfilling, Gathered: 3},
		},
		"the next scan does not show": {
			[]func(*activity.Sync){
				report(progress(1, "a", 9, gatheringv1.ScanCompleted, 1)), store("a", 0, 50), reconcile, store("b", 0, 3),
				report(progress(1, "c", 1, gatheringv1.ScanScanning, 1)),
			},
			activity.Progress{State: activity.Current, Gathered: 50},
		},
		"until it is reconciled": {
			[]func(*activity.Sync){
				report(progress(1, "a", 9, gatheringv1.ScanCompleted, 1)), store("a", 0, 50), reconcile,
				store("b", 0, 3), report(progress(1, "b", 9, gatheringv1.ScanCompleted, 1)), reconcile,
			},
			activity.Progress{State: activity.Current, Gathered: 3},
		},
		"the next scan shows when what the one before found is too old": {
			[]func(*activity.Sync){
				report(progress(1, "a", 9, gatheringv1.ScanCompleted, 1)), storeAt("a", 0, 50, tooOld), reconcile, store("b", 0, 3),
			},
			activity.Progress{State: activity.Backfilling, Gathered: 3},
		},
		"the next authorization's scan shows": {
			[]func(*activity.Sync){
				report(progress(1, "a", 9, gatheringv1.ScanCompleted, 1)), store("a", 0, 50), reconcile,
				report(progress(2, "a", 1, gatheringv1.ScanScanning, 1)),
			},
			activity.Progress{State: activity.Backfilling},
		},
		"the next scan waits for the athlete": {
			[]func(*activity.Sync){
				report(progress(1, "a", 9, gatheringv1.ScanCompleted, 1)), store("a", 0, 50), reconcile, store("b", 0, 3),
				report(gatheringv1.ScanProgressed{
					AthleteID: 1, Generation: 1, ScanID: "b", Sequence: 2, State: gatheringv1.ScanWaiting, Chunks: 1, WaitingFor: gatheringv1.WaitingForReconnect,
				}),
			},
			activity.Progress{State: activity.Waiting, Gathered: 3, WaitingFor: "reconnect"},
		},
		"nothing was there, and the next scan began": {
			[]func(*activity.Sync){report(progress(1, "a", 9, gatheringv1.ScanCompleted, 0)), reconcile, report(progress(1, "b", 1, gatheringv1.ScanScanning, 1))},
			activity.Progress{State: activity.Current},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s activity.Sync
			for _, step := range tc.steps {
				step(&s)
			}
			if d := cmp.Diff(tc.want, s.Progress(tooOld)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func chunkOf(n int) activity.StoredChunk {
	return activity.StoredChunk{Activities: 10 + n, ReadAt: activitytest.At(n)}
}

// The result is the same for every order of reports and chunks, and with
// duplicates.
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
					return s.Store(scan.generation, gatheringv1.ScanChunk{ScanID: scan.id, Number: n}, chunkOf(n))
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
		Stored: map[int]activity.StoredChunk{0: chunkOf(0), 1: chunkOf(1), 2: chunkOf(2), 3: chunkOf(3)},
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

// A scan is not reconciled if it has reported again since it was judged, or if
// another one has begun.
func TestOnlyTheJudgedScanIsReconciled(t *testing.T) {
	var s activity.Sync
	s.Report(progress(1, "a", 9, gatheringv1.ScanCompleted, 0))
	judged := s
	for name, newer := range map[string]gatheringv1.ScanProgressed{
		"a later report":          progress(1, "a", 10, gatheringv1.ScanCompleted, 1),
		"a later scan":            progress(1, "b", 9, gatheringv1.ScanCompleted, 0),
		"a later authorization's": progress(2, "a", 9, gatheringv1.ScanCompleted, 0),
	} {
		now := judged
		now.Report(newer)
		if now.Reconcile(judged) || now.Reconciled {
			t.Errorf("%s is reconciled by the judgement of an earlier one", name)
		}
	}
	if !s.Reconcile(judged) || !s.Reconciled || s.Reconcile(judged) {
		t.Error("the scan itself is not reconciled once")
	}
}
