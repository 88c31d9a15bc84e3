package gatheringtest_test

import (
	"testing"

	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
)

func TestMemory(t *testing.T) {
	gatheringtest.RunStorage(t, func(*testing.T) gatheringtest.Storage { return gatheringtest.NewStore() })
}
