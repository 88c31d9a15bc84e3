package activitytest_test

import (
	"testing"

	"github.com/paceline/paceline/pkg/activity/activitytest"
)

func TestStoreConforms(t *testing.T) {
	s := activitytest.NewStore()
	activitytest.Run(t, activitytest.Subject{WriteStore: s, ReadStore: s, Held: s.Held})
}
