package credentialstest

import (
	"context"
	"slices"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

type grants struct {
	port    credentials.Grants
	around  kittest.Around
	list    *kittest.StaleRead[listed, grantsPage]
	pending *kittest.StaleRead[string, []credentials.Grant]
}

// listed are the arguments of List.
type listed struct {
	provider, cursor string
	limit            int
}

type grantsPage struct {
	grants []credentials.Grant
	next   string
}

func newGrants(port credentials.Grants, around kittest.Around) grants {
	return grants{
		port, around,
		&kittest.StaleRead[listed, grantsPage]{Around: around, Op: "credentials.Grants.List", Copy: func(p grantsPage) grantsPage {
			return grantsPage{cloneAll(p.grants), p.next}
		}},
		&kittest.StaleRead[string, []credentials.Grant]{Around: around, Op: "credentials.Grants.Pending", Copy: cloneAll},
	}
}

func cloneAll(grants []credentials.Grant) []credentials.Grant {
	out := slices.Clone(grants)
	for i, g := range out {
		out[i] = clone(g)
	}
	return out
}

func (i grants) Grant(ctx context.Context, account credentials.Account) (credentials.Grant, error) {
	return kittest.Get(ctx, i.around, "credentials.Grants.Grant", func(ctx context.Context) (credentials.Grant, error) {
		return i.port.Grant(ctx, account)
	})
}

func (i grants) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (changed bool, err error)) (credentials.Grant, error) {
	return kittest.Get(ctx, i.around, "credentials.Grants.Update", func(ctx context.Context) (credentials.Grant, error) {
		return i.port.Update(ctx, account, kittest.Writes(ctx, change))
	})
}

func (i grants) List(ctx context.Context, provider, cursor string, limit int) ([]credentials.Grant, string, error) {
	page, err := i.list.Get(ctx, listed{provider, cursor, limit}, func(ctx context.Context) (grantsPage, error) {
		page, next, err := i.port.List(ctx, provider, cursor, limit)
		return grantsPage{page, next}, err
	})
	return page.grants, page.next, err
}

func (i grants) Pending(ctx context.Context, provider string) ([]credentials.Grant, error) {
	return i.pending.Get(ctx, provider, func(ctx context.Context) ([]credentials.Grant, error) { return i.port.Pending(ctx, provider) })
}

type counter struct {
	port       credentials.GrantCounter
	authorized *kittest.StaleRead[string, int]
}

func newCounter(port credentials.GrantCounter, around kittest.Around) counter {
	return counter{port, &kittest.StaleRead[string, int]{
		Around: around, Op: "credentials.Counter.CountAuthorized", Copy: func(n int) int { return n },
	}}
}

func (i counter) CountAuthorized(ctx context.Context, provider string) (int, error) {
	return i.authorized.Get(ctx, provider, func(ctx context.Context) (int, error) { return i.port.CountAuthorized(ctx, provider) })
}
