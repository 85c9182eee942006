package idempotency

import (
	"bytes"
	"compress/flate"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// maxSealed is what the schema's check lets a body have.
const maxSealed = 1 << 20

// keys are what a caller's key is turned into: the name of the row, and what opens it.
type keys struct {
	id, cipher [32]byte
}

func keysOf(caller, key string) keys {
	of := func(use string) [32]byte {
		// Neither part holds a line break: callers are ids, keys are visible ASCII.
		return sha256.Sum256([]byte("rowhouse idempotency " + use + "\n" + caller + "\n" + key))
	}
	return keys{id: of("row"), cipher: of("body")}
}

func (k keys) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.cipher[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal compresses and encrypts body. It gives nil for one that is too long even so.
func (k keys) seal(body []byte) ([]byte, error) {
	var small bytes.Buffer
	w, err := flate.NewWriter(&small, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err = w.Write(body); err != nil {
		return nil, err
	}
	if err = w.Close(); err != nil {
		return nil, err
	}
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	if aead.NonceSize()+small.Len()+aead.Overhead() > maxSealed {
		return nil, nil
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+small.Len()+aead.Overhead())
	if _, err = rand.Read(nonce); err != nil {
		return nil, err
	}
	return aead.Seal(nonce, nonce, small.Bytes(), k.id[:]), nil
}

func (k keys) open(sealed []byte) ([]byte, error) {
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("the stored body is cut")
	}
	nonce, rest := sealed[:aead.NonceSize()], sealed[aead.NonceSize():]
	small, err := aead.Open(nil, nonce, rest, k.id[:])
	if err != nil {
		return nil, fmt.Errorf("open the stored body: %w", err)
	}
	return io.ReadAll(flate.NewReader(bytes.NewReader(small)))
}
