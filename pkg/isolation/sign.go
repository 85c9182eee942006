package isolation

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// domain stands before the signed bytes, so that a signature under a report is good for nothing else.
const domain = Format + "\n"

// Key signs reports.
type Key struct{ private ed25519.PrivateKey }

// NewKey makes a key of its seed: 32 random bytes.
func NewKey(seed []byte) (Key, error) {
	if len(seed) != ed25519.SeedSize {
		return Key{}, apperr.New(apperr.Invalid, "a signing key is %d bytes in base64, not %d: make one with `rowhouse isolation key`, or "+
			"`openssl rand -base64 32`", ed25519.SeedSize, len(seed))
	}
	return Key{ed25519.NewKeyFromSeed(seed)}, nil
}

// ParseKey reads a seed in base64.
func ParseKey(text string) (Key, error) {
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return Key{}, apperr.New(apperr.Invalid, "a signing key is %d bytes in base64", ed25519.SeedSize) // The cause would show a part of it.
	}
	return NewKey(seed)
}

// Public is the key's public half, by which everybody can check its signatures.
func (k Key) Public() PublicKey {
	return PublicKey{k.private.Public().(ed25519.PublicKey)} //nolint:errcheck,forcetypeassert // It gives nothing else.
}

// PublicKey checks signatures.
type PublicKey struct{ key ed25519.PublicKey }

// ParsePublicKey reads what [PublicKey.String] gives.
func ParsePublicKey(text string) (PublicKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return PublicKey{}, apperr.New(apperr.Invalid, "%q is no public key: want %d bytes in base64, as `rowhouse isolation key` prints them",
			text, ed25519.PublicKeySize)
	}
	return PublicKey{raw}, nil
}

// String gives the key in base64.
func (k PublicKey) String() string { return base64.StdEncoding.EncodeToString(k.key) }

// ID is short enough to be compared by people: the first 16 hexadecimal digits of the key's SHA-256.
func (k PublicKey) ID() string {
	sum := sha256.Sum256(k.key)
	return hex.EncodeToString(sum[:8])
}

// Equal reports whether both are the same key.
func (k PublicKey) Equal(other PublicKey) bool {
	return subtle.ConstantTimeCompare(k.key, other.key) == 1
}

// file is the envelope of a signed report. Report holds the signed bytes as they are.
type file struct {
	Format    string          `json:"format"`
	KeyID     string          `json:"key_id"`
	PublicKey string          `json:"public_key"`
	Signature string          `json:"signature"`
	Report    json.RawMessage `json:"report"`
}

// bytes gives the only form that a file with these parts may have.
func (f file) bytes() []byte {
	var b bytes.Buffer
	quote := func(s string) string {
		text, _ := json.Marshal(s) //nolint:errchkjson // A string.
		return string(text)
	}
	for _, part := range []string{
		"{\"format\": ", quote(f.Format), ",\n\"key_id\": ", quote(f.KeyID), ",\n\"public_key\": ", quote(f.PublicKey),
		",\n\"signature\": ", quote(f.Signature), ",\n\"report\": ", string(f.Report), "}\n",
	} {
		b.WriteString(part)
	}
	return b.Bytes()
}

// Sign gives a file that holds the report and the key's signature.
func (r *Report) Sign(k Key) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return nil, apperr.Wrap(err, apperr.Internal, "the report cannot be written as JSON")
	}
	text := bytes.TrimSpace(b.Bytes())
	public := k.Public()
	return file{
		Format: Format, KeyID: public.ID(), PublicKey: public.String(),
		Signature: base64.StdEncoding.EncodeToString(ed25519.Sign(k.private, append([]byte(domain), text...))), Report: text,
	}.bytes(), nil
}

// Verify reads a file that [Report.Sign] made. It gives the report and the key that signed it, if not a byte of the file has been changed;
// whose key that is it cannot know. [apperr.Invalid] for what is no such file, [apperr.Refused] for one whose signature is not right.
func Verify(text []byte) (*Report, PublicKey, error) {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, PublicKey{}, apperr.New(apperr.Invalid, "this is no signed report: it is not JSON (%s)", err)
	}
	if f.Format != Format {
		return nil, PublicKey{}, apperr.New(apperr.Invalid, "this is no signed report that this program knows: its format is %q, not %q", f.Format, Format)
	}
	tampered := apperr.New(apperr.Refused, "the report is not what was signed: it, or its signature, has been changed since")
	key, err := ParsePublicKey(f.PublicKey)
	if err != nil {
		return nil, PublicKey{}, tampered
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(f.Signature)
	if err != nil || len(signature) != ed25519.SignatureSize || !ed25519.Verify(key.key, append([]byte(domain), f.Report...), signature) {
		return nil, PublicKey{}, tampered
	}
	// JSON can say one thing to one reader and another to the next, by names that come twice. Only one form is right.
	if f.KeyID != key.ID() || !bytes.Equal(f.bytes(), text) {
		return nil, PublicKey{}, tampered
	}
	r := &Report{}
	if err = json.Unmarshal(f.Report, r); err != nil || r.Format != Format {
		return nil, PublicKey{}, apperr.New(apperr.Invalid, "the signed report is of a form that this program does not know")
	}
	return r, key, nil
}
