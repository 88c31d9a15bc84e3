package admin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/spf13/cobra"
)

func (a *adminCLI) athletes() *cobra.Command {
	var provider, cursor, idle string
	var limit int
	cmd := &cobra.Command{
		Use:   "athletes",
		Short: "List the accounts that granted access, one page at a time, or the idle ones",
		Long: "List the accounts of one provider that granted access, one page at a time.\n\n" +
			"With --idle, list all athletes who occupy a place and have not signed in for so many\n" +
			"days, at least 30. A session in use lasts 30 days, so the last visit may be up to\n" +
			"30 days later than the last sign-in.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if idle != "" {
				return a.idleAthletes(cmd, provider, idle)
			}
			res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionAthletes, Provider: provider, Cursor: cursor, Limit: limit})
			if err != nil {
				return err
			}
			if err := a.printAthletes(cmd, res.Athletes, res.NextCursor); err != nil {
				return err
			}
			if res.NextCursor != "" && !a.json {
				cmd.PrintErrf("There are more. For the next page, add --cursor %s\n", res.NextCursor)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&provider, "provider", "strava", "provider whose accounts to list")
	cmd.Flags().StringVar(&cursor, "cursor", "", "next_cursor of the previous page")
	cmd.Flags().IntVar(&limit, "limit", 50, "accounts on a page, at most 200")
	cmd.Flags().StringVar(&idle, "idle", "", "list only athletes who have not signed in for so many days, such as 90d")
	cmd.MarkFlagsMutuallyExclusive("idle", "cursor")
	cmd.MarkFlagsMutuallyExclusive("idle", "limit")
	return cmd
}

// idleAthletes lists all idle athletes. It reads all pages, because most of them
// hold few idle athletes.
func (a *adminCLI) idleAthletes(cmd *cobra.Command, provider, idle string) error {
	days, err := strconv.ParseUint(strings.TrimSuffix(idle, "d"), 10, 16)
	if err != nil || days == 0 {
		return fmt.Errorf("--idle must be a number of days such as 90d, not %q", idle)
	}
	all := []handler.AthleteView{}
	for req := (handler.AdminRequest{Action: handler.ActionAthletes, Provider: provider, Limit: 200, IdleDays: int(days)}); ; {
		res, err := a.invoke(cmd.Context(), req)
		if err != nil {
			return err
		}
		all = append(all, res.Athletes...)
		if req.Cursor = res.NextCursor; req.Cursor == "" {
			return a.printAthletes(cmd, all, "")
		}
	}
}

func (a *adminCLI) printAthletes(cmd *cobra.Command, athletes []handler.AthleteView, nextCursor string) error {
	page := struct {
		Athletes   []handler.AthleteView `json:"athletes"`
		NextCursor *string               `json:"next_cursor"`
	}{Athletes: athletes}
	if nextCursor != "" {
		page.NextCursor = &nextCursor
	}
	rows := [][]any{row("ACCOUNT", "PROVIDER", "STATE", "SIGNED IN", "SCOPES")}
	for _, v := range athletes {
		rows = append(rows, row(v.AccountID, v.Provider, v.State, v.SignedInAt.Format(time.DateOnly), strings.Join(v.Scopes, " ")))
	}
	return a.print(cmd, page, rows...)
}

func (a *adminCLI) revokeAthlete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End an athlete's authorization, which frees a place",
		Long: "End an athlete's authorization: revoke it at Strava and erase all data of the athlete.\n" +
			"The place is free once the authorization is revoked at Strava, within a few minutes.\n" +
			"The receipt proves the erasure to the athlete.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id <= 0 {
				return fmt.Errorf("%q is not an athlete's id, which is a positive number", args[0])
			}
			if !yes {
				cmd.PrintErrf("All data of athlete %d will be erased. Type the id again to confirm: ", id)
				answer, _ := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 64)).ReadString('\n')
				if strings.TrimSpace(answer) != args[0] {
					return errors.New("the ids differ: nothing was changed")
				}
			}
			res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionRevokeAthlete, AthleteID: id})
			if err != nil {
				return err
			}
			revoked := struct {
				AthleteID int64  `json:"athlete_id"`
				Receipt   string `json:"receipt"`
			}{id, res.Receipt}
			return a.print(cmd, revoked, row("ATHLETE", "RECEIPT"), row(id, res.Receipt))
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask for confirmation")
	return cmd
}

func (a *adminCLI) waitlist() *cobra.Command {
	cmd := &cobra.Command{
		Use: "waitlist", Short: "List the people who wait for a place, the oldest entry first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionWaitlist})
			if err != nil {
				return err
			}
			list := struct {
				Waiting []handler.WaitlistEntryView `json:"waiting"`
			}{append([]handler.WaitlistEntryView{}, res.Waitlist...)}
			rows := [][]any{row("SINCE", "CONTACT")}
			for _, w := range res.Waitlist {
				rows = append(rows, row(w.Since.Format(time.DateOnly), w.Contact))
			}
			return a.print(cmd, list, rows...)
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use: "remove CONTACT", Short: "Remove a contact from the waitlist", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionRemoveFromWaitlist, Contact: args[0]})
			return err
		},
	}, &cobra.Command{
		Use: "clear", Short: "Remove all contacts from the waitlist", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := a.invoke(cmd.Context(), handler.AdminRequest{Action: handler.ActionClearWaitlist})
			if err != nil {
				return err
			}
			return a.printCount(cmd, "removed", res.Ended)
		},
	})
	return cmd
}
