package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/cmd/paceline/admin"
	"github.com/paceline/paceline/cmd/paceline/local"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "paceline",
		Short:         "Run Paceline on this machine, or administer a stage",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(local.Command(), admin.Command())
	if err := root.ExecuteContext(ctx); err != nil {
		if !errors.Is(err, local.ErrShown) {
			fmt.Fprintln(os.Stderr, "paceline:", err)
		}
		os.Exit(1)
	}
}
