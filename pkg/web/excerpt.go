package web

import (
	"strings"

	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// excerpt takes the marks of a search apart, so that the template can escape what stands between them.
func excerpt(text string) []excerptPart {
	var parts []excerptPart
	for text != "" {
		before, rest, found := strings.Cut(text, workspace.HitBegins)
		if before != "" {
			parts = append(parts, excerptPart{Text: before})
		}
		if !found {
			break
		}
		hit, after, _ := strings.Cut(rest, workspace.HitEnds)
		parts = append(parts, excerptPart{Text: hit, Hit: true})
		text = after
	}
	return parts
}
