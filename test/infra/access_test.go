package infra

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/pkg/credentials/settings"
)

// TestAccess checks who could reach tokens by any policy of any stack and stage,
// including the CDK's own. It assumes the most that a statement could allow:
// wildcards match anything, conditions and denials restrict nothing, and a managed
// policy of AWS allows everything unless it is known to allow less.
func TestAccess(t *testing.T) { testInvariants(t, access) }

var access = []invariant{
	{
		name: "only functions of credentials reach the parameters",
		check: func(_ *testing.T, s *system) (bad []string) {
			own := s.ownRoles("Credentials")
			for _, st := range s.statements() {
				if st.allows("ssm:*") && s.reaches(st, parameters(s.stage)) {
					bad = append(bad, s.others(st, own)...)
				}
			}
			return append(bad, s.managedPolicies()...)
		},
		breaks: map[string]func(*testing.T, *system){
			"a plane reads parameters": func(t *testing.T, s *system) {
				allow(t, s, "ActivityPlane", "serve-api", "ssm:GetParameter", "arn:aws:ssm:us-east-1:1:parameter/paceline/prod/credentials/apps/strava")
			},
			"a plane reads the path": func(t *testing.T, s *system) {
				allow(t, s, "ActivityPlane", "serve-api", "ssm:GetParametersByPath", "arn:aws:ssm:us-east-1:1:parameter/paceline/prod/credentials")
			},
			"a plane reads history, by an ARN in parts": func(t *testing.T, s *system) {
				allow(t, s, "ActivityPlane", "serve-api", "ssm:GetParameterHistory", map[string]any{"Fn::Join": []any{"", []any{
					"arn:", map[string]any{"Ref": "AWS::Partition"}, ":ssm:*:", map[string]any{"Ref": "AWS::AccountId"}, ":parameter/pace*",
				}}})
			},
			"a plane may begin with any Get": func(t *testing.T, s *system) {
				allow(t, s, "ActivityPlane", "serve-api", "SSM:get*", "*")
			},
			"a plane may do everything to everything": func(t *testing.T, s *system) {
				allow(t, s, "ActivityPlane", "serve-api", "*", "*")
			},
			"a plane may do all but one thing": func(t *testing.T, s *system) {
				addResource(s, "ActivityPlane", "AWS::IAM::RolePolicy", map[string]any{
					"RoleName":       map[string]any{"Ref": strings.TrimPrefix(s.roleOf(t, "ActivityPlane", "serve-api"), "ActivityPlane.")},
					"PolicyDocument": policy(map[string]any{"NotAction": "iam:*", "Resource": "*"}),
				})
			},
			"a plane may read all but one parameter": func(t *testing.T, s *system) {
				addResource(s, "ActivityPlane", "AWS::IAM::RolePolicy", map[string]any{
					"RoleName":       map[string]any{"Ref": strings.TrimPrefix(s.roleOf(t, "ActivityPlane", "serve-api"), "ActivityPlane.")},
					"PolicyDocument": policy(map[string]any{"Action": "ssm:GetParameter", "NotResource": "arn:aws:ssm:us-east-1:1:parameter/x"}),
				})
			},
			"a managed policy of ours for gathering": func(t *testing.T, s *system) {
				addResource(s, "Gathering", "AWS::IAM::ManagedPolicy", map[string]any{
					"Roles":          []any{map[string]any{"Ref": strings.TrimPrefix(s.roleOf(t, "Gathering", "gather-work"), "Gathering.")}},
					"PolicyDocument": policy(map[string]any{"Action": "ssm:GetParameters", "Resource": "*"}),
				})
			},
			"a managed policy of AWS for the CDK's role": func(t *testing.T, s *system) {
				role := s.find(t, "AthleteUi", "AWS::IAM::Role", "CustomCDKBucketDeployment")
				role.props()["ManagedPolicyArns"] = append(role.at("ManagedPolicyArns").([]any), "arn:aws:iam::aws:policy/AmazonSSMReadOnlyAccess")
			},
			"the CDK's role reads parameters": func(t *testing.T, s *system) {
				role := s.find(t, "AthleteUi", "AWS::IAM::Role", "CustomCDKBucketDeployment")
				role.props()["Policies"] = []any{map[string]any{"PolicyDocument": policy(map[string]any{"Action": "ssm:GetParameter*", "Resource": "*"})}}
			},
			"a user": func(_ *testing.T, s *system) {
				addResource(s, "Credentials", "AWS::IAM::User", map[string]any{"Policies": []any{map[string]any{
					"PolicyDocument": policy(map[string]any{"Action": "ssm:GetParameter", "Resource": "*"}),
				}}})
			},
			"a group": func(_ *testing.T, s *system) {
				addResource(s, "Credentials", "AWS::IAM::Policy", map[string]any{
					"Groups": []any{"operators"}, "PolicyDocument": policy(map[string]any{"Action": "ssm:GetParameter", "Resource": "*"}),
				})
			},
			"a role of credentials without a function": func(_ *testing.T, s *system) {
				addResource(s, "Credentials", "AWS::IAM::Role", map[string]any{"Policies": []any{map[string]any{
					"PolicyDocument": policy(map[string]any{"Action": "ssm:GetParameter", "Resource": "*"}),
				}}})
			},
			"a role that a function of another stack shares": func(t *testing.T, s *system) {
				s.find(t, "AthleteUi", "AWS::Lambda::Function", "CustomCDKBucketDeployment").props()["Role"] =
					exported(s, "{"+s.roleOf(t, "Credentials", "forward-request")+".Arn}")
			},
		},
	},
	{
		name: "only functions of credentials may use keys, only by the keys' own policies, and only for a named parameter or provider",
		check: func(_ *testing.T, s *system) (bad []string) {
			own := s.ownRoles("Credentials")
			for _, st := range s.statements() {
				switch {
				case st.of.kind != "AWS::KMS::Key":
					if st.allows("kms:*") {
						bad = append(bad, fmt.Sprintf("%s allows %v outside the keys' policies", st.of, st.actions))
					}
				case st.usesKey():
					bad = append(bad, s.others(st, own)...)
					if (st.allows("kms:Decrypt") || st.allows("kms:Encrypt") || st.allows("kms:GenerateDataKey*")) && !s.inContext(st) {
						bad = append(bad, fmt.Sprintf("%s allows %v in any context: %v", st.of, st.actions, st.conditions))
					}
				}
			}
			for _, r := range s.resources() {
				if strings.HasPrefix(r.kind, "AWS::KMS::") && (r.stack != "Credentials" || (r.kind != "AWS::KMS::Key" && r.kind != "AWS::KMS::Alias")) {
					bad = append(bad, fmt.Sprintf("%s is a %s", r, r.kind))
				}
			}
			return append(bad, s.managedPolicies()...)
		},
		breaks: map[string]func(*testing.T, *system){
			"gathering decrypts": func(t *testing.T, s *system) {
				allow(t, s, "Gathering", "gather-work", "kms:Decrypt", "arn:aws:kms:us-east-1:1:key/1")
			},
			"a function of credentials decrypts by its role": func(t *testing.T, s *system) {
				allow(t, s, "Credentials", "forward-request", "kms:Decrypt", map[string]any{
					"Fn::GetAtt": []any{s.find(t, "Credentials", "AWS::KMS::Key", "TokenKey").id, "Arn"},
				})
			},
			"a role may change the key's policy": func(t *testing.T, s *system) {
				allow(t, s, "Gathering", "gather-work", "kms:Put*", "*")
			},
			"the account decrypts": func(t *testing.T, s *system) {
				st := keyStatements(t, s)[0].(map[string]any)
				st["Action"] = append(st["Action"].([]any), "kms:Decrypt")
			},
			"the account may do everything, as by the CDK's default": func(t *testing.T, s *system) {
				keyStatements(t, s)[0].(map[string]any)["Action"] = "kms:*"
			},
			"the account creates grants of the key": func(t *testing.T, s *system) {
				st := keyStatements(t, s)[0].(map[string]any)
				st["Action"] = append(st["Action"].([]any), "kms:CreateGrant")
			},
			"the key lets gathering decrypt": func(t *testing.T, s *system) {
				decrypting(t, s)["Principal"] = map[string]any{"AWS": exported(s, "{"+s.roleOf(t, "Gathering", "gather-work")+".Arn}")}
			},
			"the key lets everyone decrypt": func(t *testing.T, s *system) { decrypting(t, s)["Principal"] = "*" },
			"the key lets all but one decrypt": func(t *testing.T, s *system) {
				st := decrypting(t, s)
				delete(st, "Principal")
				st["NotPrincipal"] = map[string]any{"AWS": "arn:aws:iam::1:root"}
			},
			"decryption in any context": func(t *testing.T, s *system) { delete(decrypting(t, s), "Condition") },
			"decryption without a context": func(t *testing.T, s *system) {
				st := decrypting(t, s)
				st["Condition"] = map[string]any{"StringLikeIfExists": at(st, "Condition", "StringLike")}
			},
			"decryption of any parameter": func(t *testing.T, s *system) {
				at(decrypting(t, s), "Condition", "StringLike").(map[string]any)["kms:EncryptionContext:PARAMETER_ARN"] = "*"
			},
			"decryption of another stage's parameters": func(t *testing.T, s *system) {
				at(decrypting(t, s), "Condition", "StringLike").(map[string]any)["kms:EncryptionContext:PARAMETER_ARN"] =
					[]any{"arn:aws:ssm:us-east-1:1:parameter/paceline/dev/credentials/apps/strava"}
			},
			"a key of another stack": func(_ *testing.T, s *system) { addResource(s, "Gathering", "AWS::KMS::Key", map[string]any{}) },
		},
	},
	{
		name: "only gather-work may call the requester, only probe-webhook check-subscription, and nothing in the system the admin function",
		check: func(t *testing.T, s *system) (bad []string) {
			callers := map[string][]string{
				"forwardrequest":    {s.roleOf(t, "Gathering", "gather-work")},
				"checksubscription": {s.roleOf(t, "Gathering", "probe-webhook")},
				"administerapp":     nil,
			}
			for name, allowed := range callers {
				callee := s.find(t, "Credentials", "AWS::Lambda::Function", name).String()
				for _, st := range s.statements() {
					if st.allows("lambda:Invoke*") && s.reaches(st, target{callee, "arn:*:lambda:*:*:function:*"}) {
						bad = append(bad, s.others(st, allowed)...)
					}
				}
				for _, r := range s.resources("AWS::Lambda::Permission", "AWS::Lambda::Url", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Alias", "AWS::Lambda::Version") {
					for _, property := range []string{"FunctionName", "TargetFunctionArn"} {
						if other := owner(s.text(r.stack, r.at(property))); r.at(property) != nil && (other == callee || other == "") {
							bad = append(bad, fmt.Sprintf("%s opens %s to %v", r, callee, r.at("Principal")))
						}
					}
				}
			}
			return append(bad, s.managedPolicies()...)
		},
		breaks: map[string]func(*testing.T, *system){
			"another role calls the requester": func(t *testing.T, s *system) {
				allow(t, s, "ActivityPlane", "serve-api", "lambda:InvokeFunction", requesterARN(t, s))
			},
			"another role calls any version of it": func(t *testing.T, s *system) {
				allow(t, s, "ActivityPlane", "serve-api", "lambda:InvokeFunction", map[string]any{"Fn::Join": []any{"", []any{requesterARN(t, s), ":*"}}})
			},
			"another role calls every function": func(t *testing.T, s *system) {
				allow(t, s, "ActivityPlane", "serve-api", "lambda:*", "arn:aws:lambda:us-east-1:1:function:*")
			},
			"another role calls a function by its name": func(t *testing.T, s *system) {
				allow(t, s, "ActivityPlane", "serve-api", "lambda:InvokeAsync", "arn:aws:lambda:us-east-1:1:function:Paceline-prod-Credentials-forwardrequest")
			},
			"gather-work calls check-subscription": func(t *testing.T, s *system) {
				allow(t, s, "Gathering", "gather-work", "lambda:InvokeFunction",
					s.find(t, "Gathering", "AWS::Lambda::Function", "probewebhook").at("Environment", "Variables", "CHECK_FUNCTION"))
			},
			"probe-webhook calls the requester": func(t *testing.T, s *system) {
				allow(t, s, "Gathering", "probe-webhook", "lambda:InvokeFunction", requesterARN(t, s))
			},
			"a check-subscription with a URL": func(t *testing.T, s *system) {
				addResource(s, "Credentials", "AWS::Lambda::Url", map[string]any{
					"AuthType": "NONE", "TargetFunctionArn": map[string]any{"Ref": s.find(t, "Credentials", "AWS::Lambda::Function", "checksubscription").id},
				})
			},
			"gather-work calls the admin function": func(t *testing.T, s *system) {
				allow(t, s, "Gathering", "gather-work", "lambda:InvokeFunction", "arn:aws:lambda:us-east-1:1:function:administerapp")
			},
			"the CDK's role calls every function": func(t *testing.T, s *system) {
				role := s.find(t, "AthleteUi", "AWS::IAM::Role", "CustomCDKBucketDeployment")
				role.props()["Policies"] = []any{map[string]any{"PolicyDocument": policy(map[string]any{"Action": "lambda:InvokeFunction", "Resource": "*"})}}
			},
			"a requester for another account": func(t *testing.T, s *system) {
				addResource(s, "Gathering", "AWS::Lambda::Permission", map[string]any{
					"Action": "lambda:InvokeFunction", "Principal": "123456789012", "FunctionName": requesterARN(t, s),
				})
			},
			"a requester with a URL": func(t *testing.T, s *system) {
				addResource(s, "Credentials", "AWS::Lambda::Url", map[string]any{
					"AuthType": "NONE", "TargetFunctionArn": map[string]any{"Ref": s.find(t, "Credentials", "AWS::Lambda::Function", "forwardrequest").id},
				})
			},
			"a queue for the requester": func(t *testing.T, s *system) {
				m := s.find(t, "Gathering", "AWS::Lambda::EventSourceMapping", "gatherwork")
				m.props()["FunctionName"] = requesterARN(t, s)
			},
			"a public admin function": func(t *testing.T, s *system) {
				p := s.find(t, "Credentials", "AWS::Lambda::Permission", "OAuthGEToauthcallback")
				p.props()["FunctionName"] = map[string]any{"Ref": s.find(t, "Credentials", "AWS::Lambda::Function", "administerapp").id}
			},
		},
	},
	{
		name: "a permission to invoke a function names the resource of a service",
		check: func(_ *testing.T, s *system) (bad []string) {
			for _, p := range s.resources("AWS::Lambda::Permission") {
				principal, _ := p.at("Principal").(string)
				if !awsService.MatchString(principal) || p.at("SourceArn") == nil {
					bad = append(bad, fmt.Sprintf("%s lets %v call for %v", p, p.at("Principal"), p.at("SourceArn")))
				}
				callee := owner(s.text(p.stack, p.at("FunctionName")))
				for _, private := range []string{"gatherwork", "handleevents"} {
					if strings.Contains(callee, "."+private) {
						bad = append(bad, fmt.Sprintf("%s makes %s public", p, callee))
					}
				}
			}
			return bad
		},
		breaks: map[string]func(*testing.T, *system){
			"any HTTP API": func(t *testing.T, s *system) {
				delete(s.find(t, "Credentials", "AWS::Lambda::Permission", "OAuthGEToauthcallback").props(), "SourceArn")
			},
			"another account": func(t *testing.T, s *system) {
				s.find(t, "Credentials", "AWS::Lambda::Permission", "OAuthGEToauthcallback").props()["Principal"] = "123456789012"
			},
			"a public consumer": func(t *testing.T, s *system) {
				p := s.find(t, "Credentials", "AWS::Lambda::Permission", "OAuthGEToauthcallback")
				p.props()["FunctionName"] = map[string]any{"Ref": s.find(t, "Credentials", "AWS::Lambda::Function", "handleevents").id}
			},
		},
	},
	{
		name: "only AWS's services may assume roles, and no role may change permissions",
		check: func(_ *testing.T, s *system) (bad []string) {
			for _, r := range s.resources("AWS::IAM::Role") {
				for _, item := range policyStatements(r.at("AssumeRolePolicyDocument")) {
					for _, who := range append(s.trusted(r.stack, item), s.list(r.stack, at(item, "NotPrincipal"))...) {
						if !awsService.MatchString(who) {
							bad = append(bad, fmt.Sprintf("%s can be assumed by %s", r, who))
						}
					}
				}
			}
			for _, st := range s.statements() {
				for _, change := range []string{
					"iam:*", "sts:*", "cloudformation:*", "lambda:Add*", "lambda:Create*", "lambda:Update*", "lambda:Put*", "lambda:Publish*",
				} {
					if st.allows(change) {
						bad = append(bad, fmt.Sprintf("%s allows %v", st.of, st.actions))
					}
				}
			}
			return append(bad, s.managedPolicies()...)
		},
		breaks: map[string]func(*testing.T, *system){
			"a role for the account": func(t *testing.T, s *system) {
				addTrust(t, s, map[string]any{"AWS": "arn:aws:iam::1:root"})
			},
			"a role for everyone": func(t *testing.T, s *system) { addTrust(t, s, "*") },
			"a role for another role": func(t *testing.T, s *system) {
				addTrust(t, s, map[string]any{"AWS": exported(s, "{"+s.roleOf(t, "Gathering", "gather-work")+".Arn}")})
			},
			"a role that passes roles":   func(t *testing.T, s *system) { allow(t, s, "Gathering", "gather-work", "iam:PassRole", "*") },
			"a role that assumes others": func(t *testing.T, s *system) { allow(t, s, "Gathering", "gather-work", "sts:AssumeRole", "x") },
			"a role that replaces a function": func(t *testing.T, s *system) {
				allow(t, s, "Gathering", "gather-work", "lambda:UpdateFunctionCode", "x")
			},
			"a role that may administer Lambda": func(t *testing.T, s *system) { allow(t, s, "Gathering", "gather-work", "lambda:*", "x") },
		},
	},
}

