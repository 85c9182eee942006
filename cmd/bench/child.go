package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// The first arguments of a child, which is this program again.
const (
	roleFlag   = "-role"
	roleServer = "server"
	roleLoad   = "load"
)

// child is this program in one of its roles. It reads one JSON value after another and answers each; it ends when there are no more.
type child struct {
	role string
	cmd  *exec.Cmd
	in   io.Closer
	enc  *json.Encoder
	dec  *json.Decoder
}

// spawn starts a child. Its parent must close it.
func spawn(ctx context.Context, role string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, roleFlag, role) //nolint:gosec // It is ourselves.
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err = cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return &child{role: role, cmd: cmd, in: in, enc: json.NewEncoder(in), dec: json.NewDecoder(out)}, nil
}

// ask sends a question and reads the answer.
func (c *child) ask(question, answer any) error {
	if err := c.enc.Encode(question); err != nil {
		return fmt.Errorf("the %s process has ended: %w", c.role, err)
	}
	if err := c.dec.Decode(answer); err != nil {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the %s process has ended without an answer", c.role)
		}
		return fmt.Errorf("answer of the %s process: %w", c.role, err)
	}
	return nil
}

// close lets the child end and waits for it.
func (c *child) close() error {
	_ = c.in.Close() // The child may have gone already; Wait says how.
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("the %s process: %w", c.role, err)
	}
	return nil
}
