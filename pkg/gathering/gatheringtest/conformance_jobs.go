package gatheringtest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

func jobsAreListedByClass(t *testing.T, s Storage) {
	add := func(id int64, class quota.Class, minutes, leased int) {
		t.Helper()
		_, err := s.Update(t.Context(), id, func(a *gathering.Athlete) (bool, error) {
			a.Generation, a.State, a.Job = 1, gathering.Active, gathering.Job{Class: class, Due: at(minutes)}
			if leased > 0 {
				a.Job.LeasedUntil = at(leased)
			}
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	add(1, quota.Backfill, 3, 0)
	add(2, quota.Backfill, 1, 0)
	add(3, quota.Backfill, 2, 7) // Leased: it is due when the lease ends.
	add(4, quota.Backfill, 9, 0) // Later.
	add(5, quota.Spare, 0, 0)
	add(6, quota.Backfill, 0, 0)
	add(6, "", 0, 0) // Done.
	open(t, s, 1, 1)
	change(t, s, 1, func(m *gathering.Inbox) { m.Job = gathering.Job{Class: quota.Backfill, Due: at(2)} })

	scan := func(id int64, minutes int) gathering.JobRef {
		return gathering.JobRef{AthleteID: id, Kind: gathering.JobScan, Class: quota.Backfill, Due: at(minutes)}
	}
	want := []gathering.JobRef{
		scan(2, 1), {AthleteID: 1, Kind: gathering.JobInbox, Class: quota.Backfill, Due: at(2)}, scan(1, 3), scan(3, 7),
	}
	got := due(t, s, quota.Backfill, at(8), nil, 9)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want[:2], due(t, s, quota.Backfill, at(2), nil, 9)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want[1:3], due(t, s, quota.Backfill, at(8), &want[0], 2)); d != "" {
		t.Error(d)
	}
	if got := due(t, s, quota.Webhook, at(8), nil, 9); len(got) != 0 {
		t.Errorf("of another class: %+v", got)
	}
	for class, want := range map[quota.Class]gathering.Waiting{
		quota.Backfill: {Count: 4, Oldest: at(1)}, quota.Spare: {Count: 1, Oldest: at(0)}, quota.Leave: {},
	} {
		if got, err := s.Waiting(t.Context(), class, at(8)); err != nil || !cmp.Equal(got, want) {
			t.Errorf("class %s: %+v, error %v", class, got, err)
		}
	}
}

func jobsAreListedPageByPage(t *testing.T, s Storage) {
	for id := range int64(25) {
		_, err := s.Update(t.Context(), id+1, func(a *gathering.Athlete) (bool, error) {
			a.Generation, a.State, a.Job = 1, gathering.Active, gathering.Job{Class: quota.Spare, Due: at(1)}
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var ids []int64
	var last *gathering.JobRef
	for range 10 {
		refs := due(t, s, quota.Spare, at(1), last, 10)
		for _, p := range refs {
			ids = append(ids, p.AthleteID)
			last = &p
		}
		if len(refs) < 10 {
			break
		}
	}
	slices.Sort(ids)
	if len(ids) != 25 || len(slices.Compact(ids)) != 25 {
		t.Errorf("listed the athletes %v", ids)
	}
}
