package ddb_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// throttling cancels the first transactions.
type throttling struct {
	dynamo.API
	left int
}

func (a *throttling) TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	if a.left--; a.left < 0 {
		return &dynamodb.TransactWriteItemsOutput{}, nil
	}
	return nil, &types.TransactionCanceledException{CancellationReasons: []types.CancellationReason{
		{Code: aws.String("ThrottlingError")}, {Code: aws.String("None")},
	}}
}

func TestAThrottledDeliveryIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := ddb.New(&throttling{left: 3}, "table")
		got, err := table.Deliver(t.Context(), 7, "digest", gathering.Hint{Aspect: gathering.AspectUpdate})
		if err != nil || got != gathering.Delivered {
			t.Errorf("%q, %v", got, err)
		}
	})
}
