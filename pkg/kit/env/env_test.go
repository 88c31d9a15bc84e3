package env_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/kit/env"
)

type Common struct {
	Bus string `env:"BUS,required"`
}

type settings struct {
	Common
	Table  string `env:"TABLE,required"`
	Secure bool   `env:"SECURE"`
	Limit  int    `env:"LIMIT"`
	Note   string `env:"NOTE"`
}

func lookup(m map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func TestEncodeThenDecodeIsTheSame(t *testing.T) {
	in := settings{Common: Common{Bus: "b"}, Table: "t", Secure: true, Limit: 7}
	vars, err := env.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	var out settings
	if err := env.Decode(&out, lookup(vars)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, out); d != "" {
		t.Fatal(d)
	}
}

func TestDecodeNamesEveryFaultAndNoValue(t *testing.T) {
	var s settings
	err := env.Decode(&s, lookup(map[string]string{"SECURE": "hunter2", "LIMIT": "many"}))
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"BUS", "TABLE", "SECURE", "LIMIT"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %q", name, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a value is shown: %q", err)
	}
}

func TestEncodeRefusesEmptyRequired(t *testing.T) {
	if _, err := env.Encode(settings{Table: "t"}); err == nil || !strings.Contains(err.Error(), "BUS") {
		t.Fatalf("got %v", err)
	}
}
