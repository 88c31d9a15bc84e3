package ddb

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Table implements [credentials.Grants], [credentials.States],
// [credentials.Erasures] and [credentials.ErasureLog].
type Table struct {
	client *dynamodb.Client
	name   string
}

// New makes an adapter for the named table.
func New(client *dynamodb.Client, name string) *Table { return &Table{client, name} }

// grantItem is a grant as stored. Revision counts its writes and is what a
// write is conditional on.
type grantItem struct {
	PK         string   `dynamodbav:"pk"`
	Provider   string   `dynamodbav:"provider"`
	AccountID  string   `dynamodbav:"account_id"`
	Generation int64    `dynamodbav:"generation"`
	Scopes     []string `dynamodbav:"scopes,stringset,omitempty"`
	State      string   `dynamodbav:"state"`
	Since      int64    `dynamodbav:"since,omitempty"`
	Reason     string   `dynamodbav:"reason,omitempty"`
	DegradedAt int64    `dynamodbav:"degraded_at,omitempty"` // Unix ms
	// Tokens is missing once they are deleted.
	Tokens     *tokensItem `dynamodbav:"tokens,omitempty"`
	Spares     []spareItem `dynamodbav:"spares,omitempty"`
	Obsolete   []int64     `dynamodbav:"obsolete,omitempty"`
	LeaseOwner string      `dynamodbav:"lease_owner,omitempty"`
	LeaseUntil int64       `dynamodbav:"lease_until,omitempty"` // Unix ms
	Doubt      bool        `dynamodbav:"doubt,omitempty"`
	RevokedAt  int64       `dynamodbav:"revoked_at,omitempty"` // Unix ms
	LeftAt     int64       `dynamodbav:"left_at,omitempty"`    // Unix ms

	Unannounced    bool             `dynamodbav:"unannounced,omitempty"`
	Claim          *claimItem       `dynamodbav:"claim,omitempty"`
	ClaimCheckedAt int64            `dynamodbav:"claim_checked_at,omitempty"` // Unix ms
	Revocations    []revocationItem `dynamodbav:"revocations,omitempty"`
	Links          []linkItem       `dynamodbav:"links,omitempty"`
	ownerItem
	// Pending, which is the provider, and Due put the grants with pending tasks
	// into their index.
	Pending      string `dynamodbav:"pending_of,omitempty"`
	Due          int64  `dynamodbav:"due,omitempty"`           // Unix ms
	PendingSince int64  `dynamodbav:"pending_since,omitempty"` // Unix ms
	Attempts     int    `dynamodbav:"attempts,omitempty"`

	ExpiresAt int64 `dynamodbav:"expires_at,omitempty"` // Unix s: TTL
	Revision  int64 `dynamodbav:"revision"`
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

type spareItem struct {
	tokensItem
	ReceivedAt int64    `dynamodbav:"received_at"` // Unix ms
	Scopes     []string `dynamodbav:"scopes,stringset,omitempty"`
	Connecting bool     `dynamodbav:"connecting,omitempty"`
	ownerItem
}

type claimItem struct {
	ClaimedAt int64     `dynamodbav:"claimed_at"` // Unix ms
	Cause     causeItem `dynamodbav:"cause"`
	CheckAt   int64     `dynamodbav:"check_at"` // Unix ms
}

type revocationItem struct {
	Receipt     string    `dynamodbav:"receipt"`
	Generation  int64     `dynamodbav:"generation"`
	RequestedAt int64     `dynamodbav:"requested_at"` // Unix ms
	Reason      string    `dynamodbav:"reason"`
	Cause       causeItem `dynamodbav:"cause"`
	Announced   bool      `dynamodbav:"announced"`

	Links       []accountItem `dynamodbav:"links,omitempty"`
	WithAthlete bool          `dynamodbav:"with_athlete,omitempty"`
	ownerItem
}

func toItem(g credentials.Grant, revision int64) grantItem {
	item := grantItem{
		PK:             grantKey(g.Account),
		Provider:       g.Account.Provider,
		AccountID:      g.Account.ID,
		Generation:     g.Generation,
		Since:          g.Since,
		Scopes:         g.Scopes,
		State:          string(g.State),
		Reason:         g.Reason,
		DegradedAt:     toMilli(g.DegradedAt),
		Obsolete:       g.Obsolete,
		Doubt:          g.Doubt,
		RevokedAt:      toMilli(g.RevokedAt),
		LeftAt:         toMilli(g.LeftAt),
		Unannounced:    g.Unannounced,
		ClaimCheckedAt: toMilli(g.ClaimCheckedAt),
		LeaseOwner:     g.Lease.Owner,
		Revision:       revision,
		ownerItem:      ownerItem(g.Owner),
	}
	for _, l := range g.Links {
		item.Links = append(item.Links, linkItem{l.Account.Provider, l.Account.ID, l.Generation})
	}
	if g.Authorized() {
		tokens := tokensItem(g.Tokens)
		item.Tokens = &tokens
	}
	for _, s := range g.Spares {
		item.Spares = append(item.Spares, spareItem{tokensItem(s.TokenRef), s.ReceivedAt, s.Scopes, s.Connecting, ownerItem(s.Owner)})
	}
	if g.Lease.Owner != "" {
		item.LeaseUntil = g.Lease.Until.UnixMilli()
	}
	if !g.Claim.ClaimedAt.IsZero() {
		item.Claim = &claimItem{g.Claim.ClaimedAt.UnixMilli(), toCause(g.Claim.Cause), g.Claim.CheckAt.UnixMilli()}
	}
	for _, r := range g.Revocations {
		revocation := revocationItem{
			Receipt: r.Receipt, Generation: r.Generation, RequestedAt: r.RequestedAt.UnixMilli(), Reason: r.Reason,
			Cause: toCause(r.Cause), Announced: r.Announced, WithAthlete: r.WithAthlete, ownerItem: ownerItem(r.Owner),
		}
		for _, a := range r.Links {
			revocation.Links = append(revocation.Links, accountItem(a))
		}
		item.Revocations = append(item.Revocations, revocation)
	}
	switch {
	case g.HasPending():
		item.Pending, item.Due = g.Account.Provider, g.Pending.Next.UnixMilli()
		item.PendingSince, item.Attempts = g.Pending.Since.UnixMilli(), g.Pending.Attempts
	case g.State == credentials.Erased:
		item.ExpiresAt = g.RevokedAt.Add(credentials.TombstoneLife).Unix()
	}
	return item
}

// toMilli returns t in Unix milliseconds, and 0 for the zero time.
func toMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMilli is the inverse of toMilli.
func fromMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (i grantItem) grant() credentials.Grant {
	g := credentials.Grant{
		Account:        credentials.Account{Provider: i.Provider, ID: i.AccountID},
		Generation:     i.Generation,
		Since:          i.Since,
		Scopes:         i.Scopes,
		State:          credentials.State(i.State),
		Reason:         i.Reason,
		DegradedAt:     fromMilli(i.DegradedAt),
		Obsolete:       i.Obsolete,
		Doubt:          i.Doubt,
		RevokedAt:      fromMilli(i.RevokedAt),
		LeftAt:         fromMilli(i.LeftAt),
		Unannounced:    i.Unannounced,
		ClaimCheckedAt: fromMilli(i.ClaimCheckedAt),
		Owner:          credentials.Owner(i.ownerItem),
	}
	for _, l := range i.Links {
		g.Links = append(g.Links, credentials.Link{Account: credentials.Account{Provider: l.Provider, ID: l.AccountID}, Generation: l.Generation})
	}
	if i.Tokens != nil {
		g.Tokens = credentials.TokenRef(*i.Tokens)
	}
	for _, s := range i.Spares {
		g.Spares = append(g.Spares, credentials.Spare{
			TokenRef: credentials.TokenRef(s.tokensItem), ReceivedAt: s.ReceivedAt, Scopes: s.Scopes, Connecting: s.Connecting,
			Owner: credentials.Owner(s.ownerItem),
		})
	}
	if i.LeaseOwner != "" {
		g.Lease = credentials.Lease{Owner: i.LeaseOwner, Until: time.UnixMilli(i.LeaseUntil).UTC()}
	}
	if c := i.Claim; c != nil {
		g.Claim = credentials.Claim{
			ClaimedAt: time.UnixMilli(c.ClaimedAt).UTC(), Cause: c.Cause.meta(), CheckAt: time.UnixMilli(c.CheckAt).UTC(),
		}
	}
	for _, r := range i.Revocations {
		revocation := credentials.PendingRevocation{
			Receipt: r.Receipt, Generation: r.Generation, RequestedAt: time.UnixMilli(r.RequestedAt).UTC(), Reason: r.Reason,
			Cause: r.Cause.meta(), Announced: r.Announced, WithAthlete: r.WithAthlete, Owner: credentials.Owner(r.ownerItem),
		}
		for _, a := range r.Links {
			revocation.Links = append(revocation.Links, credentials.Account(a))
		}
		g.Revocations = append(g.Revocations, revocation)
	}
	if i.Pending != "" {
		g.Pending = credentials.Pending{
			Since: time.UnixMilli(i.PendingSince).UTC(), Next: time.UnixMilli(i.Due).UTC(), Attempts: i.Attempts,
		}
	}
	return g
}

func grantKey(a credentials.Account) string { return "grant#" + a.String() }

func key(pk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: pk}}
}

