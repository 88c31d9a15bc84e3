package infra

import (
	"strings"
	"testing"

	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/stack"
	"github.com/paceline/paceline/pkg/credentials/settings"
)

// An advanced parameter is encrypted with a data key, so a stage with the advanced
// tier needs another permission on the same parameters.
func TestAdvancedParametersAreEncryptedWithDataKeys(t *testing.T) {
	standard := synth(t, config.Prod)
	advanced := synthesise(t, context(t, config.Prod), func(c *config.Config, _ *stack.Assets) {
		c.Parameters = config.Parameters{Tier: settings.TierAdvanced, HigherThroughput: true}
	})
	for _, v := range advanced.violations {
		t.Error(v)
	}
	for _, inv := range access {
		for _, v := range inv.check(t, advanced) {
			t.Errorf("%s: %s", inv.name, v)
		}
	}
	writers := 0
	for _, tc := range []struct {
		s             *system
		tier, encrypt string
	}{{standard, "standard", "kms:Encrypt"}, {advanced, "advanced", "kms:GenerateDataKey"}} {
		got := 0
		for _, st := range tc.s.statements() {
			if st.of.kind != "AWS::KMS::Key" || at(st.conditions, "StringLike", "kms:EncryptionContext:PARAMETER_ARN") == nil {
				continue
			}
			for _, action := range st.actions {
				switch action {
				case tc.encrypt:
					got += len(st.principals)
				case "kms:Decrypt":
				default:
					t.Errorf("tier %s: %s for a parameter", tc.tier, action)
				}
			}
		}
		if writers == 0 {
			writers = got
		}
		if got == 0 || got != writers {
			t.Errorf("tier %s: %d functions may encrypt parameters, want %d", tc.tier, got, writers)
		}
		for _, f := range tc.s.resources("AWS::Lambda::Function") {
			if f.at("Environment", "Variables", "TOKEN_KEY_ID") != nil && f.at("Environment", "Variables", "PARAMETER_TIER") != tc.tier {
				t.Errorf("%s has the tier %v, want %s", f, f.at("Environment", "Variables", "PARAMETER_TIER"), tc.tier)
			}
		}
	}
}

func TestHigherThroughputIsTurnedOnButNeverOff(t *testing.T) {
	for _, stage := range stages {
		for _, r := range synth(t, stage).resources() {
			if r.kind == "Custom::AWS" {
				t.Errorf("stage %s: %s", stage, r)
			}
		}
	}
	s := synthesise(t, context(t, config.Prod), func(c *config.Config, _ *stack.Assets) { c.Parameters.HigherThroughput = true })
	for _, v := range s.violations {
		t.Error(v)
	}
	r := s.find(t, "Credentials", "Custom::AWS", "HigherThroughput")
	for property, want := range map[string]string{"Create": "high-throughput-enabled", "Update": `"SettingValue":"true"`} {
		if call := s.text(r.stack, r.at(property)); !strings.Contains(call, "updateServiceSetting") || !strings.Contains(call, want) {
			t.Errorf("%s: %s", property, call)
		}
	}
	if r.at("Delete") != nil {
		t.Error("a stage that is deleted turns it off for the others")
	}
}

// An alias names the stage and the purpose of the key. It is deleted with the
// stack, because it would block the next deployment.
func TestTheTokenKeyHasAnAlias(t *testing.T) {
	for _, stage := range stages {
		s := synth(t, stage)
		alias := s.find(t, "Credentials", "AWS::KMS::Alias", "TokenKeyAlias")
		if got, want := alias.at("AliasName"), "alias/paceline-"+string(stage)+"-tokens"; got != want {
			t.Errorf("stage %s: %v, want %s", stage, got, want)
		}
		if key := s.find(t, "Credentials", "AWS::KMS::Key", "TokenKey"); owner(s.text(alias.stack, alias.at("TargetKeyId"))) != key.String() {
			t.Errorf("stage %s: the alias is of %v", stage, alias.at("TargetKeyId"))
		}
		if policy := alias.body["DeletionPolicy"]; policy != nil && policy != "Delete" {
			t.Errorf("stage %s: the alias outlives its stack: %v", stage, policy)
		}
	}
}
