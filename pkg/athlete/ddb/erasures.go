package ddb

import (
	"context"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// Erasures implements [athlete.Erasures].
type Erasures struct{ table dynamo.Table }

// NewErasures returns the erasures in the named table.
func NewErasures(api dynamo.API, table string) *Erasures {
	return &Erasures{dynamo.Table{API: api, Name: table}}
}

type erasureItem struct {
	key
	dynamo.Revision
	RequestedAt dynamo.Millis            `dynamodbav:"requested_at,omitempty"`
	Parts       []string                 `dynamodbav:"parts,omitempty"`
	Confirmed   map[string]dynamo.Millis `dynamodbav:"confirmed,omitempty"`
}

func (i erasureItem) erasure() athlete.Erasure {
	e := athlete.Erasure{Receipt: strings.TrimPrefix(i.PK, erasurePrefix), RequestedAt: i.RequestedAt.Time(), Parts: i.Parts}
	for part, at := range i.Confirmed {
		if e.Confirmed == nil {
			e.Confirmed = map[string]time.Time{}
		}
		e.Confirmed[part] = at.Time()
	}
	return e
}

func erasureItemOf(e athlete.Erasure) erasureItem {
	i := erasureItem{key: erasureKey(e.Receipt), RequestedAt: dynamo.MillisOf(e.RequestedAt), Parts: e.Parts}
	for part, at := range e.Confirmed {
		if i.Confirmed == nil {
			i.Confirmed = map[string]dynamo.Millis{}
		}
		i.Confirmed[part] = dynamo.MillisOf(at)
	}
	return i
}

// Erasure implements [athlete.Erasures].
func (s *Erasures) Erasure(ctx context.Context, receipt string) (athlete.Erasure, error) {
	item := erasureItem{key: erasureKey(receipt)}
	_, err := s.table.Get(ctx, item.key.item(), &item)
	return item.erasure(), err
}

// Update implements [athlete.Erasures].
func (s *Erasures) Update(ctx context.Context, receipt string, change func(*athlete.Erasure) (bool, error)) (athlete.Erasure, error) {
	var e athlete.Erasure
	_, err := dynamo.Update(ctx, s.table, dynamo.Usual, erasureKey(receipt).item(), func(item *erasureItem) (bool, error) {
		item.key = erasureKey(receipt)
		e = item.erasure()
		changed, err := change(&e)
		if err == nil && changed {
			*item = erasureItemOf(e)
		}
		return changed, err
	})
	return e, err
}
