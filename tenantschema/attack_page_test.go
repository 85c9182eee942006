package tenantschema_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// update writes docs/isolation.md instead of comparing it: `make isolation-doc`.
var update = flag.Bool("update", false, "write docs/isolation.md")

const isolationPage = "../docs/isolation.md"

// What stands between these lines is written by hand, and stays.
const (
	keptBegin = "<!-- begin: leakproof -->\n"
	keptEnd   = "<!-- end: leakproof -->\n"
)

// The page says what the table says, which TestAttackMatrix holds against PostgreSQL.
func TestAttackMatrix_Page(t *testing.T) {
	t.Parallel()
	is, err := os.ReadFile(isolationPage)
	if !*update {
		require.NoError(t, err)
	}
	want := page(kept(string(is)))
	if *update {
		require.NoError(t, os.MkdirAll("../docs", 0o755))
		require.NoError(t, os.WriteFile(isolationPage, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(is), "docs/isolation.md is not what the table of attacks says: `make isolation-doc` writes it")
}

// kept gives the part of the page that is written by hand.
func kept(is string) string {
	_, rest, found := strings.Cut(is, keptBegin)
	text, _, ended := strings.Cut(rest, keptEnd)
	if !found || !ended {
		return ""
	}
	return text
}

// classes are the kinds of attack, in the order of the page.
func classes() []string {
	return []string{
		"read", "read as the victim", "seal", "around the seal", "write", "objects", "roles", "server", "session", "metadata", "denial", "jobs",
	}
}

func page(hand string) string {
	var b strings.Builder
	all := attacks()
	counts := [2][3]int{}
	for _, a := range all {
		for i := range tiers() {
			counts[0][i] += strings.Count(a.plain[i:i+1], "s")
			counts[1][i] += strings.Count(hardOf(a)[i:i+1], "s")
		}
	}
	fmt.Fprintf(&b, pageHead, len(all))
	b.WriteString("\n| of " + fmt.Sprint(len(all)) + " attacks | pooled | sealed | dedicated |\n|---|---|---|---|\n")
	for i, label := range []string{"stopped", "stopped after ~rowhouse harden~"} {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", label, counts[i][0], counts[i][1], counts[i][2])
	}
	b.WriteString("\n## The matrix\n\n" + pageLegend)
	for _, class := range classes() {
		fmt.Fprintf(&b, "\n### %s\n\n| attack | | it tries to | pooled | sealed | dedicated | hardened |\n|---|---|---|---|---|---|---|\n", title(class))
		for _, a := range all {
			if a.class != class {
				continue
			}
			fmt.Fprintf(&b, "| ~%s~ | %s | %s |", a.id, a.strength, strings.ReplaceAll(a.tries, "|", `\|`))
			for i := range tiers() {
				b.WriteString(" " + verdict(a.plain[i]) + " |")
			}
			b.WriteString(" " + tierwise(a) + " |\n")
		}
	}
	b.WriteString("\n## What is not stopped, and what to do\n\n")
	for _, why := range whys(all) {
		var ids []string
		for _, a := range all {
			if a.why == why {
				ids = append(ids, "~"+a.id+"~")
			}
		}
		fmt.Fprintf(&b, "- %s %s\n", why, "("+strings.Join(ids, ", ")+")")
	}
	b.WriteString(pageHarden)
	return strings.ReplaceAll(b.String(), "~", "`") + keptBegin + hand + keptEnd
}

func hardOf(a attack) string {
	if a.hard == "" {
		return a.plain
	}
	return a.hard
}

func title(class string) string { return strings.ToUpper(class[:1]) + class[1:] }

func verdict(outcome byte) string {
	if outcome == 's' {
		return "stopped"
	}
	return "**succeeds**"
}

// tierwise names the tiers on which hardening stops what succeeded, and those on which it does not.
func tierwise(a attack) string {
	var stops, stays []string
	for i, tier := range tiers() {
		switch {
		case a.plain[i] == 's':
		case hardOf(a)[i] == 's':
			stops = append(stops, string(tier))
		default:
			stays = append(stays, string(tier))
		}
	}
	switch {
	case len(stops) > 0 && len(stays) == 0:
		return "stopped"
	case len(stops) > 0:
		return "stopped: " + strings.Join(stops, ", ")
	case len(stays) > 0:
		return "no change"
	}
	return ""
}

// whys gives the reasons in the order in which they first come.
func whys(all []attack) (reasons []string) {
	for _, a := range all {
		if a.why != "" && !slices.Contains(reasons, a.why) {
			reasons = append(reasons, a.why)
		}
	}
	return reasons
}

// In the texts below ~ stands for a backquote.

const pageHead = `<!-- ~make isolation-doc~ makes this of tenantschema/attacks_*_test.go, but for what is between the leakproof markers. -->

# What each tier withstands

Every tenant has a schema and a role of its own, and every statement runs in that role. That alone stops mistakes and SQL that names another
tenant's tables. The tiers differ in what they do about SQL that was smuggled in and means harm. **Pooled** tenants share connections whose
login may become any tenant of its cell: SQL that changes the role is that other tenant. **Sealed** ones, the default, share them as well,
but every table asks whether the transaction bears the tenant's seal, which only the process that serves can make: a changed role reads and
writes nothing. **Dedicated** ones have the seal and a login that can become nobody else, on connections that nobody shares.
~rowhouse harden~ takes functions away that only an attacker needs; it wants a superuser, and adds to every tier.

Below are %d attacks. CI runs each of them on each tier, before and after hardening, and the build fails when one of them does something
else than this page says; it is the same on PostgreSQL 15 and on 18. Each that is stopped has a control: the same SQL, sent by the same role
in a transaction in which the superuser has taken the defence away, succeeds. So a misspelt attack cannot pass for a defence.
`

const pageLegend = `**F**: the attacker writes a piece of a SELECT of the tenant's own. **W**: one statement of the attacker's own.
**S**: several, in one transaction; these are also tried on a session that has entered the tenant as a scope does and that no code of ours
reads, so that what stops them is PostgreSQL and not a look at their text. The attacks on the session itself are about what the engine lets
survive, and are tried through it. "Hardened" says what ~rowhouse harden~ changes.
`

const pageHarden = `
Behind a pooler in transaction mode (~database.pooler_url~) the engine cannot close the server's session. It refuses by their text the
statements that might leave something, and has no second look. Let the pooler reset sessions as well: PgBouncer's
~server_reset_query_always = 1~. The seal names the backend and holds there too.

## Hardening

~rowhouse harden~ prints the SQL; ~rowhouse harden --apply~ runs it as the superuser of ~ROWHOUSE_HARDEN_URL~, or in the server of a running
~rowhouse up~. It takes EXECUTE on functions, and USAGE on PL/pgSQL (so: ~DO~), from PUBLIC and gives them to the roles of the platform that
need them. That concerns one database: repeat it after a restore into a new one. Whatever else uses the database loses those functions as
well: grant it what it needs.

## Operators and indexes behind the seal

`
