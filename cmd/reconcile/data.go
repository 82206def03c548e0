package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

func (p *program) data() *cobra.Command {
	return &cobra.Command{
		Use:   "data TENANT",
		Short: "Draw the data of a tenant: datasets, snapshots, clones, who needs each and until when",
		Long: `data draws the lineage of a tenant's data as a tree: datasets, under them the
snapshots taken of them, under those the clones made from them. Each line says
what it is for, how much space it takes by itself, until when it is kept and
what keeps it. A snapshot marked with ← can be gone back to, with
` + "`reconcile rollback TENANT --data SNAPSHOT`" + `. -o json has every field.`,
		Example: `  reconcile data acme
  reconcile data acme -o json | jq '.data[] | select(.use | startswith("serves"))'`,
		Args:              exactly(1, "one tenant"),
		ValidArgsFunction: p.completeTenant,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			t, notes, done, err := p.ask(cmd.Context(), set)
			if err != nil {
				return err
			}
			defer done()
			l, err := t.Data(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if set.Output == "json" {
				return p.json(l)
			}
			writeNotes(p.stderr, notes)
			writeLineage(p.stdout, l, width(p.stdout))
			return nil
		},
	}
}

// writeLineage draws the trees, one line a thing.
func writeLineage(w io.Writer, l agent.Lineage, columns int) {
	if l.Unseen != nil {
		fmt.Fprintf(w, "the data cannot be seen now, and are as last seen: %s\n", l.Unseen)
	}
	if len(l.Data) == 0 {
		fmt.Fprintf(w, "%s has no data on this host.\n", l.Tenant)
		return
	}
	volume := ""
	var t table
	flush := func() { t.write(w, columns); t = nil }
	for _, n := range l.Data {
		if n.Volume != volume {
			flush()
			volume = n.Volume
			fmt.Fprintf(w, "volume %s (%s)\n", volume, orDash(n.Driver))
		}
		t = appendNode(t, n, "  ", "  ")
	}
	flush()
	fmt.Fprintln(w, retentionText(l.Retention))
}

// appendNode adds a node and what grows from it. head begins its own line, and
// rest the lines below it.
func appendNode(t table, n reconcile.DataNode, head, rest string) table {
	mark := "●"
	switch {
	case n.Restorable:
		mark = "←"
	case n.Role == observed.Origin:
		mark = "○"
	}
	t = append(t, []string{head + mark + " " + n.ID, sizeOf(n), strings.Join(nodeText(n), "; ")})
	for i, c := range n.Children {
		branch, below := "├─ ", "│  "
		if i == len(n.Children)-1 {
			branch, below = "└─ ", "   "
		}
		t = appendNode(t, c, rest+branch, rest+below)
	}
	return t
}

// nodeText says who needs it, until when, and what keeps it.
func nodeText(n reconcile.DataNode) []string {
	text := []string{n.Use}
	if n.Left >= 0 {
		text = append(text, agent.SizeUpTo(n.Left, n.AtMost)+" written since its origin")
	}
	if !n.Ready && !n.Doomed {
		text = append(text, "not whole yet")
	}
	if n.Lacks != "" {
		text = append(text, "lacks "+n.Lacks+" of its origin")
	}
	if n.Role == observed.Origin && !n.Created.IsZero() {
		text = append(text, "taken "+n.Created.Local().Format("2006-01-02 15:04"))
	}
	if !n.Until.IsZero() {
		text = append(text, "goes "+n.Until.Local().Format("2006-01-02 15:04"))
	}
	switch {
	case n.Held != "":
		text = append(text, "stays meanwhile: "+n.Held)
	case len(n.Holds) > 0:
		text = append(text, "held by "+strings.Join(n.Holds, ", "))
	}
	if n.Stuck != nil {
		text = append(text, fmt.Sprintf("%s, tried again %s", n.Stuck.Text(), n.Stuck.Next.Local().Format("15:04")))
	}
	return text
}

// retentionText says the rules that end what nothing uses any more.
func retentionText(r plans.Retention) string {
	rule := func(k plans.Keep) string {
		switch {
		case k.Count > 0 && k.For > 0:
			return fmt.Sprintf("%s, and the newest %d", ageText(k.For.Std()), k.Count)
		case k.Count > 0:
			return fmt.Sprintf("the newest %d", k.Count)
		}
		return ageText(k.For.Std())
	}
	return fmt.Sprintf("retention: snapshots before a change %s; given up data %s; a removed tenant %s", rule(r.PreUpgrade), rule(r.Discarded), rule(r.Final))
}

// ageText writes a time span in days or hours where it is a whole number of them.
func ageText(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}

// sizeOf is what a dataset takes by itself, for people.
func sizeOf(n reconcile.DataNode) string {
	if n.Bytes < 0 {
		return "?"
	}
	return agent.Size(n.Bytes)
}
