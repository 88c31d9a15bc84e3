package handler_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	"github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/kit/emf"
)

// broken is an inventory that ends early.
type broken struct{ athlete.Inventory }

func (b broken) Each(ctx context.Context, profile func(int64, time.Time) error,
	leave func(int64, athlete.Leave) error, erasure func(athlete.Erasure) error,
) error {
	return errors.Join(b.Inventory.Each(ctx, profile, leave, erasure), errors.New("boom"))
}

// TestWhoCouldNotCountReportsNoZero: the alarms take a 0 for peace, and a figure
// that is missing for none.
func TestWhoCouldNotCountReportsNoZero(t *testing.T) {
	var out bytes.Buffer
	store := athletetest.NewStore()
	if err := store.Open(t.Context(), athlete.Erasure{Receipt: "r", RequestedAt: now.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	deadlines := &athlete.Deadlines{Service: newPlane(t).service, Inventory: broken{store}}
	m := emf.New(&out, time.Now, "ns", "stage")
	if _, err := emf.Flushing(m, handler.EnforceDeadlines(deadlines, m))(t.Context(), struct{}{}); err == nil {
		t.Error("it did not fail")
	}
	if line := out.String(); !strings.Contains(line, `"ErasuresOverdue":1,"ErasuresPending":1,`) || strings.Contains(line, `":0`) {
		t.Errorf("reported %s", line)
	}
}
