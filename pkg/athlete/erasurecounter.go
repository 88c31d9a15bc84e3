package athlete

import (
	"context"
	"fmt"
	"time"
)

// ErasureCounts counts erasures.
type ErasureCounts struct {
	// Pending are not completed. Overdue are those of them that are older than
	// [ErasureTime].
	Pending, Overdue int
	// Completed were completed in the last seven days.
	Completed int
}

// erasuresCounted is for how long a completed erasure counts.
const erasuresCounted = 7 * 24 * time.Hour

func (c *ErasureCounts) add(e Erasure, now time.Time) {
	if completed := e.CompletedAt(); !completed.IsZero() {
		if now.Sub(completed) < erasuresCounted {
			c.Completed++
		}
		return
	}
	c.Pending++
	if now.Sub(e.began()) >= ErasureTime {
		c.Overdue++
	}
}

// IssuedReceipt is a receipt that another boundary has issued for an erasure.
type IssuedReceipt struct {
	Receipt     string
	RequestedAt time.Time
}

// ErasureCounter counts erasures for an admin.
type ErasureCounter struct {
	Inventory Inventory
	Now       func() time.Time
}

// Count counts all erasures. An issued receipt whose erasure is not known yet
// counts as pending.
func (c *ErasureCounter) Count(ctx context.Context, issued []IssuedReceipt) (ErasureCounts, error) {
	now := c.Now()
	var counts ErasureCounts
	known := map[string]bool{}
	err := c.Inventory.Each(ctx, Visitor{Erasure: func(e Erasure) error {
		known[e.Receipt] = true
		counts.add(e, now)
		return nil
	}})
	if err != nil {
		return ErasureCounts{}, fmt.Errorf("count the erasures: %w", err)
	}
	for _, r := range issued {
		if !known[r.Receipt] {
			known[r.Receipt] = true
			counts.add(Erasure{Receipt: r.Receipt, RequestedAt: r.RequestedAt}, now)
		}
	}
	return counts, nil
}
