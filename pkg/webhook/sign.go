package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// newSecret makes a secret of 256 bits in the form of Standard Webhooks.
func newSecret() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // It never fails: the program ends instead.
	return "whsec_" + base64.StdEncoding.EncodeToString(raw)
}

// sign adds the headers by which a receiver knows the event, and that it came from who holds one of the secrets.
func sign(header http.Header, secrets []string, event uuid.UUID, at time.Time, payload string) error {
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		hook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return fmt.Errorf("read the secret: it is not base64") // Without the cause, which holds bytes of it.
		}
		if signatures[i], err = hook.Sign(event.String(), at, []byte(payload)); err != nil {
			return fmt.Errorf("sign: %w", err)
		}
	}
	header.Set(standardwebhooks.HeaderWebhookID, event.String())
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}
