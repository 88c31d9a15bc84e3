package credentials

import (
	"context"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// Receipts follows erasures until every boundary has confirmed its part.
type Receipts struct {
	Erasures  Erasures
	Publisher Publisher
	Events    event.Factory
}

// open begins an erasure that the parts have to confirm.
func (r Receipts) open(ctx context.Context, receipt string, requestedAt time.Time, parts []string) error {
	if err := r.Erasures.Open(ctx, Erasure{Receipt: receipt, RequestedAt: requestedAt, Pending: parts}); err != nil {
		return fmt.Errorf("open erasure: %w", err)
	}
	return nil
}

// ConfirmErasure notes that one boundary has erased its part of what the receipt
// stands for, and issues the receipt when it was the last. A confirmation that
// comes again issues nothing, unless the receipt could not be announced before.
func (r Receipts) ConfirmErasure(ctx context.Context, cause event.Meta, receipt, part string) error {
	erasure, err := r.Erasures.Confirm(ctx, receipt, part, r.Events.Now())
	if err != nil {
		return fmt.Errorf("confirm erasure: %w", err)
	}
	if len(erasure.Pending) > 0 || erasure.Issued {
		return nil
	}
	completedAt, err := r.Erasures.Complete(ctx, receipt, r.Events.Now())
	if err != nil {
		return fmt.Errorf("complete erasure: %w", err)
	}
	err = r.Publisher.Publish(ctx, r.Events.CausedBy(cause, credentialsv1.ErasureReceiptIssued{
		Receipt: receipt, RequestedAt: erasure.RequestedAt.UTC(), CompletedAt: completedAt.UTC(), Erased: erasure.parts(),
	}))
	if err != nil {
		return fmt.Errorf("issue receipt: %w", err)
	}
	if err := r.Erasures.Issued(ctx, receipt); err != nil {
		return fmt.Errorf("note the issued receipt: %w", err)
	}
	return nil
}
