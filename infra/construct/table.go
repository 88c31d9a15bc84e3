package construct

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
)

const (
	// ttlAttribute holds the Unix time in seconds after which DynamoDB deletes an
	// item.
	ttlAttribute = "expires_at"
	// recoveryDays is how far back a table can be restored. It is short because
	// erased data stays recoverable for as long.
	recoveryDays = 3
)

// Text returns a key attribute that holds a string.
func Text(name string) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: jsii.String(name), Type: awsdynamodb.AttributeType_STRING}
}

// Number returns a key attribute that holds a number.
func Number(name string) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: jsii.String(name), Type: awsdynamodb.AttributeType_NUMBER}
}

// Index is a global secondary index of the items that have both its keys. It
// projects all attributes unless KeysOnly is set.
type Index struct {
	Name               string
	Partition, SortKey *awsdynamodb.Attribute
	// KeysOnly projects only the keys of table and index.
	KeysOnly bool
}

// TableProps configures a table.
type TableProps struct {
	Config    config.Config
	Partition *awsdynamodb.Attribute
	// SortKey is nil if the partition key alone identifies an item.
	SortKey *awsdynamodb.Attribute
	Indexes []Index
}

// Table is a DynamoDB table, billed per request, whose items expire.
type Table struct {
	awsdynamodb.Table
	arns []*string
}

// NewTable makes a table.
func NewTable(scope constructs.Construct, id string, props *TableProps) *Table {
	if props.Partition == nil {
		panic("NewTable " + id + ": Partition is missing")
	}
	kept := props.Config.Removal == config.Retain
	p := &awsdynamodb.TableProps{
		BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST,
		PartitionKey:        props.Partition,
		SortKey:             props.SortKey,
		TimeToLiveAttribute: jsii.String(ttlAttribute),
		RemovalPolicy:       RemovalPolicy(props.Config),
		DeletionProtection:  jsii.Bool(kept),
	}
	if kept {
		p.PointInTimeRecoverySpecification = &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
			RecoveryPeriodInDays:       jsii.Number(recoveryDays),
		}
	}
	table := awsdynamodb.NewTable(scope, jsii.String(id), p)
	if !kept {
		Acknowledge(table, "AwsSolutions-DDB3", "The stage is disposable: its tables need not be restored.")
	}
	arns := []*string{table.TableArn()}
	for _, i := range props.Indexes {
		projection := awsdynamodb.ProjectionType_ALL
		if i.KeysOnly {
			projection = awsdynamodb.ProjectionType_KEYS_ONLY
		}
		table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
			IndexName:      jsii.String(i.Name),
			PartitionKey:   i.Partition,
			SortKey:        i.SortKey,
			ProjectionType: projection,
		})
		arns = append(arns, jsii.String(*table.TableArn()+"/index/"+i.Name))
	}
	return &Table{Table: table, arns: arns}
}

// AllowItems lets functions get, put and update single items, also in
// transactions.
func (t *Table) AllowItems(functions ...*Function) {
	t.allow(functions, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
}

// AllowGet lets functions get items by their key, also in batches.
func (t *Table) AllowGet(functions ...*Function) {
	t.allow(functions, "dynamodb:GetItem", "dynamodb:BatchGetItem")
}

// AllowUpdate lets functions update single items.
func (t *Table) AllowUpdate(functions ...*Function) {
	t.allow(functions, "dynamodb:UpdateItem")
}

// AllowDelete lets functions delete items in batches.
func (t *Table) AllowDelete(functions ...*Function) {
	t.allow(functions, "dynamodb:BatchWriteItem")
}

// AllowRead lets functions get and query items, but not scan them.
func (t *Table) AllowRead(functions ...*Function) {
	t.allow(functions, "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query")
}

// AllowReadWrite lets functions do what [Table.AllowRead] does, and write, also
// in batches and transactions.
func (t *Table) AllowReadWrite(functions ...*Function) {
	t.AllowRead(functions...)
	t.allow(functions, "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem",
		"dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem")
}

// AllowScan lets functions scan the table.
func (t *Table) AllowScan(functions ...*Function) {
	for _, f := range functions {
		f.Allow([]string{"dynamodb:Scan"}, t.TableArn())
	}
}

func (t *Table) allow(functions []*Function, actions ...string) {
	for _, f := range functions {
		f.Allow(actions, t.arns...)
	}
}
