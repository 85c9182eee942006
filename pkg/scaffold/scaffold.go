// Package scaffold writes the skeleton of a product on the platform: a program that builds, passes its tests and runs.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

const (
	platform = "github.com/rowhousehq/rowhouse"
	// oldestGo is what the platform needs, where its own go.mod cannot be asked.
	oldestGo = "1.26.8"
)

// The names are not those of the files, so that no tool takes the templates for what they make.
//
//go:embed template
var templates embed.FS

// Options say what to write.
type Options struct {
	// Dir is where. What is in it already is what would be written, or nothing.
	Dir string
	// Module is the path of the new module, such as example.com/acme; its last part is the program's name. Default example.com/ and Dir's name.
	Module string
	// Version is that of the platform, such as v1.2.0.
	Version string
	// Replace, if set, is a directory with the platform's source, which is taken instead of a version.
	Replace string
}

// skeleton is what the templates are told.
type skeleton struct {
	Options

	Name, Title, Go string
}

var (
	release = regexp.MustCompile(`^v[0-9]+[.][0-9]+[.][0-9]+(-(alpha|beta|rc)[0-9.]*)?$`)
	program = regexp.MustCompile(`^[a-z][a-z0-9-]{0,29}$`)
)

// New writes the skeleton, and gives the program's name. Whatever is wrong is said before anything is written; where a file is there that would be
// another, nothing is. What was cut off is gone on with.
func New(o Options) (name string, err error) {
	s, err := o.check()
	if err != nil {
		return "", err
	}
	files, err := s.render()
	if err != nil {
		return "", err
	}
	if err = vacant(o.Dir, files); err != nil {
		return "", err
	}
	for file, text := range files {
		to := filepath.Join(o.Dir, file)
		if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil { //nolint:gosec // It is source, for whoever may see the directory around it.
			err = os.WriteFile(to, text, 0o644) //nolint:gosec // Likewise.
		}
		if err != nil {
			return "", apperr.Wrap(err, apperr.Invalid, "the skeleton cannot be written to %s", o.Dir)
		}
	}
	return s.Name, nil
}

func (o Options) check() (skeleton, error) {
	s := skeleton{Options: o, Go: oldestGo}
	dir, err := filepath.Abs(o.Dir)
	if err != nil || o.Dir == "" {
		return s, apperr.New(apperr.Invalid, "say which directory the skeleton is to be written to")
	}
	if s.Module == "" {
		s.Module = "example.com/" + filepath.Base(dir)
	}
	s.Name = path.Base(s.Module)
	if err = module.CheckPath(s.Module); err != nil {
		return s, apperr.New(apperr.Invalid, "%q is no path of a module: give one like example.com/acme", s.Module)
	}
	if !program.MatchString(s.Name) || s.Name == "rowhouse" {
		return s, apperr.New(apperr.Invalid, "%q cannot be the name of a program: let the module's last part be 1 to 30 small letters, digits and -, "+
			"beginning with a letter, and not rowhouse; --module example.com/acme gives it a name of its own", s.Name)
	}
	s.Title = strings.ToUpper(s.Name[:1]) + strings.ReplaceAll(s.Name[1:], "-", " ")
	if o.Replace == "" && !release.MatchString(o.Version) {
		return s, apperr.New(apperr.Invalid, "this is a development build (%s), which no module can require: give the directory of its source by "+
			"--replace, or use a release", o.Version)
	}
	return s, nil
}

// render gives the files by their names.
func (s *skeleton) render() (map[string][]byte, error) {
	files := map[string][]byte{}
	if err := s.modules(files); err != nil {
		return nil, err
	}
	err := fs.WalkDir(templates, "template", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		parsed, err := template.ParseFS(templates, name)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err = parsed.Execute(&text, *s); err != nil {
			return err
		}
		file := strings.TrimSuffix(strings.TrimPrefix(name, "template/"), ".tmpl")
		if strings.HasSuffix(file, "ignore") {
			file = "." + file
		}
		files[filepath.FromSlash(file)] = text.Bytes()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("scaffold: %w", err)
	}
	return files, nil
}

// modules adds go.mod and, where the platform's source is at hand, its go.sum, so that nothing has to be fetched.
func (s *skeleton) modules(files map[string][]byte) error {
	made := &modfile.File{}
	err := made.AddModuleStmt(s.Module)
	if s.Replace == "" {
		err = errors.Join(err, made.AddGoStmt(s.Go), made.AddRequire(platform, s.Version))
	} else {
		var dir string
		if dir, err = filepath.Abs(s.Replace); err != nil {
			return fmt.Errorf("scaffold: %w", err)
		}
		text, readErr := os.ReadFile(filepath.Join(dir, "go.mod"))
		source, parseErr := modfile.Parse("go.mod", text, nil)
		sums, sumErr := os.ReadFile(filepath.Join(dir, "go.sum"))
		if errors.Join(readErr, parseErr, sumErr) != nil || source.Module == nil || source.Module.Mod.Path != platform {
			return apperr.New(apperr.Invalid, "%s does not hold the source of %s: --replace takes the directory of its go.mod", s.Replace, platform)
		}
		s.Go = source.Go.Version
		err = errors.Join(err, made.AddGoStmt(s.Go), made.AddRequire(platform, "v0.0.0"), made.AddReplace(platform, "", dir, ""))
		for _, r := range source.Require {
			made.AddNewRequire(r.Mod.Path, r.Mod.Version, !slices.Contains(direct(), r.Mod.Path))
		}
		files["go.sum"] = sums
	}
	if err != nil {
		return fmt.Errorf("scaffold: go.mod: %w", err)
	}
	made.SetRequireSeparateIndirect(slices.Clone(made.Require))
	made.Cleanup()
	if files["go.mod"], err = made.Format(); err != nil {
		return fmt.Errorf("scaffold: go.mod: %w", err)
	}
	return nil
}

// direct are the modules that the skeleton itself imports, beside the platform.
func direct() []string {
	return []string{"github.com/danielgtaylor/huma/v2", "github.com/google/uuid", "github.com/jackc/pgx/v5", "github.com/stretchr/testify"}
}

// vacant says whether all that is in dir is what would be written.
func vacant(dir string, files map[string][]byte) error {
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		file, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if entry.IsDir() && holds(files, file) {
			return nil
		}
		// A beginning of it is what was cut off.
		if want, ok := files[file]; ok && entry.Type().IsRegular() {
			if have, err := os.ReadFile(name); err == nil && //nolint:gosec // It is only compared.
				bytes.HasPrefix(want, have) {
				return nil
			}
		}
		return apperr.New(apperr.Refused, "%s holds %s: give a directory that is empty or not there yet; nothing was written", dir, file)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, ours := errors.AsType[*apperr.Error](err); err != nil && !ours {
		return apperr.Wrap(err, apperr.Invalid, "%s cannot be looked into", dir)
	}
	return err
}

// holds reports whether one of the files lies beneath dir.
func holds(files map[string][]byte, dir string) bool {
	for file := range files {
		if strings.HasPrefix(file, dir+string(filepath.Separator)) {
			return true
		}
	}
	return false
}
