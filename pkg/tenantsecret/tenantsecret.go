// Package tenantsecret encrypts what a tenant's schema holds and must be read again: the secret of a second factor, a password for another
// system. What a database alone can tell its thief is then nothing.
//
// Each tenant has a key of its own, derived by HKDF-SHA256 from a master secret that stands in no database, and the name of the tenant's schema,
// which never changes. A ciphertext is
//
//	version (1 byte, 1) | nonce (12 bytes) | AES-256-GCM(key of the tenant, plaintext, additional data: purpose and schema)
//
// so it opens neither for another tenant nor for another purpose. Random nonces are good for 2^32 ciphertexts of a tenant.
package tenantsecret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

const (
	version   = 1
	minMaster = 32
	info      = "rowhouse tenant secret 1"
)

// ErrOpen is returned for whatever cannot be opened: it was changed, or sealed under another master secret, tenant or purpose.
var ErrOpen = errors.New("tenantsecret: the ciphertext does not open: was the master secret changed?")

// Box seals and opens. It is safe for concurrent use.
type Box struct{ master []byte }

// New makes a Box of a master secret of 32 bytes at least.
func New(master string) (*Box, error) {
	if len(master) < minMaster {
		return nil, fmt.Errorf("tenantsecret: the master secret must have %d bytes at least", minMaster)
	}
	return &Box{master: []byte(master)}, nil
}

// Seal encrypts for one tenant and one purpose. A purpose names what is encrypted, down to the row: nothing can then be put in another's place.
func (b *Box) Seal(tenant tenantschema.Name, purpose string, plaintext []byte) ([]byte, error) {
	gcm, err := b.gcm(tenant)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 1+gcm.NonceSize(), 1+gcm.NonceSize()+len(plaintext)+gcm.Overhead())
	out[0] = version
	_, _ = rand.Read(out[1:]) // Never fails.
	//nolint:gosec // The nonce is random: it has just been read.
	return gcm.Seal(out, out[1:], plaintext, additional(tenant, purpose)), nil
}

// Open decrypts what Seal made for the same tenant and purpose. The error is [ErrOpen] for anything else.
func (b *Box) Open(tenant tenantschema.Name, purpose string, sealed []byte) ([]byte, error) {
	gcm, err := b.gcm(tenant)
	if err != nil {
		return nil, err
	}
	if len(sealed) < 1+gcm.NonceSize() || sealed[0] != version {
		return nil, ErrOpen
	}
	plaintext, err := gcm.Open(nil, sealed[1:1+gcm.NonceSize()], sealed[1+gcm.NonceSize():], additional(tenant, purpose))
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

func (b *Box) gcm(tenant tenantschema.Name) (cipher.AEAD, error) {
	if tenant.IsZero() {
		return nil, errors.New("tenantsecret: no tenant is named")
	}
	key, err := hkdf.Key(sha256.New, b.master, []byte(tenant.String()), info, 32)
	if err != nil {
		return nil, fmt.Errorf("tenantsecret: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("tenantsecret: %w", err)
	}
	return cipher.NewGCM(block)
}

// additional is unambiguous: the name of a schema holds no line break.
func additional(tenant tenantschema.Name, purpose string) []byte {
	return []byte(tenant.String() + "\n" + purpose)
}