// awsService matches principals that are services of AWS.
var awsService = regexp.MustCompile(`^[a-z.-]+\.amazonaws\.com$`)

// harmless matches policies of AWS that allow no more than to write logs.
var harmless = regexp.MustCompile(`:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole$`)

// managedPolicies returns the roles, users and groups with a policy that is in no
// template.
func (s *system) managedPolicies() (bad []string) {
	for _, r := range s.resources("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group") {
		for _, arn := range s.list(r.stack, r.at("ManagedPolicyArns")) {
			if !harmless.MatchString(arn) {
				bad = append(bad, fmt.Sprintf("%s has the policy %s", r, arn))
			}
		}
	}
	return bad
}

// target is something that a policy may give access to.
type target struct {
	// resource is "Stack.LogicalId", or "" if it is not in the templates.
	resource string
	// arn matches all ARNs that it could have.
	arn string
}

// parameters returns the path of credentials' parameters and all below it.
func parameters(stage config.Stage) target {
	return target{arn: "arn:*:ssm:*:*:parameter/paceline/" + string(stage) + "/credentials*"}
}

// reaches reports whether the statement could be about t.
func (s *system) reaches(st statement, t target) bool {
	return slices.ContainsFunc(st.resources, func(text string) bool {
		if m := leadingReference.FindStringSubmatch(text); m != nil {
			if resources, _ := s.templates[m[1]]["Resources"].(map[string]any); resources[m[2]] != nil {
				return m[1]+"."+m[2] == t.resource
			}
		}
		return overlapARN(unknownParts(text), t.arn)
	})
}

