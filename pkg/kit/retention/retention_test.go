package retention_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/retention"
)

func TestDay(t *testing.T) {
	for age, want := range map[time.Duration]int{
		-time.Hour: 0, 0: 0, 24*time.Hour - 1: 0, 24 * time.Hour: 1,
		retention.StravaData - 1: 6, retention.StravaData: 7, 100 * retention.StravaData: 7,
	} {
		if got := retention.Day(age); got != want {
			t.Errorf("the age %v counts as day %d, not %d", age, got, want)
		}
	}
	if retention.Days != 8 {
		t.Errorf("%d ages", retention.Days)
	}
}

func TestTombstonesOutliveReadings(t *testing.T) {
	if retention.Tombstone <= retention.StravaData+retention.Grace {
		t.Error("a reading can be stored for longer than its tombstone")
	}
}
