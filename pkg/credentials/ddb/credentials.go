package ddb

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// CredentialsTable implements [credentials.CredentialStore] by a table of its
// own and the grants table. It stores no secret.
//
// Keys: athlete_id and hash.
type CredentialsTable struct {
	items  dynamo.Table
	grants string
}

// NewCredentials returns an adapter for the named tables.
func NewCredentials(client dynamo.API, name, grants string) *CredentialsTable {
	return &CredentialsTable{dynamo.Table{API: client, Name: name}, grants}
}

type credentialItem struct {
	AthleteID  int64         `dynamodbav:"athlete_id"`
	Hash       string        `dynamodbav:"hash"`
	Generation int64         `dynamodbav:"generation"`
	Kind       string        `dynamodbav:"kind"`
	CreatedAt  dynamo.Millis `dynamodbav:"created_at,omitempty"`
	GoodUntil  dynamo.Millis `dynamodbav:"good_until,omitempty"`
	UsedOn     dynamo.Millis `dynamodbav:"used_on,omitempty"`
	Name       string        `dynamodbav:"name,omitempty"`
	EndedAt    dynamo.Millis `dynamodbav:"ended_at,omitempty"`
	Receipt    string        `dynamodbav:"receipt,omitempty"`
	// ExpiresAt is the TTL: when the credential may be forgotten.
	ExpiresAt dynamo.Seconds `dynamodbav:"expires_at,omitempty"`
}

func toCredentialItem(c credentials.Credential) credentialItem {
	return credentialItem{
		AthleteID: c.AthleteID, Hash: c.Hash, Generation: c.Generation, Kind: string(c.Kind),
		CreatedAt: dynamo.MillisOf(c.CreatedAt), GoodUntil: dynamo.MillisOf(c.ExpiresAt), UsedOn: dynamo.MillisOf(c.UsedOn), Name: c.Name,
		EndedAt: dynamo.MillisOf(c.EndedAt), Receipt: c.Receipt, ExpiresAt: dynamo.SecondsOf(c.RetainedUntil()),
	}
}

func (i credentialItem) credential() credentials.Credential {
	return credentials.Credential{
		Authorization: credentials.Authorization{AthleteID: i.AthleteID, Generation: i.Generation}, Hash: i.Hash, Kind: credentials.CredentialKind(i.Kind),
		CreatedAt: i.CreatedAt.Time(), ExpiresAt: i.GoodUntil.Time(), UsedOn: i.UsedOn.Time(), Name: i.Name,
		EndedAt: i.EndedAt.Time(), Receipt: i.Receipt,
	}
}

func toCredentials(items []dynamo.Item) ([]credentials.Credential, error) {
	all := make([]credentials.Credential, 0, len(items))
	for _, encoded := range items {
		var item credentialItem
		if err := dynamo.Decode(encoded, &item); err != nil {
			return nil, err
		}
		all = append(all, item.credential())
	}
	return all, nil
}

func credentialKey(athleteID int64, hash string) dynamo.Item {
	return dynamo.Item{"athlete_id": dynamo.Number(athleteID), "hash": dynamo.Text(hash)}
}

// Put implements [credentials.CredentialStore].
func (t *CredentialsTable) Put(ctx context.Context, c credentials.Credential) error {
	item, err := dynamo.Encode(toCredentialItem(c))
	if err != nil {
		return err
	}
	return t.items.Put(ctx, &dynamodb.PutItemInput{Item: item})
}

// Credential implements [credentials.CredentialStore] by one call that reads
// both tables.
func (t *CredentialsTable) Credential(ctx context.Context, athleteID int64, hash string) (credentials.Credential, credentials.Grant, error) {
	read := func(key dynamo.Item) types.KeysAndAttributes {
		return types.KeysAndAttributes{Keys: []dynamo.Item{key}, ConsistentRead: aws.Bool(true)}
	}
	out, err := t.items.API.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		t.items.Name: read(credentialKey(athleteID, hash)),
		t.grants:     read(key(grantKey(credentials.Athlete(athleteID)))),
	}})
	if err == nil && len(out.UnprocessedKeys) > 0 {
		err = errors.New("DynamoDB left keys unprocessed")
	}
	if err != nil {
		return credentials.Credential{}, credentials.Grant{}, fault.New(fault.Transient, "get credential and grant: %w", err)
	}
	all, err := toCredentials(out.Responses[t.items.Name])
	if err != nil {
		return credentials.Credential{}, credentials.Grant{}, err
	}
	if len(all) == 0 {
		return credentials.Credential{}, credentials.Grant{}, fault.New(fault.NotFound, "no such credential")
	}
	grants, err := toGrants(out.Responses[t.grants])
	if err != nil || len(grants) == 0 {
		return all[0], credentials.Grant{}, err
	}
	return all[0], grants[0], nil
}