var (
	leadingReference = regexp.MustCompile(`^\{(\w+)\.(\w+)(?:\.\w+)?\}`)
	innermost        = regexp.MustCompile(`\$?\{[^{}]*\}`)
)

// unknownParts replaces values that only a deployment knows with "*".
func unknownParts(text string) string {
	for innermost.MatchString(text) {
		text = innermost.ReplaceAllString(text, "*")
	}
	return text
}

// allows reports whether the statement could allow an action that pattern matches.
// IAM ignores the case of actions.
func (st statement) allows(pattern string) bool {
	return st.effect == "Allow" && slices.ContainsFunc(st.actions, func(action string) bool {
		return overlap(strings.ToLower(action), strings.ToLower(pattern))
	})
}

// usesKey reports whether a statement of a key's policy allows more than the
// administration of the key.
func (st statement) usesKey() bool {
	return slices.ContainsFunc([]string{
		"kms:Decrypt", "kms:Encrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:GenerateMac", "kms:DeriveSharedSecret",
		"kms:Sign", "kms:Verify*", "kms:GetPublicKey", "kms:CreateGrant", "kms:ReplicateKey",
	}, st.allows)
}

// inContext reports whether the statement requires an encryption context that
// names a parameter of credentials, or a provider.
func (s *system) inContext(st statement) bool {
	for _, operator := range []string{"StringEquals", "StringLike"} {
		if at(st.conditions, operator, "kms:EncryptionContext:"+settings.SealContextKey) != nil {
			return true
		}
		arns := s.list(st.of.stack, at(st.conditions, operator, "kms:EncryptionContext:PARAMETER_ARN"))
		path := "parameter/paceline/" + string(s.stage) + "/credentials/"
		outside := func(arn string) bool { return !strings.HasPrefix(arn, "arn:") || !strings.Contains(arn, path) }
		if len(arns) > 0 && !slices.ContainsFunc(arns, outside) {
			return true
		}
	}
	return false
}

