package local

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/spf13/cobra"
)

// DefaultDir is the folder of a developer's local cloud, relative to the
// repository.
const DefaultDir = ".local"

// settingsReader returns the settings of the cloud in dir.
type settingsReader func(root, dir string, getenv func(string) string) (Settings, error)

// withoutEnv is for commands that must work whatever the environment holds.
func withoutEnv(root, dir string, _ func(string) string) (Settings, error) {
	return FromEnv(root, dir, func(string) string { return "" })
}

// Command returns the "local" command tree.
func Command() *cobra.Command {
	var dir string
	// command returns a command that runs do for the cloud that settings describe.
	command := func(use, short string, settings settingsReader, do func(context.Context, *cloud) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			here, err := os.Getwd()
			if err != nil {
				return err
			}
			root, err := FindRoot(here)
			if err != nil {
				return err
			}
			s, err := settings(root, dir, os.Getenv)
			if err != nil {
				return err
			}
			return do(cmd.Context(), newCloud(s))
		}}
	}

	var where string
	build := command("build", "Install the tools and build all programs and the site", withoutEnv, func(ctx context.Context, c *cloud) error {
		target, known := platforms[where]
		if !known {
			return fmt.Errorf("--for is %q; it must be host or lambda", where)
		}
		return c.prepare(ctx, target)
	})
	build.Flags().StringVar(&where, "for", "host", "platform of the functions: host or lambda")

	root := &cobra.Command{
		Use:   "local",
		Short: "Run all of Paceline on this machine",
		Long: `Run all of Paceline on this machine: the stacks on an AWS emulator, stand-ins for
Strava and Fitbit, and the site.

Environment:
  PACELINE_PORT         port of the site (8080)
  PACELINE_AWS_PORT     port of the AWS emulator (4566)
  STRAVA_CLIENT_ID      client id of the Strava application
  STRAVA_CLIENT_SECRET  its client secret
  STRAVA_HISTORY        JSON file with an array of Strava's SummaryActivity, which
                        the stand-in loads
  STRAVA_API_URL, STRAVA_OAUTH_URL, STRAVA_PUSH_URL
                        another Strava to use instead of the stand-in; set all
  FITBIT_CLIENT_ID      client id of the Fitbit application
  FITBIT_CLIENT_SECRET  its client secret
  FITBIT_SITE_URL, FITBIT_API_URL
                        another Fitbit to use instead of the stand-in; set both`,
	}
	root.PersistentFlags().StringVar(&dir, "dir", DefaultDir, "folder of the local cloud, with its logs and outputs.json")
	root.AddCommand(
		command("run", "Start the local cloud, show its requests, and stop it on Ctrl-C", FromEnv, func(ctx context.Context, c *cloud) error { return c.run(ctx) }),
		command("up", "Start the local cloud and return when it is ready", FromEnv, func(ctx context.Context, c *cloud) error { return c.up(ctx) }),
		command("down", "Stop everything that run and up started", withoutEnv, func(ctx context.Context, c *cloud) error { return c.down(ctx) }),
		command("status", "Show which processes run", withoutEnv, func(_ context.Context, c *cloud) error { return c.status() }),
		command("tools", "Install the pinned tools", withoutEnv, func(ctx context.Context, c *cloud) error { return c.prepareTools(ctx) }),
		build,
		edgeCommand(),
	)
	return root
}

// edgeCommand returns the hidden command that startEdge runs.
func edgeCommand() *cobra.Command {
	var port int
	var site, aws, apiID, webhookAPIID string
	cmd := &cobra.Command{Use: edge, Hidden: true, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		address, err := url.Parse(aws)
		if err != nil {
			return err
		}
		if apiID == "" || webhookAPIID == "" || address.Host == "" {
			return errors.New("--api-id, --webhook-api-id and --aws must be set")
		}
		return serveEdge(cmd.Context(), port, newEdgeProxy(os.DirFS(site), address, apiID, webhookAPIID, os.Stdout))
	}}
	cmd.Flags().IntVar(&port, "port", DefaultPort, "port to serve on")
	cmd.Flags().StringVar(&site, "site", "", "folder of the built site")
	cmd.Flags().StringVar(&aws, "aws", "", "address of the emulator")
	cmd.Flags().StringVar(&apiID, "api-id", "", "id of the HTTP API")
	cmd.Flags().StringVar(&webhookAPIID, "webhook-api-id", "", "id of the HTTP API that takes Strava's webhooks")
	return cmd
}
