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
	"github.com/paceline/paceline/pkg/kit/fault"
)

// CredentialsTable implements [credentials.CredentialStore] by a table of its
// own, which holds no secret, beside the grants table.
//
// Keys: athlete_id and hash.
type CredentialsTable struct {
	client       *dynamodb.Client
	name, grants string
}

// NewCredentials makes an adapter for the named tables.
func NewCredentials(client *dynamodb.Client, name, grants string) *CredentialsTable {
	return &CredentialsTable{client, name, grants}
}

type credentialItem struct {
	AthleteID  int64  `dynamodbav:"athlete_id"`
	Hash       string `dynamodbav:"hash"`
	Generation int64  `dynamodbav:"generation"`
	Kind       string `dynamodbav:"kind"`
	CreatedAt  int64  `dynamodbav:"created_at,omitempty"` // Unix ms
	GoodUntil  int64  `dynamodbav:"good_until,omitempty"` // Unix s
	UsedOn     int64  `dynamodbav:"used_on,omitempty"`    // Unix s
	Name       string `dynamodbav:"name,omitempty"`
	EndedAt    int64  `dynamodbav:"ended_at,omitempty"` // Unix ms
	Receipt    string `dynamodbav:"receipt,omitempty"`
	ExpiresAt  int64  `dynamodbav:"expires_at,omitempty"` // Unix s: TTL
}

// unix is the time in seconds; 0 for no time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromUnix(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

func fromUnixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func toCredentialItem(c credentials.Credential) credentialItem {
	return credentialItem{
		AthleteID: c.AthleteID, Hash: c.Hash, Generation: c.Generation, Kind: string(c.Kind),
		CreatedAt: unixMilli(c.CreatedAt), GoodUntil: unix(c.ExpiresAt), UsedOn: unix(c.UsedOn), Name: c.Name,
		EndedAt: unixMilli(c.EndedAt), Receipt: c.Receipt, ExpiresAt: unix(c.DroppedAt()),
	}
}

func (i credentialItem) credential() credentials.Credential {
	return credentials.Credential{
		Session: credentials.Session{AthleteID: i.AthleteID, Generation: i.Generation}, Hash: i.Hash, Kind: credentials.CredentialKind(i.Kind),
		CreatedAt: fromUnixMilli(i.CreatedAt), ExpiresAt: fromUnix(i.GoodUntil), UsedOn: fromUnix(i.UsedOn), Name: i.Name,
		EndedAt: fromUnixMilli(i.EndedAt), Receipt: i.Receipt,
	}
}

func toCredentials(items []map[string]types.AttributeValue) ([]credentials.Credential, error) {
	var decoded []credentialItem
	if err := attributevalue.UnmarshalListOfMaps(items, &decoded); err != nil {
		return nil, fault.New(fault.Permanent, "read credentials: %w", err)
	}
	all := make([]credentials.Credential, 0, len(decoded))
	for _, item := range decoded {
		all = append(all, item.credential())
	}
	return all, nil
}

func credentialKey(athleteID int64, hash string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"athlete_id": number(athleteID), "hash": &types.AttributeValueMemberS{Value: hash}}
}

// Put implements [credentials.CredentialStore].
func (t *CredentialsTable) Put(ctx context.Context, c credentials.Credential) error {
	item, err := attributevalue.MarshalMap(toCredentialItem(c))
	if err != nil {
		return fmt.Errorf("encode credential: %w", err)
	}
	if _, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.name), Item: item}); err != nil {
		return fault.New(fault.Transient, "put credential: %w", err)
	}
	return nil
}

// Credential implements [credentials.CredentialStore] by one call that reads
// both tables.
func (t *CredentialsTable) Credential(ctx context.Context, athleteID int64, hash string) (credentials.Credential, credentials.Grant, error) {
	read := func(key map[string]types.AttributeValue) types.KeysAndAttributes {
		return types.KeysAndAttributes{Keys: []map[string]types.AttributeValue{key}, ConsistentRead: aws.Bool(true)}
	}
	out, err := t.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		t.name:   read(credentialKey(athleteID, hash)),
		t.grants: read(key(grantKey(credentials.Athlete(athleteID)))),
	}})
	if err == nil && len(out.UnprocessedKeys) > 0 {
		err = errors.New("DynamoDB left keys out")
	}
	if err != nil {
		return credentials.Credential{}, credentials.Grant{}, fault.New(fault.Transient, "get credential and grant: %w", err)
	}
	all, err := toCredentials(out.Responses[t.name])
	if err != nil {
		return credentials.Credential{}, credentials.Grant{}, err
	}
	if len(all) == 0 {
		return credentials.Credential{}, credentials.Grant{}, fault.New(fault.NotFound, "no such credential")
	}
	var grants []grantItem
	if err := attributevalue.UnmarshalListOfMaps(out.Responses[t.grants], &grants); err != nil {
		return credentials.Credential{}, credentials.Grant{}, fault.New(fault.Permanent, "read grant: %w", err)
	}
	if len(grants) == 0 {
		return all[0], credentials.Grant{}, nil
	}
	return all[0], grants[0].grant(), nil
}