// others returns those whom the statement allows something besides the allowed
// roles.
func (s *system) others(st statement, allowed []string) (bad []string) {
	who := slices.Clone(st.roles)
	for _, p := range st.principals {
		role := owner(p)
		if role == "" {
			role = p
		}
		who = append(who, role)
	}
	if len(who) == 0 {
		who = []string{"an unknown principal"}
	}
	for _, w := range who {
		if !slices.Contains(allowed, w) {
			bad = append(bad, fmt.Sprintf("%s lets %s do %v to %v", st.of, w, st.actions, st.resources))
		}
	}
	return bad
}

// ownRoles returns the roles that only functions of the stack have.
func (s *system) ownRoles(stack string) (roles []string) {
	holders := map[string][]string{}
	for _, f := range s.resources("AWS::Lambda::Function") {
		role := owner(s.text(f.stack, f.at("Role")))
		holders[role] = append(holders[role], f.stack)
	}
	for role, stacks := range holders {
		if !slices.ContainsFunc(stacks, func(holder string) bool { return holder != stack }) {
			roles = append(roles, role)
		}
	}
	return roles
}

// trusted returns the principals of a statement of a trust policy.
func (s *system) trusted(stack string, item any) (who []string) {
	p, ok := at(item, "Principal").(map[string]any)
	if !ok {
		return s.list(stack, at(item, "Principal"))
	}
	for _, kind := range slices.Sorted(maps.Keys(p)) {
		who = append(who, s.list(stack, p[kind])...)
	}
	return who
}

