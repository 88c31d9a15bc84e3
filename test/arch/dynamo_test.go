package arch

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// TestOnlyTheKitHandlesDynamoDBsConflicts: pkg/kit/dynamo has the only retry
// loop over DynamoDB, and the only classification of its errors.
func TestOnlyTheKitHandlesDynamoDBsConflicts(t *testing.T) {
	for _, s := range sources(t, list(t), deployed, false) {
		for _, use := range dynamoUses(s) {
			t.Errorf("%s/%s uses %s: leave that to pkg/kit/dynamo", s.pkg, s.name, use)
		}
	}
}

func TestDynamoDBsConflictsAreNoticed(t *testing.T) {
	const (
		types  = `import "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"; `
		client = `import "github.com/aws/aws-sdk-go-v2/service/dynamodb"; `
		kit    = `import "github.com/paceline/paceline/pkg/kit/dynamo"; `
		start  = `import "github.com/paceline/paceline/pkg/kit/startup"; `
		f      = `func f() { for { `
	)
	for body, want := range map[string][]string{
		types + `var e *types.ConditionalCheckFailedException`:                                                     {"types.ConditionalCheckFailedException"},
		`import d "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"; var e *d.TransactionCanceledException`:    {"types.TransactionCanceledException"},
		types + `import "time"; ` + f + `time.Sleep(1) } }`:                                                        {"time.Sleep in a loop"},
		client + start + f + `startup.Sleep(nil, 1) } }`:                                                           {"startup.Sleep in a loop"},
		kit + start + `func f() { for range 3 { startup.Sleep(nil, 1) } }`:                                         {"startup.Sleep in a loop"},
		kit + `import "time"; ` + f + `<-time.After(1) } }`:                                                        {"time.After in a loop"},
		client + start + `var sleep = startup.Sleep`:                                                               nil,
		start + f + `startup.Sleep(nil, 1) } }`:                                                                    nil,
		`import "github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"; var f = attributevalue.MarshalMap`: {"attributevalue.MarshalMap"},
	} {
		if got := dynamoUses(mustSource(t, "pkg/athlete/ddb", body)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	if got := dynamoUses(mustSource(t, "pkg/kit/dynamo", types+`var e *types.ConditionalCheckFailedException`)); got != nil {
		t.Errorf("the kit itself: %q", got)
	}
}

const (
	dynamoService  = "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamoTypes    = dynamoService + "/types"
	attributevalue = "github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
)

// dynamoUses names what a file uses although only pkg/kit/dynamo may: the errors
// of a condition or a transaction, the encoder of items, and a pause in a loop of
// a file that uses DynamoDB.
func dynamoUses(s source) (uses []string) {
	if s.pkg == "pkg/kit/dynamo" {
		return nil
	}
	imports := s.imports()
	overDynamo := false
	for _, path := range imports {
		overDynamo = overDynamo || path == dynamoService || path == dynamoTypes || path == "pkg/kit/dynamo"
	}
	var inspect func(n ast.Node, inLoop bool)
	inspect = func(n ast.Node, inLoop bool) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ForStmt:
				inspect(n.Body, true)
				return false
			case *ast.RangeStmt:
				inspect(n.Body, true)
				return false
			}
			switch path, name := member(imports, n); {
			case path == dynamoTypes && (name == "ConditionalCheckFailedException" || strings.HasPrefix(name, "Transaction") && strings.HasSuffix(name, "Exception")):
				uses = append(uses, "types."+name)
			case path == attributevalue && name != "Marshal": // One value of an expression.
				uses = append(uses, "attributevalue."+name)
			case overDynamo && inLoop && (path == "time" && (name == "Sleep" || name == "After" || name == "NewTimer") || path == "pkg/kit/startup" && name == "Sleep"):
				uses = append(uses, path[strings.LastIndex(path, "/")+1:]+"."+name+" in a loop")
			}
			return true
		})
	}
	inspect(s.File, false)
	return uses
}
