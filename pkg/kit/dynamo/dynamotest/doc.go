// Package dynamotest checks when the items of a DynamoDB table expire.
package dynamotest