// overlap reports whether a text can match both patterns of IAM, in which "*"
// stands for any text and "?" for any character.
func overlap(a, b string) bool {
	// meet[i][j]: the patterns a[i:] and b[j:] overlap.
	meet := make([][]bool, len(a)+1)
	for i := range meet {
		meet[i] = make([]bool, len(b)+1)
	}
	for i := len(a); i >= 0; i-- {
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				meet[i][j] = true
			case i < len(a) && a[i] == '*':
				meet[i][j] = meet[i+1][j] || j < len(b) && meet[i][j+1]
			case j < len(b) && b[j] == '*':
				meet[i][j] = meet[i][j+1] || i < len(a) && meet[i+1][j]
			case i < len(a) && j < len(b):
				meet[i][j] = (a[i] == b[j] || a[i] == '?' || b[j] == '?') && meet[i+1][j+1]
			}
		}
	}
	return meet[0][0]
}

// overlapARN reports whether an ARN can match both patterns. It compares the six
// parts one by one, because a wildcard does not match beyond its part, except at
// the end of a pattern with fewer parts.
func overlapARN(a, b string) bool {
	parts := func(arn string) []string {
		p := strings.SplitN(arn, ":", 6)
		for len(p) < 6 {
			p = append(p, "*")
		}
		return p
	}
	q := parts(b)
	for i, p := range parts(a) {
		if !overlap(p, q[i]) {
			return false
		}
	}
	return true
}

func TestPatternsOfIAMOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"ssm:getparameter", "ssm:*", true},
		{"*", "ssm:getparameter", true},
		{"ssm:get*", "*parameters", true},
		{"ssm:getparameter?", "ssm:getparameters", true},
		{"ssm:put*", "ssm:get*", false},
		{"kms:*", "ssm:*", false},
		{"", "*", true},
		{"", "?", false},
	} {
		if overlap(c.a, c.b) != c.want || overlap(c.b, c.a) != c.want {
			t.Errorf("overlap of %q and %q is not %t", c.a, c.b, c.want)
		}
	}
	for arn, want := range map[string]bool{
		"*":             true,
		"arn:aws:ssm:*": true,
		"arn:*:ssm:*:*:parameter/paceline/prod/credentials/accounts/*": true,
		"arn:*:ssm:*:*:parameter/*/credentials/apps/strava":            true,
		"arn:*:ssm:*:*:parameter/paceline/dev/credentials/*":           false,
		"arn:aws:s3:::bucket/*":                                        false,
		"unknown":                                                      false,
	} {
		if overlapARN(arn, parameters(config.Prod).arn) != want {
			t.Errorf("%q names parameters: not %t", arn, want)
		}
	}
}

// policy returns a policy document with one statement, which allows.
func policy(statement map[string]any) map[string]any {
	statement["Effect"] = "Allow"
	return map[string]any{"Statement": []any{statement}}
}