// get reads an item strongly consistent into out.
func (t *Table) get(ctx context.Context, pk string, out any) error {
	res, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(t.name), Key: key(pk), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return fault.New(fault.Transient, "get item: %w", err)
	}
	if res.Item == nil {
		return fault.New(fault.NotFound, "no such item")
	}
	if err := attributevalue.UnmarshalMap(res.Item, out); err != nil {
		return fault.New(fault.Permanent, "read item: %w", err)
	}
	return nil
}

// Grant implements [credentials.Grants].
func (t *Table) Grant(ctx context.Context, account credentials.Account) (credentials.Grant, error) {
	var item grantItem
	if err := t.get(ctx, grantKey(account), &item); err != nil {
		return credentials.Grant{}, err
	}
	return item.grant(), nil
}

// updateTries bounds how often an update starts over because another process
// wrote in between.
const updateTries = 20

// Update implements [credentials.Grants].
func (t *Table) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) error) (credentials.Grant, error) {
	for range updateTries {
		stored := grantItem{Provider: account.Provider, AccountID: account.ID}
		if err := t.get(ctx, grantKey(account), &stored); err != nil && !fault.Is(err, fault.NotFound) {
			return credentials.Grant{}, err
		}
		g := stored.grant()
		if err := change(&g); err != nil {
			return credentials.Grant{}, err
		}
		item, err := attributevalue.MarshalMap(toItem(g, stored.Revision+1))
		if err != nil {
			return credentials.Grant{}, fmt.Errorf("encode grant: %w", err)
		}
		put := &dynamodb.PutItemInput{TableName: aws.String(t.name), Item: item}
		if stored.Revision == 0 {
			put.ConditionExpression = aws.String("attribute_not_exists(pk)")
		} else {
			put.ConditionExpression = aws.String("revision = :seen")
			put.ExpressionAttributeValues = map[string]types.AttributeValue{
				":seen": &types.AttributeValueMemberN{Value: strconv.FormatInt(stored.Revision, 10)},
			}
		}
		_, err = t.client.PutItem(ctx, put)
		if err == nil {
			return g, nil
		}
		if !refused(err) {
			return credentials.Grant{}, fault.New(fault.Transient, "put grant: %w", err)
		}
	}
	return credentials.Grant{}, fault.New(fault.Transient, "put grant: too many writers at once")
}