// Credentials implements [credentials.CredentialStore].
func (t *CredentialsTable) Credentials(ctx context.Context, athleteID int64) ([]credentials.Credential, error) {
	all := []credentials.Credential{}
	for items, err := range t.items.Query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    aws.String("athlete_id = :athlete"),
		ExpressionAttributeValues: dynamo.Item{":athlete": dynamo.Number(athleteID)},
		ConsistentRead:            aws.Bool(true),
	}) {
		if err != nil {
			return nil, err
		}
		page, err := toCredentials(items)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
	}
	return all, nil
}

// inForce is the condition on which a credential may change. A credential that
// is gone has no attributes.
const inForce = "attribute_exists(#hash) AND attribute_not_exists(ended_at)"

var hashName = map[string]string{"#hash": "hash"}

// Update implements [credentials.CredentialStore].
func (t *CredentialsTable) Update(ctx context.Context, c credentials.Credential) error {
	item := toCredentialItem(c)
	in := &dynamodb.UpdateItemInput{
		Key:                 credentialKey(c.AthleteID, c.Hash),
		ConditionExpression: aws.String(inForce), ExpressionAttributeNames: hashName,
		ExpressionAttributeValues: dynamo.Item{":used": dynamo.Number(item.UsedOn)},
	}
	if item.GoodUntil == 0 {
		in.UpdateExpression = aws.String("SET used_on = :used REMOVE good_until, expires_at")
	} else {
		in.UpdateExpression = aws.String("SET used_on = :used, good_until = :good, expires_at = :expires")
		in.ExpressionAttributeValues[":good"] = dynamo.Number(item.GoodUntil)
		in.ExpressionAttributeValues[":expires"] = dynamo.Number(item.ExpiresAt)
	}
	if _, err := t.items.UpdateExpression(ctx, in); !dynamo.ConditionFailed(err, 0) {
		return err
	}
	return nil
}

// End implements [credentials.CredentialStore].
func (t *CredentialsTable) End(ctx context.Context, tombstone credentials.Credential) error {
	item, err := dynamo.Encode(toCredentialItem(tombstone))
	if err != nil {
		return err
	}
	err = t.items.Put(ctx, &dynamodb.PutItemInput{
		Item: item, ConditionExpression: aws.String(inForce), ExpressionAttributeNames: hashName,
	})
	if dynamo.ConditionFailed(err, 0) {
		return nil
	}
	return err
}

// Delete implements [credentials.CredentialStore].
func (t *CredentialsTable) Delete(ctx context.Context, all []credentials.Credential) error {
	var keys []dynamo.Item
	for _, c := range all {
		keys = append(keys, credentialKey(c.AthleteID, c.Hash))
	}
	return t.items.BatchDelete(ctx, keys)
}

// Sessions implements [credentials.CredentialStore] by a scan, which only
// the admin function makes. The cursor is the last key that was read.
func (t *CredentialsTable) Sessions(ctx context.Context, cursor string, limit int) ([]credentials.Credential, string, error) {
	in := &dynamodb.ScanInput{
		TableName:                 &t.items.Name,
		FilterExpression:          aws.String("kind = :session AND attribute_not_exists(ended_at)"),
		ExpressionAttributeValues: dynamo.Item{":session": dynamo.Text(string(credentials.SessionCredential))},
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
	out, err := t.items.API.Scan(ctx, in)
	if err != nil {
		return nil, "", fault.New(fault.Transient, "scan sessions: %w", err)
	}
	page, err := toCredentials(out.Items)
	if err != nil || out.LastEvaluatedKey == nil {
		return page, "", err
	}
	var last credentialItem
	if err := dynamo.Decode(out.LastEvaluatedKey, &last); err != nil {
		return nil, "", err
	}
	return page, base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(last.AthleteID, 10) + "#" + last.Hash)), nil
}

func credentialCursor(cursor string) (dynamo.Item, error) {
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
