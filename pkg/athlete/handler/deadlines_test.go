package handler_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/kit/emf"
)

// broken is an inventory that ends early.
type broken struct{ athlete.Inventory }

func (b broken) Each(ctx context.Context, v athlete.Visitor) error {
	return errors.Join(b.Inventory.Each(ctx, v), errors.New("boom"))
}

// TestAFailedCountReportsNoZero: a 0 would end an alarm, and a missing figure
// does not.
func TestAFailedCountReportsNoZero(t *testing.T) {
	var out bytes.Buffer
	ports := newPlane(t).ports
	mustOpen(t, ports, "r", now.Add(-time.Hour))
	mustOpen(t, ports, "new", now)
	ports.Inventory = broken{ports.Inventory}
	deadlines := ports.Deadlines()
	m := emf.New(&out, time.Now, "ns", "stage")
	if _, err := emf.Flushing(m, handler.EnforceDeadlines(deadlines, m))(t.Context(), struct{}{}); err == nil {
		t.Error("it did not fail")
	}
	if line := out.String(); !strings.Contains(line, `"ErasuresOverdue":1,"ErasuresPending":2,`) || strings.Contains(line, `":0`) {
		t.Errorf("reported %s", line)
	}
}

// TestErasuresThatCannotBeCountedAreAnError, because a count of none clears the
// stage.
func TestErasuresThatCannotBeCountedAreAnError(t *testing.T) {
	ports := newPlane(t).ports
	ports.Inventory = broken{ports.Inventory}
	if _, err := handler.CountErasures(ports.ErasureCounter())(t.Context(), handler.CountErasuresRequest{}); err == nil {
		t.Error("it did not fail")
	}
}
