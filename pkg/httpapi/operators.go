package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// operatorName is whom the browser says it is, beside the password.
const operatorName = "operator"

const (
	// An address may be wrong this often, and once more after each pause.
	wrongPasswords = 10
	wrongPause     = 5 * time.Second
	// maxWrong is how many addresses are remembered that were wrong.
	maxWrong = 10_000
	// maxOperatorBody bounds what an operator's browser sends.
	maxOperatorBody = 1 << 20
)

// forOperators lets through to next who knows the password (HTTP Basic, as "operator"), and no page of another site by way of an operator's
// browser. Who is wrong too often waits, by address; behind a proxy all have its address.
func forOperators(password string, next http.Handler) http.Handler {
	o := &operators{want: credentials(operatorName, password), wrong: map[string]*rate.Limiter{}, next: http.MaxBytesHandler(next, maxOperatorBody)}
	return http.NewCrossOriginProtection().Handler(o)
}

type operators struct {
	want [sha256.Size]byte
	next http.Handler

	mu    sync.Mutex
	wrong map[string]*rate.Limiter
}

// credentials gives both in one, of the same length whatever they are, so that comparing tells nothing of either.
func credentials(name, password string) [sha256.Size]byte {
	return sha256.Sum256([]byte(name + "\x00" + password))
}

func (o *operators) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	// Nobody shows the pages in a frame of his own, to borrow an operator's clicks.
	h.Set("Content-Security-Policy", "frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	name, password, given := r.BasicAuth()
	if given && o.waits(r.RemoteAddr) {
		h.Set("Retry-After", strconv.Itoa(int(wrongPause.Seconds())))
		http.Error(w, "too many wrong passwords: wait a little", http.StatusTooManyRequests)
		return
	}
	got := credentials(name, password)
	if !given || subtle.ConstantTimeCompare(got[:], o.want[:]) != 1 {
		if given {
			o.wasWrong(r.RemoteAddr)
		}
		h.Set("WWW-Authenticate", `Basic realm="Rowhouse operators", charset="UTF-8"`)
		http.Error(w, "for operators: the user is "+operatorName+", the password is that of the configuration", http.StatusUnauthorized)
		return
	}
	o.next.ServeHTTP(w, r)
}

// waits reports whether the address was wrong too often to be listened to now, even if it is right.
func (o *operators) waits(remote string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	limiter := o.wrong[host(remote)]
	return limiter != nil && limiter.Tokens() < 1
}

func (o *operators) wasWrong(remote string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	address := host(remote)
	if o.wrong[address] == nil {
		if len(o.wrong) >= maxWrong { // Who has so many addresses guesses no better by it: the password is long.
			clear(o.wrong)
		}
		o.wrong[address] = rate.NewLimiter(rate.Every(wrongPause), wrongPasswords)
	}
	o.wrong[address].Allow()
}

// host gives the address of a connection without its port.
func host(remote string) string {
	if address, _, err := net.SplitHostPort(remote); err == nil {
		return address
	}
	return remote
}
