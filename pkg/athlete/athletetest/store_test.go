package athletetest_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
)

func TestStoresInMemoryConform(t *testing.T) {
	athletetest.Run(t, func(*testing.T) athlete.Ports {
		ports, _ := athletetest.NewPorts(time.Now)
		return ports
	})
}
