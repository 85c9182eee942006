package mail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// Files puts mails into a directory, where `rowhouse up` shows them: one below it per tenant, each like a Maildir.
//
//	<dir>/<schema>/tmp/<id>.*     being written
//	<dir>/<schema>/new/<id>.eml   whole
//
// A path is made of a [tenantschema.Name] and a UUID and nothing else, so no mail gets out of its tenant's directory. A mail that is delivered
// again replaces itself. Files are safe for concurrent use, by any number of processes.
type Files struct{ dir string }

// NewFiles gives the files below dir, which is made when the first mail comes.
func NewFiles(dir string) (*Files, error) {
	if dir == "" {
		return nil, errors.New("mail: the directory of the files must have a name")
	}
	return &Files{dir: dir}, nil
}

// Dir is the directory.
func (f *Files) Dir() string { return f.dir }

// Deliver writes m to its file.
func (f *Files) Deliver(_ context.Context, m Outgoing) error {
	if err := f.write(m); err != nil {
		return fmt.Errorf("mail: write file: %w", err)
	}
	return nil
}

func (f *Files) write(m Outgoing) (err error) {
	if m.Tenant == (tenantschema.Name{}) {
		return tenantschema.ErrNoTenant
	}
	tenantDir := filepath.Join(f.dir, m.Tenant.String())
	for _, dir := range []string{"tmp", "new"} {
		if err = os.MkdirAll(filepath.Join(tenantDir, dir), 0o700); err != nil {
			return err
		}
	}
	file, err := os.CreateTemp(filepath.Join(tenantDir, "tmp"), m.ID.String()+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // What stays is in tmp, where nobody looks.
		}
	}()
	_, err = m.compose().WriteTo(file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), f.path(m.Tenant, m.ID))
}

func (f *Files) path(tenant tenantschema.Name, id uuid.UUID) string {
	return filepath.Join(f.dir, tenant.String(), "new", id.String()+".eml")
}
