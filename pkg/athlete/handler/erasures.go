package handler

import (
	"context"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// CountErasuresRequest is what count-erasures is invoked with.
type CountErasuresRequest struct {
	// Receipts were issued for erasures that the athlete plane may not know of
	// yet. One that it does not know counts as pending.
	Receipts []ReceiptView `json:"receipts,omitempty"`
}

// ReceiptView names an erasure, as [athlete.IssuedReceipt].
type ReceiptView struct {
	Receipt     string    `json:"receipt"`
	RequestedAt time.Time `json:"requested_at"`
}

// ErasuresView counts erasures, as [athlete.ErasureCounts].
type ErasuresView struct {
	Pending   int `json:"pending"`
	Overdue   int `json:"overdue"`
	Completed int `json:"completed_in_7_days"`
}

// CountErasures counts erasures for an admin.
func CountErasures(c *athlete.ErasureCounter) func(context.Context, CountErasuresRequest) (ErasuresView, error) {
	return func(ctx context.Context, req CountErasuresRequest) (ErasuresView, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		var issued []athlete.IssuedReceipt
		for _, r := range req.Receipts {
			issued = append(issued, athlete.IssuedReceipt(r))
		}
		counts, err := c.Count(ctx, issued)
		return ErasuresView(counts), err
	}
}
