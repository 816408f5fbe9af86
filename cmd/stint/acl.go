package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/stint-go/stint"
)

func (a *app) aclCommand() *cobra.Command {
	var version, user string
	var roles []string
	for _, r := range stint.Roles() {
		roles = append(roles, string(r))
	}
	c := &cobra.Command{
		Use:   "acl ROLE",
		Short: "Print the rules of a Redis user with the least rights for a role",
		Long: "Print the command that gives a Redis user the least rights for a role at the queue of --queue, which may be a pattern as media-*.\n" +
			"Roles: " + strings.Join(roles, ", ") + ". It is printed, not sent: put >PASSWORD in its place and give it to redis-cli, or to a file of users.\n" +
			"stint queues and the completion of --queue call SCAN besides, and stint doctor INFO: give +scan and +info for these.",
		Example:   "  stint acl producer -q media --user web",
		ValidArgs: roles,
		Args:      usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			queue := cmp.Or(a.name, a.env("STINT_QUEUE"))
			if queue == "" {
				return fail(exitUsage, "no queue: give --queue, which may be a pattern as media-*")
			}
			if strings.ContainsAny(user, " \t\n\"'") {
				return fail(exitUsage, "--user: %q: must have no spaces or quotes", user)
			}
			rules, err := stint.ACL(stint.Role(args[0]), queue, version)
			if err != nil {
				return err
			}
			switch a.out.format {
			case "json", "yaml":
				return a.out.values(a.stdout, rules)
			}
			a.printf("ACL SETUSER %s on >PASSWORD %s\n", cmp.Or(user, args[0]), strings.Join(rules, " "))
			return nil
		},
	}
	c.Flags().StringVar(&user, "user", "", "name of the user; that of the role otherwise")
	c.Flags().StringVar(&version, "server-version", "", "version of the server, as 7.2.4; 7.0 otherwise")
	a.out.flags(c)
	return c
}

// infoOf reads a section of INFO, as a map; nil where it is refused.
func infoOf(ctx context.Context, c redis.Cmdable, section string) map[string]string {
	reply, err := c.Info(ctx, section).Result()
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for line := range strings.Lines(reply) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			out[k] = v
		}
	}
	return out
}

// sortedKeys are the keys of a map, in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
