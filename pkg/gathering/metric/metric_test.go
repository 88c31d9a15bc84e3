package metric_test

import (
	"slices"
	"testing"

	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

func TestEveryClassOfWorkHasMetrics(t *testing.T) {
	var classes []string
	for _, c := range quota.Classes {
		classes = append(classes, string(c))
	}
	if !slices.Equal(metric.Classes, classes) {
		t.Errorf("metrics for the classes %v, but the classes are %v", metric.Classes, classes)
	}
}
