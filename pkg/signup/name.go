package signup

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// ReadSlug makes a subdomain of what somebody typed, by the rules by which browsers read host names (IDNA 2008 with the mapping of UTS #46): upper
// case and wide letters become what they stand for. What would need punycode, or is punycode, is refused, and so are reserved names and all
// that look like one. The error is [apperr.Invalid], on the field "slug".
func ReadSlug(typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	if len(typed) > 255 || !utf8.ValidString(typed) {
		return "", wrongSlug("must have 2 to 63 characters")
	}
	ascii, err := idna.Lookup.ToASCII(typed)
	if err != nil || strings.HasPrefix(ascii, "xn--") || strings.ContainsFunc(ascii, func(r rune) bool { return r >= utf8.RuneSelf }) {
		ascii = strings.ToLower(typed) // ParseSlug says what is wrong with it, unless it is in the letters.
	}
	slug, err := tenancy.ParseSlug(ascii)
	if problem, ok := asError(err); ok && len(problem.Fields) > 0 {
		return "", wrongSlug(problem.Fields[0].Message)
	}
	if err != nil {
		return "", err
	}
	if tenancy.LooksReserved(slug) {
		return "", wrongSlug("is reserved")
	}
	return slug, nil
}

func wrongSlug(message string) error {
	return apperr.New(apperr.Invalid, "Choose another address.").WithField("slug", message)
}

// Suggest gives a subdomain that a name of an organization could have, or "".
func Suggest(name string) string {
	slug, err := ReadSlug(tenancy.SuggestSlug(name))
	if err != nil {
		return ""
	}
	return slug
}

// line checks a text of one line, and gives it without the spaces around it.
func line(text string, most int) (string, bool) {
	text = strings.TrimSpace(text)
	n := utf8.RuneCountInString(text)
	return text, n >= 1 && n <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
