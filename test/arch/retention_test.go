package arch

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"slices"
	"testing"
	"time"
)

// otherPeriods are durations of seven or eight days that are no retention of
// Strava's data, by package and name.
var otherPeriods = map[string]string{
	"pkg/credentials idleTTL":     "a session ends when it was not used for that long",
	"pkg/athlete erasuresCounted": "how long a completed erasure is counted",

	"pkg/credentials 192h0m0s in sessionEnd": "the end of a session that was last used on a day",
}

// TestRetentionIsDeclaredOnce: a duration of seven or eight days is most likely
// that of Strava's data or of a tombstone, which pkg/kit/retention declares.
func TestRetentionIsDeclaredOnce(t *testing.T) {
	byPackage := map[string][]source{}
	for _, s := range sources(t, list(t), deployed, false) {
		byPackage[s.pkg] = append(byPackage[s.pkg], s)
	}
	for pkg, files := range byPackage {
		for _, where := range retentions(files) {
			if otherPeriods[pkg+" "+where] == "" && pkg != "pkg/kit/retention" {
				t.Errorf("%s declares %s: use pkg/kit/retention", pkg, where)
			}
		}
	}
}

func TestASecondRetentionIsNoticed(t *testing.T) {
	for body, want := range map[string][]string{
		`const Retention = 7 * 24 * time.Hour`:                                   {"Retention"},
		`const day = 24 * time.Hour; const ( a = 3 * day; tombstone = day * 8 )`: {"tombstone"},
		`const day = 24 * time.Hour; const week = 7 * day; const t = week + day`: {"t", "week"},
		`var keep = time.Hour * 168`:                                             {"keep"},
		`func f() { _ = now.Add(-7 * 24 * time.Hour) }`:                          {"168h0m0s in f"},
		`func (x T) f() { _ = now.Add(192 * time.Hour) }`:                        {"192h0m0s in f"},
		`var days = 7; const d = 30 * 24 * time.Hour; var n = 7 * 24 * 3600`:     nil,
	} {
		got := retentions([]source{mustSource(t, "pkg/x", `import "time"; `+body)})
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// retentions names the constants and variables of a package that are seven or
// eight days long, and the functions with such an expression.
func retentions(files []source) (found []string) {
	c := constants{values: map[string]ast.Expr{}}
	for _, s := range files {
		for _, d := range s.Decls {
			if g, ok := d.(*ast.GenDecl); ok && (g.Tok == token.CONST || g.Tok == token.VAR) {
				for _, spec := range g.Specs {
					v := spec.(*ast.ValueSpec)
					for i, name := range v.Names {
						if i < len(v.Values) {
							c.values[name.Name] = v.Values[i]
						}
					}
				}
			}
		}
	}
	for name, value := range c.values {
		if isRetention(c.duration(value)) {
			found = append(found, name)
		}
	}
	for _, s := range files {
		for _, d := range s.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				ast.Inspect(f, func(n ast.Node) bool {
					e, ok := n.(*ast.BinaryExpr)
					if !ok {
						return true
					}
					if d := c.duration(e); isRetention(d) {
						found = append(found, fmt.Sprintf("%s in %s", d.Abs(), f.Name.Name))
						return false
					}
					return true
				})
			}
		}
	}
	slices.Sort(found)
	return found
}

func isRetention(d time.Duration) bool {
	const day = 24 * time.Hour
	return d.Abs() == 7*day || d.Abs() == 8*day
}

// constants evaluates expressions with the constants of a package.
type constants struct{ values map[string]ast.Expr }

// duration returns the value of an expression if it is a duration, and 0
// otherwise.
func (c constants) duration(e ast.Expr) time.Duration {
	v, isDuration := c.eval(e, 0)
	n, exact := constant.Int64Val(constant.ToInt(v))
	if !isDuration || !exact {
		return 0
	}
	return time.Duration(n)
}

var units = map[string]time.Duration{
	"Nanosecond": time.Nanosecond, "Microsecond": time.Microsecond, "Millisecond": time.Millisecond,
	"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
}

// eval returns the value of an expression, which is unknown if it is no constant,
// and whether it has a unit of time in it.
func (c constants) eval(e ast.Expr, depth int) (v constant.Value, isDuration bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0), false
	case *ast.ParenExpr:
		return c.eval(e.X, depth)
	case *ast.Ident:
		if value, known := c.values[e.Name]; known && depth < 10 {
			return c.eval(value, depth+1)
		}
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok && x.Name == "time" && units[e.Sel.Name] != 0 {
			return constant.MakeInt64(int64(units[e.Sel.Name])), true
		}
	case *ast.UnaryExpr:
		if v, is := c.eval(e.X, depth); e.Op == token.SUB && v.Kind() == constant.Int {
			return constant.UnaryOp(token.SUB, v, 0), is
		}
	case *ast.BinaryExpr:
		x, isX := c.eval(e.X, depth)
		y, isY := c.eval(e.Y, depth)
		switch e.Op {
		case token.ADD, token.SUB, token.MUL:
			if x.Kind() == constant.Int && y.Kind() == constant.Int {
				return constant.BinaryOp(x, e.Op, y), isX || isY
			}
		}
	}
	return constant.MakeUnknown(), false
}
