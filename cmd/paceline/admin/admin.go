package admin

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/spf13/cobra"
)

// Command returns the "admin" command tree. Every answer is JSON on standard
// output.
func Command() *cobra.Command {
	root := &cobra.Command{Use: "admin", Short: "Administer a stage by its admin function"}
	var t target
	root.PersistentFlags().StringVar(&t.stage, "stage", "local", "stage to administer")
	root.PersistentFlags().StringVar(&t.dir, "dir", ".local", "for the stage local: folder of the local cloud")

	app := &cobra.Command{Use: "app", Short: "The Strava application"}
	app.AddCommand(setApp(&t))

	subscription := &cobra.Command{Use: "subscription", Short: "The push subscription"}
	for _, c := range []struct{ use, short, action string }{
		{"ensure", "Make Strava push events to this stage", lambdain.ActionEnsureSubscription},
		{"show", "Show the push subscription", lambdain.ActionShowSubscription},
		{"delete", "Delete the push subscription", lambdain.ActionDeleteSubscription},
	} {
		subscription.AddCommand(&cobra.Command{Use: c.use, Short: c.short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := t.invoke(cmd.Context(), lambdain.AdminRequest{Action: c.action})
			if err != nil || res.Subscription == nil {
				return err
			}
			return print(cmd.OutOrStdout(), res.Subscription)
		}})
	}

	status := &cobra.Command{Use: "status", Short: "Show the stage at a glance", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		res, err := t.invoke(cmd.Context(), lambdain.AdminRequest{Action: lambdain.ActionStatus})
		if err != nil {
			return err
		}
		return print(cmd.OutOrStdout(), res.Status)
	}}
	root.AddCommand(app, subscription, athletes(&t), status)
	return root
}

func setApp(t *target) *cobra.Command {
	var clientID string
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Set the Strava application's credentials, read from standard input",
		Long: "Set the Strava application's client id and secret.\n\n" +
			"Standard input: the client secret on the first line and, if you want to choose it\n" +
			"yourself, the callback verify token on the second. Neither is ever an argument:\n" +
			"arguments show in process lists and shell histories.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clientSecret, verifyToken, err := readSecrets(cmd.InOrStdin())
			if err != nil {
				return err
			}
			_, err = t.invoke(cmd.Context(), lambdain.AdminRequest{
				Action: lambdain.ActionSetApp, ClientID: clientID, ClientSecret: clientSecret, VerifyToken: verifyToken,
			})
			return err
		},
	}
	cmd.Flags().StringVar(&clientID, "client-id", "", "the application's client id, a number")
	_ = cmd.MarkFlagRequired("client-id")
	return cmd
}

// readSecrets reads the client secret and, from a second line if there is one,
// the verify token.
func readSecrets(in io.Reader) (clientSecret, verifyToken string, err error) {
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprintln(os.Stderr, "Type the client secret and press Enter, then Ctrl-D:")
		}
	}
	lines := bufio.NewScanner(io.LimitReader(in, 4096))
	var read []string
	for lines.Scan() {
		read = append(read, strings.TrimSpace(lines.Text()))
	}
	if err := lines.Err(); err != nil {
		return "", "", fmt.Errorf("read the client secret: %w", err)
	}
	read = append(read, "", "")
	if read[0] == "" {
		return "", "", errors.New("the client secret is missing: give it on standard input")
	}
	return read[0], read[1], nil
}

func athletes(t *target) *cobra.Command {
	var cursor string
	var limit int
	cmd := &cobra.Command{
		Use: "athletes", Short: "List the athletes who granted access, a page at a time", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := t.invoke(cmd.Context(), lambdain.AdminRequest{Action: lambdain.ActionAthletes, Cursor: cursor, Limit: limit})
			if err != nil {
				return err
			}
			page := struct {
				Athletes   []lambdain.AthleteView `json:"athletes"`
				NextCursor *string                `json:"next_cursor"`
			}{Athletes: res.Athletes}
			if res.NextCursor != "" {
				page.NextCursor = &res.NextCursor
			}
			return print(cmd.OutOrStdout(), page)
		},
	}
	cmd.Flags().StringVar(&cursor, "cursor", "", "next_cursor of the page before")
	cmd.Flags().IntVar(&limit, "limit", 50, "athletes a page, at most 200")
	return cmd
}

func print(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
