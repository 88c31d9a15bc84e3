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
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Table implements [credentials.Grants], [credentials.States] and
// [credentials.Erasures].
type Table struct {
	client *dynamodb.Client
	name   string
}

// New makes an adapter for the named table.
func New(client *dynamodb.Client, name string) *Table { return &Table{client, name} }

// grantItem is a grant as stored. Revision counts its writes and is what a
// write is conditional on.
type grantItem struct {
	PK           string   `dynamodbav:"pk"`
	Provider     string   `dynamodbav:"provider"`
	AthleteID    int64    `dynamodbav:"athlete_id"`
	Generation   int64    `dynamodbav:"generation"`
	Scopes       []string `dynamodbav:"scopes,stringset,omitempty"`
	State        string   `dynamodbav:"state"`
	TokenVersion int64    `dynamodbav:"token_version"`
	Parked       []byte   `dynamodbav:"parked,omitempty"`
	Unannounced  bool     `dynamodbav:"unannounced,omitempty"`
	LeaseOwner   string   `dynamodbav:"lease_owner,omitempty"`
	LeaseUntil   int64    `dynamodbav:"lease_until,omitempty"` // Unix ms
	Receipt      string   `dynamodbav:"receipt,omitempty"`
	RevokedAt    int64    `dynamodbav:"revoked_at,omitempty"` // Unix ms
	ExpiresAt    int64    `dynamodbav:"expires_at,omitempty"` // Unix s: TTL
	Revision     int64    `dynamodbav:"revision"`
}

func toItem(g credentials.Grant, revision int64) grantItem {
	item := grantItem{
		PK:           grantKey(g.AthleteID),
		Provider:     g.Provider,
		AthleteID:    g.AthleteID,
		Generation:   g.Generation,
		Scopes:       g.Scopes,
		State:        string(g.State),
		TokenVersion: g.TokenVersion,
		Parked:       g.Parked,
		Unannounced:  g.Unannounced,
		LeaseOwner:   g.Lease.Owner,
		Receipt:      g.Receipt,
		Revision:     revision,
	}
	if g.Lease.Owner != "" {
		item.LeaseUntil = g.Lease.Until.UnixMilli()
	}
	if !g.RevokedAt.IsZero() {
		item.RevokedAt = g.RevokedAt.UnixMilli()
	}
	if g.Over() {
		item.ExpiresAt = g.RevokedAt.Add(credentials.TombstoneLife).Unix()
	}
	return item
}

func (i grantItem) grant() credentials.Grant {
	g := credentials.Grant{
		AthleteID:    i.AthleteID,
		Provider:     i.Provider,
		Generation:   i.Generation,
		Scopes:       i.Scopes,
		State:        credentials.State(i.State),
		TokenVersion: i.TokenVersion,
		Parked:       i.Parked,
		Unannounced:  i.Unannounced,
		Receipt:      i.Receipt,
	}
	if i.LeaseOwner != "" {
		g.Lease = credentials.Lease{Owner: i.LeaseOwner, Until: time.UnixMilli(i.LeaseUntil).UTC()}
	}
	if i.RevokedAt != 0 {
		g.RevokedAt = time.UnixMilli(i.RevokedAt).UTC()
	}
	return g
}

func grantKey(athleteID int64) string { return "grant#" + strconv.FormatInt(athleteID, 10) }

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
func (t *Table) Grant(ctx context.Context, athleteID int64) (credentials.Grant, error) {
	var item grantItem
	if err := t.get(ctx, grantKey(athleteID), &item); err != nil {
		return credentials.Grant{}, err
	}
	return item.grant(), nil
}

// updateTries bounds how often an update starts over because somebody else
// wrote in between.
const updateTries = 20

// Update implements [credentials.Grants].
func (t *Table) Update(ctx context.Context, athleteID int64, change func(*credentials.Grant) error) (credentials.Grant, error) {
	for range updateTries {
		stored := grantItem{AthleteID: athleteID}
		if err := t.get(ctx, grantKey(athleteID), &stored); err != nil && !fault.Is(err, fault.NotFound) {
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
