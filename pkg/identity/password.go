package identity

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// Lengths of passwords in characters. The longest bounds what is hashed.
const (
	MinPassword = 12
	MaxPassword = 128
)

// maxPasswordBytes is more than any password takes, normalized or not.
const maxPasswordBytes = 4 * 4 * MaxPassword

// commonPasswords are those that are tried first, one a line, in lower case.
//
//go:embed common_passwords.txt
var commonPasswords string

// hasher computes argon2id, a few at a time.
type hasher struct {
	params  argon2id.Params
	slots   chan struct{}
	waiting atomic.Int64
	// decoy is a hash that no password has.
	decoy string
}

func newHasher(memory uint32, slots int) *hasher {
	h := &hasher{
		params: argon2id.Params{Memory: memory, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32},
		slots:  make(chan struct{}, slots),
	}
	noise := make([]byte, h.params.SaltLength+h.params.KeyLength)
	_, _ = rand.Read(noise) // Never fails.
	h.decoy = fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, h.params.Iterations, h.params.Parallelism,
		base64.RawStdEncoding.EncodeToString(noise[:h.params.SaltLength]), base64.RawStdEncoding.EncodeToString(noise[h.params.SaltLength:]))
	return h
}

// queuePerSlot is how many may wait for each hash that is being computed: some seconds' worth.
const queuePerSlot = 32

// enter waits for a turn, and gives what ends it.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(queuePerSlot*cap(h.slots)) {
		return nil, &apperr.Error{
			Code: apperr.Unavailable, Message: "Too many people are signing in right now. Try again in a moment.", RetryAfter: 2 * time.Second,
		}
	}
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return argon2id.CreateHash(normalize(password), &h.params)
}

// verify reports whether password has the hash. Without one it takes the same work. stale says that the hash is to be made anew,
// with the parameters of today.
func (h *hasher) verify(ctx context.Context, password string, hash *string) (ok, stale bool, err error) {
	if len(password) > maxPasswordBytes {
		password = "" // Nobody's, and no more work than others.
	}
	against := h.decoy
	if hash != nil {
		against = *hash
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	ok, params, err := argon2id.CheckHash(normalize(password), against)
	if err != nil {
		return false, false, fmt.Errorf("check password: %w", err)
	}
	return ok && hash != nil, *params != h.params, nil
}

// normalize makes one password of what different keyboards send for the same characters, as NIST SP 800-63B wants.
func normalize(password string) string { return norm.NFKC.String(password) }

// HashPassword checks a password that somebody chooses and gives its hash, to be stored. The error is apperr.Invalid, on the field
// "password", if it has not 12 to 128 characters or is known to those who guess; apperr.Unavailable if too many hashes are wanted at once.
func (s *Service) HashPassword(ctx context.Context, password string) (string, error) {
	if err := s.checkPassword(ctx, password); err != nil {
		return "", err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return "", failed("hash password", err)
	}
	return hash, nil
}

func (s *Service) checkPassword(ctx context.Context, password string) error {
	wrong := func(message string) error {
		return apperr.New(apperr.Invalid, "Choose another password.").WithField("password", message)
	}
	if n := utf8.RuneCountInString(normalize(password)); len(password) > maxPasswordBytes || n < MinPassword || n > MaxPassword ||
		!utf8.ValidString(password) {
		return wrong(fmt.Sprintf("Give a password of %d to %d characters.", MinPassword, MaxPassword))
	}
	if common(password) {
		return wrong("This password is among those that are guessed first. A few words that do not belong together are better.")
	}
	if s.cfg.Breached == nil {
		return nil
	}
	known, err := s.cfg.Breached(ctx, password)
	if err != nil {
		return fmt.Errorf("identity: look for the password among the breached: %w", err)
	}
	if known {
		return wrong("This password has been found in data that was stolen elsewhere. Choose one that you use nowhere else.")
	}
	return nil
}

// common reports whether a password is on the list, or made of hardly anything.
func common(password string) bool {
	lower := strings.ToLower(normalize(password))
	letters := []rune(lower)
	slices.Sort(letters)
	return len(slices.Compact(letters)) < 4 || strings.Contains("\n"+commonPasswords+"\n", "\n"+lower+"\n")
}
