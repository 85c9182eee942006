package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// maxRead is the most bytes that are read of an answer, its headers aside, which have as many.
	maxRead = 64 << 10
	// maxExcerpt is the most bytes that are kept of it, as the schema's check has it.
	maxExcerpt = 1 << 10
	// maxRetryAfter is the longest that a receiver may ask us to wait.
	maxRetryAfter = time.Hour
)

// errNotPublic refuses a connection.
var errNotPublic = errors.New("webhook: not a public address")

// newClient makes a client that is the same to all customers: it keeps no connection, cookie or redirect of any of them.
func newClient(timeout time.Duration, allowPrivate bool) *http.Client {
	dialer := &net.Dialer{Timeout: timeout / 3}
	if !allowPrivate {
		dialer.Control = guard
	}
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			// No Proxy: one of the environment would connect for us, past the guard.
			DialContext: dialer.DialContext, TLSHandshakeTimeout: timeout / 3, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxRead,
		},
	}
}

// Client gives a client like that of the deliveries, for what else goes to addresses that customers choose: unless allowPrivate, it connects to none
// but public ones. It follows no redirects.
func Client(timeout time.Duration, allowPrivate bool) *http.Client {
	return newClient(timeout, allowPrivate)
}

// guard is asked of each connection after its name was resolved and before it is made, so that no answer of a name server leads elsewhere.
func guard(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !public(to.Addr()) || !allowedPort(to.Port()) {
		return errNotPublic
	}
	return nil
}

// answer is how an endpoint answered, or why it did not.
type answer struct {
	// status is 0 without an answer.
	status int
	// problem says in words for the customer why the delivery did not succeed.
	problem    string
	excerpt    string
	retryAfter time.Duration
	took       time.Duration
}

func (a answer) succeeded() bool { return a.status >= 200 && a.status < 300 }

// send makes one attempt. An error is of our own making; whatever the endpoint did is in the answer.
func (s *Service) send(ctx context.Context, d dueDelivery) (a answer, err error) {
	now := s.now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, strings.NewReader(d.payload))
	if err != nil {
		return answer{}, errors.New("webhook: the endpoint's address cannot be read") // Without the cause, which holds it.
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Rowhouse-Webhooks")
	if err = sign(req.Header, d.secrets(now), d.EventID, now, d.payload); err != nil {
		return answer{}, failed("deliver", err)
	}
	start := time.Now()
	defer func() { a.took = time.Since(start) }()
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{problem: s.explain(err)}, nil
	}
	defer resp.Body.Close() //nolint:errcheck // It was read as far as it is going to be.
	// The status is the answer: what is wrong with the rest changes nothing.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRead))
	a = answer{status: resp.StatusCode, excerpt: excerpt(body)}
	switch {
	case a.succeeded():
	case a.status >= 300 && a.status < 400:
		a.problem = fmt.Sprintf("The answer was %d. Redirects are not followed: change the webhook's address.", a.status)
	default:
		a.problem = fmt.Sprintf("The answer was %d.", a.status)
		a.retryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	}
	return a, nil
}

// explain says why there was no answer. It tells nothing of our own network, as the errors themselves would.
func (s *Service) explain(err error) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.Is(err, errNotPublic):
		return "The host leads to an address or port that is not public."
	case errors.As(err, &dns) && !dns.IsTimeout:
		return "The name of the host could not be resolved."
	case errors.As(err, &certificate):
		return "The certificate of the host is not valid."
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("There was no answer within %s.", s.cfg.Timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "The connection was refused."
	}
	return "The connection failed before there was an answer."
}

// excerpt gives the beginning of a body as text that PostgreSQL stores.
func excerpt(body []byte) string {
	text := string(body[:min(len(body), maxExcerpt)])
	text = strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
	return strings.TrimSpace(text)
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
