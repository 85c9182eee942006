package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"

	"github.com/google/uuid"
)

const (
	tokenStart  = "rh_"
	idLen       = 22 // 16 bytes in base64url without padding
	secretLen   = 43 // 32 bytes in base64url without padding
	tokenLen    = len(tokenStart) + idLen + 1 + secretLen
	prefixLen   = len(tokenStart) + 8 // as much of a token as a list shows: enough to tell keys apart, nothing of the secret
	secretBytes = 32
)

// secret is the part of a token that only its holder knows.
type secret [secretBytes]byte

func newSecret() secret {
	var s secret
	_, _ = rand.Read(s[:]) // Never fails: the program ends if the system has no randomness.
	return s
}

func (s secret) hash() []byte {
	sum := sha256.Sum256(s[:])
	return sum[:]
}

// matches reports whether hash is that of s, in constant time. A nil hash matches nothing and takes no less work.
func (s secret) matches(hash []byte) bool {
	return subtle.ConstantTimeCompare(s.hash(), hash) == 1
}

func formatToken(id uuid.UUID, s secret) string {
	return tokenStart + base64.RawURLEncoding.EncodeToString(id[:]) + "_" + base64.RawURLEncoding.EncodeToString(s[:])
}

// parseToken accepts exactly what formatToken makes: each token has one spelling.
func parseToken(token string) (id uuid.UUID, s secret, ok bool) {
	// The alphabet holds the underscore, so the parts are found by their lengths.
	if len(token) != tokenLen || token[:len(tokenStart)] != tokenStart || token[len(tokenStart)+idLen] != '_' {
		return uuid.UUID{}, secret{}, false
	}
	if !decode(id[:], token[len(tokenStart):len(tokenStart)+idLen]) || !decode(s[:], token[len(token)-secretLen:]) {
		return uuid.UUID{}, secret{}, false
	}
	return id, s, true
}

// decode fills dst from base64url. The decoder skips line breaks, so a text with some comes out short and is refused.
func decode(dst []byte, text string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && copy(dst, raw) == len(dst)
}
