package signup

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// secretBytes is the length of what a browser holds.
const secretBytes = 32

// browser is what the browser that signs up holds: all that is secret about a sign-up derives from it.
type browser [secretBytes]byte

func newBrowser() browser {
	var b browser
	_, _ = rand.Read(b[:]) // Never fails.
	return b
}

func (b browser) String() string { return base64.RawURLEncoding.EncodeToString(b[:]) }

func parseBrowser(token string) (b browser, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	return b, err == nil && copy(b[:], raw) == secretBytes && len(raw) == secretBytes
}

func (b browser) hash() []byte {
	sum := sha256.Sum256(b[:])
	return sum[:]
}

func (b browser) matches(hash []byte) bool { return subtle.ConstantTimeCompare(b.hash(), hash) == 1 }

// welcome is the secret of the token that signs the browser in at its new tenant.
func (b browser) welcome() [secretBytes]byte {
	mac := hmac.New(sha256.New, b[:])
	mac.Write([]byte("welcome"))
	return [secretBytes]byte(mac.Sum(nil))
}
