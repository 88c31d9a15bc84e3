package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/spf13/cobra"
)

func (a *adminCLI) setApp() *cobra.Command {
	var provider, clientID string
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Set an application's credentials, read from standard input",
		Long: "Set the client id and secret of the application at a provider.\n\n" +
			"Standard input holds the client secret on its first line. For Strava, a second line\n" +
			"may set the callback verify token. Neither is an argument, because arguments show in\n" +
			"process lists and shell histories.\n\n" +
			"To change the secret, create a new one at the provider and set it here at once. No\n" +
			"athlete has to connect again.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clientSecret, verifyToken, err := readSecrets(cmd.InOrStdin())
			if err != nil {
				return err
			}
			res, err := a.invoke(cmd.Context(), handler.AdminRequest{
				Action: handler.ActionSetApp, Provider: provider, ClientID: clientID, ClientSecret: clientSecret, VerifyToken: verifyToken,
			})
			if err == nil && res.Replaced {
				cmd.PrintErrln("The stored registration was unreadable and has been replaced. The callback URL has\n" +
					"changed: run `paceline admin subscription ensure`.")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&provider, "provider", "strava", "provider where the application is registered")
	cmd.Flags().StringVar(&clientID, "client-id", "", "client id of the application; Strava's is a number")
	_ = cmd.MarkFlagRequired("client-id")
	return cmd
}

// readSecrets reads the client secret from the first line and the verify token
// from the second, which may be missing.
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
		return "", "", errors.New("the client secret is missing: pass it on standard input")
	}
	return read[0], read[1], nil
}

func (a *adminCLI) ensureSubscription() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use: "ensure", Short: "Make Strava push events to this stage", Args: cobra.NoArgs,
		Long: "Make Strava push events to this stage. A Strava application has one push subscription.\n\n" +
			"If it points to another host, which may be another stage's, the command changes nothing\n" +
			"and the error names the host. --replace takes the subscription over.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.printSubscription(cmd, handler.AdminRequest{Action: handler.ActionEnsureSubscription, Replace: replace})
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "take over a subscription that points to another host")
	return cmd
}

func (a *adminCLI) subscription(name, short, action string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.printSubscription(cmd, handler.AdminRequest{Action: action})
	}}
}

// printSubscription requests an action and prints the subscription in the
// response, if there is one.
func (a *adminCLI) printSubscription(cmd *cobra.Command, req handler.AdminRequest) error {
	res, err := a.invoke(cmd.Context(), req)
	if err != nil || res.Subscription == nil {
		return err
	}
	s := res.Subscription
	return a.print(cmd, s, row("ID", "CALLBACK"), row(s.ID, s.CallbackURL))
}