func refused(err error) bool {
	var c *types.ConditionalCheckFailedException
	return errors.As(err, &c)
}

// List implements [credentials.Grants].
func (t *Table) List(ctx context.Context, provider, cursor string, limit int) ([]credentials.Grant, string, error) {
	in := &dynamodb.QueryInput{
		TableName:              aws.String(t.name),
		IndexName:              aws.String(settings.GrantsByProviderIndex),
		KeyConditionExpression: aws.String("provider = :p"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":p": &types.AttributeValueMemberS{Value: provider},
		},
		Limit: aws.Int32(int32(limit)),
	}
	if cursor != "" {
		pk, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil {
			return nil, "", fault.New(fault.Invalid, "the cursor is malformed")
		}
		in.ExclusiveStartKey = key(string(pk))
		in.ExclusiveStartKey["provider"] = &types.AttributeValueMemberS{Value: provider}
	}
	out, err := t.client.Query(ctx, in)
	if err != nil {
		return nil, "", fault.New(fault.Transient, "query grants: %w", err)
	}
	page := make([]credentials.Grant, 0, len(out.Items))
	for _, av := range out.Items {
		var item grantItem
		if err := attributevalue.UnmarshalMap(av, &item); err != nil {
			return nil, "", fault.New(fault.Permanent, "read grant: %w", err)
		}
		page = append(page, item.grant())
	}
	next := ""
	if last, ok := out.LastEvaluatedKey["pk"].(*types.AttributeValueMemberS); ok {
		next = base64.RawURLEncoding.EncodeToString([]byte(last.Value))
	}
	return page, next, nil
}

// Pending implements [credentials.Grants].
func (t *Table) Pending(ctx context.Context, provider string) ([]credentials.Grant, error) {
	pages := dynamodb.NewQueryPaginator(t.client, &dynamodb.QueryInput{
		TableName:              aws.String(t.name),
		IndexName:              aws.String(settings.PendingGrantsIndex),
		KeyConditionExpression: aws.String("pending_of = :p"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":p": &types.AttributeValueMemberS{Value: provider},
		},
	})
	grants := []credentials.Grant{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fault.New(fault.Transient, "query pending grants: %w", err)
		}
		var items []grantItem
		if err := attributevalue.UnmarshalListOfMaps(page.Items, &items); err != nil {
			return nil, fault.New(fault.Permanent, "read grants: %w", err)
		}
		for _, i := range items {
			grants = append(grants, i.grant())
		}
	}
	return grants, nil
}
