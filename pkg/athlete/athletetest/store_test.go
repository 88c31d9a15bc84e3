package athletetest_test

import (
	"testing"

	"github.com/paceline/paceline/pkg/athlete/athletetest"
)

func TestStoreConforms(t *testing.T) {
	s := athletetest.NewStore()
	athletetest.Run(t, s)
}