// addResource adds a resource to a stack, to break a rule.
func addResource(s *system, stack, kind string, props map[string]any) {
	s.templates[stack]["Resources"].(map[string]any)["Added"] = map[string]any{"Type": kind, "Properties": props}
}

// exported exports the attribute in text, "{Stack.LogicalId.Attribute}", and
// returns a value that imports it.
func exported(s *system, text string) any {
	parts := strings.Split(strings.Trim(text, "{}"), ".")
	outputs, _ := s.templates[parts[0]]["Outputs"].(map[string]any)
	if outputs == nil {
		outputs = map[string]any{}
		s.templates[parts[0]]["Outputs"] = outputs
	}
	outputs["Added"] = map[string]any{
		"Value": map[string]any{"Fn::GetAtt": []any{parts[1], parts[2]}}, "Export": map[string]any{"Name": "added"},
	}
	return map[string]any{"Fn::ImportValue": "added"}
}

// requesterARN returns the requester's ARN as gathering imports it.
func requesterARN(t *testing.T, s *system) any {
	t.Helper()
	return s.find(t, "Gathering", "AWS::Lambda::Function", "gatherwork").at("Environment", "Variables", "REQUESTER_FUNCTION")
}

// keyStatements returns the statements of the token key's policy.
func keyStatements(t *testing.T, s *system) []any {
	t.Helper()
	return s.find(t, "Credentials", "AWS::KMS::Key", "TokenKey").at("KeyPolicy", "Statement").([]any)
}

// decrypting returns the first statement that allows the decryption of parameters.
func decrypting(t *testing.T, s *system) map[string]any {
	t.Helper()
	for _, st := range keyStatements(t, s) {
		if at(st, "Action") == "kms:Decrypt" && at(st, "Condition", "StringLike", "kms:EncryptionContext:PARAMETER_ARN") != nil {
			return st.(map[string]any)
		}
	}
	t.Fatal("the token key decrypts no parameters")
	return nil
}

// addTrust lets another principal assume forward-request's role.
func addTrust(t *testing.T, s *system, principal any) {
	t.Helper()
	role := s.find(t, "Credentials", "AWS::IAM::Role", "forwardrequest")
	document := role.at("AssumeRolePolicyDocument").(map[string]any)
	document["Statement"] = append(document["Statement"].([]any),
		map[string]any{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal})
}
