package ddb

import (
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// grantItem is a grant as stored.
type grantItem struct {
	PK         string        `dynamodbav:"pk"`
	Provider   string        `dynamodbav:"provider"`
	AccountID  string        `dynamodbav:"account_id"`
	Generation int64         `dynamodbav:"generation"`
	Scopes     []string      `dynamodbav:"scopes,stringset,omitempty"`
	State      string        `dynamodbav:"state"`
	Since      int64         `dynamodbav:"since,omitempty"`
	Reason     string        `dynamodbav:"reason,omitempty"`
	DegradedAt dynamo.Millis `dynamodbav:"degraded_at,omitempty"`
	// Tokens is missing once they are deleted.
	Tokens         *tokensItem     `dynamodbav:"tokens,omitempty"`
	Candidates     []candidateItem `dynamodbav:"candidates,omitempty"`
	Obsolete       []int64         `dynamodbav:"obsolete,omitempty"`
	LeaseOwner     string          `dynamodbav:"lease_owner,omitempty"`
	LeaseUntil     dynamo.Millis   `dynamodbav:"lease_until,omitempty"`
	InDoubt        bool            `dynamodbav:"in_doubt,omitempty"`
	RevokedAt      dynamo.Millis   `dynamodbav:"revoked_at,omitempty"`
	EndRequestedAt dynamo.Millis   `dynamodbav:"end_requested_at,omitempty"`

	Unpublished    bool             `dynamodbav:"unpublished,omitempty"`
	Claim          *claimItem       `dynamodbav:"claim,omitempty"`
	ClaimCheckedAt dynamo.Millis    `dynamodbav:"claim_checked_at,omitempty"`
	Revocations    []revocationItem `dynamodbav:"revocations,omitempty"`
	Completed      []completedItem  `dynamodbav:"completed,omitempty"`
	Links          []linkItem       `dynamodbav:"links,omitempty"`
	ownerItem
	// Pending, which is the provider, and Due put the grants with pending tasks
	// into their index.
	Pending      string        `dynamodbav:"pending_of,omitempty"`
	Due          dynamo.Millis `dynamodbav:"due,omitempty"`
	PendingSince dynamo.Millis `dynamodbav:"pending_since,omitempty"`
	Attempts     int           `dynamodbav:"attempts,omitempty"`

	ExpiresAt dynamo.Seconds `dynamodbav:"expires_at,omitempty"` // TTL
	dynamo.Revision
}

// ownerItem is the athlete who links an account.
type ownerItem struct {
	AthleteID  int64 `dynamodbav:"owner,omitempty"`
	Generation int64 `dynamodbav:"owner_generation,omitempty"`
}

type linkItem struct {
	Provider   string `dynamodbav:"provider"`
	AccountID  string `dynamodbav:"account_id"`
	Generation int64  `dynamodbav:"generation"`
}

type accountItem struct {
	Provider string `dynamodbav:"provider"`
	ID       string `dynamodbav:"id"`
}

func toAccountItems(all []credentials.Account) (items []accountItem) {
	for _, a := range all {
		items = append(items, accountItem(a))
	}
	return items
}

func accounts(items []accountItem) (all []credentials.Account) {
	for _, i := range items {
		all = append(all, credentials.Account(i))
	}
	return all
}

type causeItem struct {
	ID            string `dynamodbav:"id"`
	CorrelationID string `dynamodbav:"correlation_id"`
}

func toCause(m event.Meta) causeItem { return causeItem{m.ID, m.CorrelationID} }

func (i causeItem) meta() event.Meta { return event.Meta{ID: i.ID, CorrelationID: i.CorrelationID} }

// tokensItem refers to a pair: a version of a generation's parameter, or the
// sealed pair itself.
type tokensItem struct {
	Generation int64  `dynamodbav:"generation,omitempty"`
	Version    int64  `dynamodbav:"version,omitempty"`
	Sealed     []byte `dynamodbav:"sealed,omitempty"`
}

type candidateItem struct {
	tokensItem
	ReceivedAt int64    `dynamodbav:"received_at"` // Unix ms
	Scopes     []string `dynamodbav:"scopes,stringset,omitempty"`
	Connecting bool     `dynamodbav:"connecting,omitempty"`
	ownerItem
}

type claimItem struct {
	ClaimedAt dynamo.Millis `dynamodbav:"claimed_at"`
	Cause     causeItem     `dynamodbav:"cause"`
	CheckAt   dynamo.Millis `dynamodbav:"check_at"`
}

type revocationItem struct {
	Receipt     string        `dynamodbav:"receipt"`
	Generation  int64         `dynamodbav:"generation"`
	RequestedAt dynamo.Millis `dynamodbav:"requested_at"`
	Reason      string        `dynamodbav:"reason"`
	Cause       causeItem     `dynamodbav:"cause"`
	Published   bool          `dynamodbav:"published"`

	Links       []accountItem `dynamodbav:"links,omitempty"`
	WithAthlete bool          `dynamodbav:"with_athlete,omitempty"`
	ownerItem
}

type completedItem struct {
	Receipt     string        `dynamodbav:"receipt"`
	RequestedAt dynamo.Millis `dynamodbav:"requested_at"`
	CompletedAt dynamo.Millis `dynamodbav:"completed_at"`
	Generation  int64         `dynamodbav:"generation,omitempty"`
	Links       []accountItem `dynamodbav:"links,omitempty"`
}

func toGrantItem(g credentials.Grant) grantItem {
	item := grantItem{
		PK:             grantKey(g.Account),
		Provider:       g.Account.Provider,
		AccountID:      g.Account.ID,
		Generation:     g.Generation,
		Since:          g.Since,
		Scopes:         g.Scopes,
		State:          string(g.State),
		Reason:         g.Reason,
		DegradedAt:     dynamo.MillisOf(g.DegradedAt),
		Obsolete:       g.Obsolete,
		InDoubt:        g.InDoubt,
		RevokedAt:      dynamo.MillisOf(g.RevokedAt),
		EndRequestedAt: dynamo.MillisOf(g.EndRequestedAt),
		Unpublished:    g.Unpublished,
		ClaimCheckedAt: dynamo.MillisOf(g.ClaimCheckedAt),
		LeaseOwner:     g.Lease.Owner,
		ExpiresAt:      dynamo.SecondsOf(g.TombstoneUntil()),
		ownerItem:      ownerItem(g.Owner),
	}
	for _, l := range g.Links {
		item.Links = append(item.Links, linkItem{l.Account.Provider, l.Account.ID, l.Generation})
	}
	if g.Authorized() {
		tokens := tokensItem(g.Tokens)
		item.Tokens = &tokens
	}
	for _, s := range g.Candidates {
		item.Candidates = append(item.Candidates, candidateItem{tokensItem(s.TokenRef), s.ReceivedAt, s.Scopes, s.Connecting, ownerItem(s.Owner)})
	}
	if g.Lease.Owner != "" {
		item.LeaseUntil = dynamo.MillisOf(g.Lease.Until)
	}
	if !g.Claim.ClaimedAt.IsZero() {
		item.Claim = &claimItem{dynamo.MillisOf(g.Claim.ClaimedAt), toCause(g.Claim.Cause), dynamo.MillisOf(g.Claim.CheckAt)}
	}
	for _, r := range g.Revocations {
		revocation := revocationItem{
			Receipt: r.Receipt, Generation: r.Generation, RequestedAt: dynamo.MillisOf(r.RequestedAt), Reason: r.Reason,
			Cause: toCause(r.Cause), Published: r.Published, WithAthlete: r.WithAthlete, ownerItem: ownerItem(r.Owner),
		}
		revocation.Links = toAccountItems(r.Links)
		item.Revocations = append(item.Revocations, revocation)
	}
	for _, c := range g.Completed {
		item.Completed = append(item.Completed, completedItem{c.Receipt, dynamo.MillisOf(c.RequestedAt), dynamo.MillisOf(c.CompletedAt), c.Generation, toAccountItems(c.Links)})
	}
	if g.HasPendingTasks() {
		item.Pending, item.Due = g.Account.Provider, dynamo.MillisOf(g.Retry.Next)
		item.PendingSince, item.Attempts = dynamo.MillisOf(g.Retry.Since), g.Retry.Attempts
	}
	return item
}

func (i grantItem) grant() credentials.Grant {
	g := credentials.Grant{
		Account:        credentials.Account{Provider: i.Provider, ID: i.AccountID},
		Generation:     i.Generation,
		Since:          i.Since,
		Scopes:         i.Scopes,
		State:          credentials.State(i.State),
		Reason:         i.Reason,
		DegradedAt:     i.DegradedAt.Time(),
		Obsolete:       i.Obsolete,
		InDoubt:        i.InDoubt,
		RevokedAt:      i.RevokedAt.Time(),
		EndRequestedAt: i.EndRequestedAt.Time(),
		Unpublished:    i.Unpublished,
		ClaimCheckedAt: i.ClaimCheckedAt.Time(),
		Owner:          credentials.Authorization(i.ownerItem),
	}
	for _, l := range i.Links {
		g.Links = append(g.Links, credentials.Link{Account: credentials.Account{Provider: l.Provider, ID: l.AccountID}, Generation: l.Generation})
	}
	if i.Tokens != nil {
		g.Tokens = credentials.TokenRef(*i.Tokens)
	}
	for _, s := range i.Candidates {
		g.Candidates = append(g.Candidates, credentials.Candidate{
			TokenRef: credentials.TokenRef(s.tokensItem), ReceivedAt: s.ReceivedAt, Scopes: s.Scopes, Connecting: s.Connecting,
			Owner: credentials.Authorization(s.ownerItem),
		})
	}
	if i.LeaseOwner != "" {
		g.Lease = credentials.Lease{Owner: i.LeaseOwner, Until: i.LeaseUntil.Time()}
	}
	if c := i.Claim; c != nil {
		g.Claim = credentials.Claim{
			ClaimedAt: c.ClaimedAt.Time(), Cause: c.Cause.meta(), CheckAt: c.CheckAt.Time(),
		}
	}
	for _, r := range i.Revocations {
		revocation := credentials.PendingRevocation{
			Receipt: r.Receipt, Generation: r.Generation, RequestedAt: r.RequestedAt.Time(), Reason: r.Reason,
			Cause: r.Cause.meta(), Published: r.Published, WithAthlete: r.WithAthlete, Owner: credentials.Authorization(r.ownerItem),
		}
		revocation.Links = accounts(r.Links)
		g.Revocations = append(g.Revocations, revocation)
	}
	for _, c := range i.Completed {
		g.Completed = append(g.Completed, credentials.CompletedRevocation{
			Receipt: c.Receipt, RequestedAt: c.RequestedAt.Time(), CompletedAt: c.CompletedAt.Time(), Generation: c.Generation, Links: accounts(c.Links),
		})
	}
	if i.Pending != "" {
		g.Retry = credentials.RetryState{
			Since: i.PendingSince.Time(), Next: i.Due.Time(), Attempts: i.Attempts,
		}
	}
	return g
}
