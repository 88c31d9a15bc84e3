package local

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/spf13/cobra"
)

// DefaultDir is the folder of a person's own local cloud, from the
// repository's folder.
const DefaultDir = ".local"

// settingsFrom makes the settings of the cloud in dir.
type settingsFrom func(root, dir string, getenv func(string) string) (Settings, error)

// foldersOnly is for commands that no environment variable should keep from working.
func foldersOnly(root, dir string, _ func(string) string) (Settings, error) {
	return FromEnv(root, dir, func(string) string { return "" })
}

// Command returns the "local" command tree.
func Command() *cobra.Command {
	var dir string
	// on makes a command that does one thing with the cloud that settings describe.
	on := func(use, short string, settings settingsFrom, do func(context.Context, *cloud) error) *cobra.Command {
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
	build := on("build", "Install the tools and build everything", foldersOnly, func(ctx context.Context, c *cloud) error {
		target, known := platforms[where]
		if !known {
			return fmt.Errorf("--for is %q; it must be host or lambda", where)
		}
		return c.prepare(ctx, target)
	})
	build.Flags().StringVar(&where, "for", "host", "where the functions will run: host or lambda")

	root := &cobra.Command{
		Use:   "local",
		Short: "Run all of Paceline on this machine",
		Long: `Run all of Paceline on this machine: the stacks deployed onto an AWS emulator,
stand-ins for Strava and Fitbit, and the site.

Environment: PACELINE_PORT (8080), PACELINE_AWS_PORT (4566), STRAVA_HISTORY,
STRAVA_CLIENT_ID, STRAVA_CLIENT_SECRET; all three of STRAVA_API_URL,
STRAVA_OAUTH_URL and STRAVA_PUSH_URL for another Strava than the stand-in;
FITBIT_CLIENT_ID, FITBIT_CLIENT_SECRET; both of FITBIT_SITE_URL and
FITBIT_API_URL for another Fitbit than the stand-in.`,
	}
	root.PersistentFlags().StringVar(&dir, "dir", DefaultDir, "folder of this cloud's logs and outputs.json")
	root.AddCommand(
		on("run", "Bring it up, show requests, and take it down on Ctrl-C", FromEnv, func(ctx context.Context, c *cloud) error { return c.run(ctx) }),
		on("up", "Bring it up and return when it is ready", FromEnv, func(ctx context.Context, c *cloud) error { return c.up(ctx) }),
		on("down", "End everything it started", foldersOnly, func(ctx context.Context, c *cloud) error { return c.down(ctx) }),
		on("status", "Tell which parts run", foldersOnly, func(_ context.Context, c *cloud) error { return c.status() }),
		on("tools", "Install the pinned tools", foldersOnly, func(ctx context.Context, c *cloud) error { return c.prepareTools(ctx) }),
		build,
		frontCommand(),
	)
	return root
}

// frontCommand is what startFront runs; a person has no use for it.
func frontCommand() *cobra.Command {
	var port int
	var site, aws, apiID, webhookAPIID string
	cmd := &cobra.Command{Use: "front", Hidden: true, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		address, err := url.Parse(aws)
		if err != nil {
			return err
		}
		if apiID == "" || webhookAPIID == "" || address.Host == "" {
			return errors.New("--api-id, --webhook-api-id and --aws must be set")
		}
		return serveFront(cmd.Context(), port, newFront(os.DirFS(site), address, apiID, webhookAPIID, os.Stdout))
	}}
	cmd.Flags().IntVar(&port, "port", DefaultPort, "port to serve on")
	cmd.Flags().StringVar(&site, "site", "", "folder of the built site")
	cmd.Flags().StringVar(&aws, "aws", "", "address of the emulator")
	cmd.Flags().StringVar(&apiID, "api-id", "", "id of the HTTP API")
	cmd.Flags().StringVar(&webhookAPIID, "webhook-api-id", "", "id of the HTTP API that takes Strava's webhooks")
	return cmd
}