// Credentials implements [credentials.CredentialStore].
func (t *CredentialsTable) Credentials(ctx context.Context, athleteID int64) ([]credentials.Credential, error) {
	all := []credentials.Credential{}
	pages := dynamodb.NewQueryPaginator(t.client, &dynamodb.QueryInput{
		TableName:                 aws.String(t.name),
		KeyConditionExpression:    aws.String("athlete_id = :athlete"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":athlete": number(athleteID)},
		ConsistentRead:            aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fault.New(fault.Transient, "query credentials: %w", err)
		}
		some, err := toCredentials(page.Items)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// inForce is the condition on which a credential may change. Of what is gone, it
// has no attribute.
const inForce = "attribute_exists(#hash) AND attribute_not_exists(ended_at)"

var hashName = map[string]string{"#hash": "hash"}

// Update implements [credentials.CredentialStore].
func (t *CredentialsTable) Update(ctx context.Context, c credentials.Credential) error {
	item := toCredentialItem(c)
	in := &dynamodb.UpdateItemInput{
		TableName: aws.String(t.name), Key: credentialKey(c.AthleteID, c.Hash),
		ConditionExpression: aws.String(inForce), ExpressionAttributeNames: hashName,
		ExpressionAttributeValues: map[string]types.AttributeValue{":used": number(item.UsedOn)},
	}
	if item.GoodUntil == 0 {
		in.UpdateExpression = aws.String("SET used_on = :used REMOVE good_until, expires_at")
	} else {
		in.UpdateExpression = aws.String("SET used_on = :used, good_until = :good, expires_at = :drop")
		in.ExpressionAttributeValues[":good"], in.ExpressionAttributeValues[":drop"] = number(item.GoodUntil), number(item.ExpiresAt)
	}
	if _, err := t.client.UpdateItem(ctx, in); err != nil && !refused(err) {
		return fault.New(fault.Transient, "update credential: %w", err)
	}
	return nil
}

// End implements [credentials.CredentialStore].
func (t *CredentialsTable) End(ctx context.Context, tombstone credentials.Credential) error {
	item, err := attributevalue.MarshalMap(toCredentialItem(tombstone))
	if err != nil {
		return fmt.Errorf("encode credential: %w", err)
	}
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(t.name), Item: item,
		ConditionExpression: aws.String(inForce), ExpressionAttributeNames: hashName,
	})
	if err != nil && !refused(err) {
		return fault.New(fault.Transient, "end credential: %w", err)
	}
	return nil
}

// Delete implements [credentials.CredentialStore].
func (t *CredentialsTable) Delete(ctx context.Context, all []credentials.Credential) error {
	var keys []map[string]types.AttributeValue
	for _, c := range all {
		keys = append(keys, credentialKey(c.AthleteID, c.Hash))
	}
	if err := deleteItems(ctx, t.client, t.name, keys); err != nil {
		return fmt.Errorf("delete credentials: %w", err)
	}
	return nil
}

// Sessions implements [credentials.CredentialStore] by a scan, which an admin
// asks for now and then. The cursor is the last key that was read.
func (t *CredentialsTable) Sessions(ctx context.Context, cursor string, limit int) ([]credentials.Credential, string, error) {
	in := &dynamodb.ScanInput{
		TableName:                 aws.String(t.name),
		FilterExpression:          aws.String("kind = :session AND attribute_not_exists(ended_at)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":session": &types.AttributeValueMemberS{Value: string(credentials.SessionCredential)}},
		Limit:                     aws.Int32(int32(limit)),
		ConsistentRead:            aws.Bool(true),
	}
	if cursor != "" {
		start, err := credentialCursor(cursor)
		if err != nil {
			return nil, "", err
		}
		in.ExclusiveStartKey = start
	}
	out, err := t.client.Scan(ctx, in)
	if err != nil {
		return nil, "", fault.New(fault.Transient, "scan sessions: %w", err)
	}
	page, err := toCredentials(out.Items)
	if err != nil || out.LastEvaluatedKey == nil {
		return page, "", err
	}
	var last credentialItem
	if err := attributevalue.UnmarshalMap(out.LastEvaluatedKey, &last); err != nil {
		return nil, "", fault.New(fault.Permanent, "read the last key: %w", err)
	}
	return page, base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(last.AthleteID, 10) + "#" + last.Hash)), nil
}

func credentialCursor(cursor string) (map[string]types.AttributeValue, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the cursor is malformed")
	}
	var athleteID int64
	var hash string
	if n, err := fmt.Sscanf(string(text), "%d#%s", &athleteID, &hash); err != nil || n != 2 {
		return nil, fault.New(fault.Invalid, "the cursor is malformed")
	}
	return credentialKey(athleteID, hash), nil
}
