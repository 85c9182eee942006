package cli

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/config"
	"github.com/rowhousehq/rowhouse/pkg/isolation"
)

// signingKeyFile is where the key that signs reports is kept, in the data directory.
const signingKeyFile = "isolation.key"

func (c *cli) isolationKey() *cobra.Command {
	return &cobra.Command{
		Use: "key", Short: "Print the public key that checks your reports, making the key if there is none", Args: takes(),
		Long: "Print the public half of the key that signs reports. Give it to whoever is to check them, by a way that they trust.\n\n" +
			"The key is isolation.signing_key, or else the file isolation.key in data_dir, which is made if it is not there. Keep it: reports of\n" +
			"another key look like somebody else's.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := c.load(cmd)
			if err != nil {
				return err
			}
			key, err := readSigningKey(cfg)
			if apperr.CodeOf(err) == apperr.NotFound {
				key, err = makeSigningKey(cfg)
				c.note("made a new key: %s", filepath.Join(cfg.DataDir, signingKeyFile))
			}
			if err != nil {
				return err
			}
			public := key.Public()
			return c.printOne(map[string]string{"key_id": public.ID(), "public_key": public.String()},
				[][]string{{"key", public.ID()}, {"public key", public.String()}})
		},
	}
}

// readSigningKey gives the configured key, or the one in the data directory. [apperr.NotFound] if there is none.
func readSigningKey(cfg config.Config) (isolation.Key, error) {
	if cfg.Isolation.SigningKey.IsSet() {
		return isolation.ParseKey(cfg.Isolation.SigningKey.Reveal())
	}
	path := filepath.Join(cfg.DataDir, signingKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return isolation.Key{}, apperr.New(apperr.NotFound, "there is no key to sign reports with: `rowhouse isolation key` makes one in %s, "+
			"or set isolation.signing_key", cfg.DataDir)
	}
	if err != nil {
		return isolation.Key{}, apperr.Wrap(err, apperr.Invalid, "the key that signs reports cannot be read")
	}
	key, err := isolation.ParseKey(string(text))
	if err != nil {
		return isolation.Key{}, apperr.Wrap(err, apperr.Invalid, "%s holds no signing key", path)
	}
	return key, nil
}

func makeSigningKey(cfg config.Config) (isolation.Key, error) {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // crypto/rand never fails: it ends the program instead.
	key, err := isolation.NewKey(seed)
	if err != nil {
		return key, err
	}
	if err = writeFile(filepath.Join(cfg.DataDir, signingKeyFile), base64.StdEncoding.EncodeToString(seed)+"\n"); err != nil {
		return key, fmt.Errorf("keep signing key: %w", err)
	}
	return key, nil
}
