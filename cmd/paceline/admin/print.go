package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// row is a line of a table.
func row(cells ...any) []any { return cells }

// print writes v as JSON, or the same as a table.
func (a *adminCLI) print(cmd *cobra.Command, v any, table ...[]any) error {
	if a.json {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, cells := range table {
		_, _ = fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf(strings.Repeat("%v\t", len(cells)), cells...), "\t"))
	}
	return w.Flush()
}
