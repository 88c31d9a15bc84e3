package aws_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
)

// stingy is a DynamoDB client whose answers are as short as DynamoDB may make
// them: a query or scan that names no limit returns a few items and where to go
// on, and of several keys half are read and the others are unprocessed.
func stingy(t *testing.T, few int32) *dynamodb.Client {
	return dynamodb.NewFromConfig(mustConfig(t), dynamodb.WithAPIOptions(func(s *middleware.Stack) error {
		return s.Initialize.Add(middleware.InitializeMiddlewareFunc("Stingy", shorten(few)), middleware.Before)
	}))
}

// clients are the DynamoDB clients that each storage is tested with.
func clients(t *testing.T, few int32) map[string]*dynamodb.Client {
	return map[string]*dynamodb.Client{
		"in whole answers": dynamodb.NewFromConfig(mustConfig(t)),
		"in short answers": stingy(t, few),
	}
}

type handle = func(context.Context, middleware.InitializeInput, middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error)

func shorten(few int32) handle {
	return func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		unprocessed := map[string]types.KeysAndAttributes{}
		switch request := in.Parameters.(type) {
		case *dynamodb.QueryInput:
			if request.Limit == nil {
				limited := *request
				limited.Limit = aws.Int32(few)
				in.Parameters = &limited
			}
		case *dynamodb.ScanInput:
			if request.Limit == nil {
				limited := *request
				limited.Limit = aws.Int32(few)
				in.Parameters = &limited
			}
		case *dynamodb.BatchGetItemInput:
			first := map[string]types.KeysAndAttributes{}
			for table, keys := range request.RequestItems {
				rest, half := keys, (len(keys.Keys)+1)/2
				keys.Keys, rest.Keys = keys.Keys[:half], keys.Keys[half:]
				if first[table] = keys; len(rest.Keys) > 0 {
					unprocessed[table] = rest
				}
			}
			in.Parameters = &dynamodb.BatchGetItemInput{RequestItems: first}
		}
		out, metadata, err := next.HandleInitialize(ctx, in)
		if got, ok := out.Result.(*dynamodb.BatchGetItemOutput); ok && len(unprocessed) > 0 {
			got.UnprocessedKeys = unprocessed
		}
		return out, metadata, err
	}
}
