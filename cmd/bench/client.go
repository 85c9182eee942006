package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// client speaks just enough HTTP/1.1 to one server over one connection that is kept. net/http's client would take as much of the
// machine as the server that is being measured.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte // of the last response
}

// patience is how long a response may take.
const patience = 30 * time.Second

func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, patience) //nolint:noctx // A loopback address; it answers at once or never.
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 32<<10)}, nil
}

// do sends a request and reads the response. The body is valid until the next call. After an error the client is of no use.
func (c *client) do(method, path, host, body string) (status int, answer []byte, err error) {
	c.out = append(c.out[:0], method...)
	c.out = append(append(append(c.out, ' '), path...), " HTTP/1.1\r\nHost: "...)
	c.out = append(append(c.out, host...), "\r\n"...)
	if body != "" {
		c.out = append(c.out, "Content-Type: application/json\r\nContent-Length: "...)
		c.out = append(strconv.AppendInt(c.out, int64(len(body)), 10), "\r\n"...)
	}
	c.out = append(append(c.out, "\r\n"...), body...)
	if err = c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, nil, err
	}
	if _, err = c.conn.Write(c.out); err != nil {
		return 0, nil, err
	}
	return c.read()
}

var errHTTP = errors.New("the server does not speak HTTP as we know it")

func (c *client) read() (int, []byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, nil, fmt.Errorf("%w: %q", errHTTP, line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %q", errHTTP, line)
	}
	length, chunked := 0, false
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		key, value, _ := bytes.Cut(line, []byte(": "))
		switch string(key) { // As net/http's server writes them.
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, nil, fmt.Errorf("%w: %q", errHTTP, line)
			}
		case "Transfer-Encoding":
			chunked = string(value) == "chunked"
		}
	}
	c.body = c.body[:0]
	if !chunked {
		err = c.append(length)
		return status, c.body, err
	}
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return 0, nil, fmt.Errorf("%w: chunk %q", errHTTP, line)
		}
		if err = c.append(int(size)); err != nil {
			return 0, nil, err
		}
		if _, err = c.in.Discard(len("\r\n")); err != nil {
			return 0, nil, err
		}
		if size == 0 {
			return status, c.body, nil
		}
	}
}

// append reads n bytes more of the body.
func (c *client) append(n int) error {
	have := len(c.body)
	if cap(c.body) < have+n {
		c.body = append(make([]byte, 0, 2*(have+n)), c.body...)
	}
	c.body = c.body[:have+n]
	_, err := io.ReadFull(c.in, c.body[have:])
	return err
}
