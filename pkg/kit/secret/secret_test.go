package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/paceline/paceline/pkg/kit/secret"
)

const value = "hunter2hunter2"

type holder struct {
	Public secret.String
	hidden secret.String
}

func TestNoWayOfPrintingShowsTheSecret(t *testing.T) {
	s := secret.New(value)
	h := holder{Public: s, hidden: s}
	ptr := &s

	printed := map[string]string{
		"Sprint":      fmt.Sprint(s),
		"Sprintln":    fmt.Sprintln(s, h, ptr),
		"error":       fmt.Errorf("refresh: %v: %w", s, errors.New("x")).Error(),
		"concatenate": "" + s.String(),
		"panic": func() (out string) {
			defer func() { out = fmt.Sprint(recover()) }()
			panic(s)
		}(),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
		printed["value "+verb] = fmt.Sprintf(verb, s)
		printed["struct "+verb] = fmt.Sprintf(verb, h)
		printed["pointer to struct "+verb] = fmt.Sprintf(verb, &h)
		printed["slice "+verb] = fmt.Sprintf(verb, []secret.String{s})
		printed["map "+verb] = fmt.Sprintf(verb, map[string]holder{"k": h})
	}
	for name, v := range map[string]any{"value": s, "pointer": ptr, "struct": h, "map key": map[secret.String]int{s: 1}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("json %s: %v", name, err)
		}
		printed["json "+name] = string(b)
	}
	b, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"h"`
		S       secret.String
	}{S: s})
	if err != nil {
		t.Fatal(err)
	}
	printed["xml"] = string(b)
	for name, mk := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(w *bytes.Buffer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"slog json": func(w *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var w bytes.Buffer
		slog.New(mk(&w)).Info("m", "s", s, "h", h, "p", ptr, "g", slog.GroupValue(slog.Any("s", s)))
		printed[name] = w.String()
	}

	hex := fmt.Sprintf("%x", value)
	for name, out := range printed {
		if strings.Contains(out, value) || strings.Contains(strings.ToLower(out), hex) {
			t.Errorf("%s shows the secret: %s", name, out)
		}
	}
}

func TestRevealAndEqual(t *testing.T) {
	s := secret.New(value)
	if s.Reveal() != value || s.Empty() {
		t.Fatal("the secret is not kept")
	}
	var zero secret.String
	if zero.Reveal() != "" || !zero.Empty() {
		t.Fatal("the zero String is not empty")
	}
	if !s.Equal(secret.New(value)) || s.Equal(secret.New("other")) || s.Equal(zero) {
		t.Fatal("Equal is wrong")
	}
}
