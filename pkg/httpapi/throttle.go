package httpapi

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rowhousehq/rowhouse/pkg/telemetry"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
	"github.com/rowhousehq/rowhouse/pkg/throttle"
)

// Plans says what a tenant may take. tenancy.Catalog is one.
type Plans interface {
	Limits(plan string) tenancy.Limits
}

const (
	// maxWait is how long a request waits for its tenant's turn.
	maxWait = 2 * time.Second
	// strangersShare is the part of a tenant's concurrency that those have who show no credentials: signing in costs much, on purpose, and
	// whoever floods a tenant's door must not keep its people out.
	strangersShare = 4
	// lastingShare is how many answers that last (see [Lasting]) a tenant may have for each request at a time.
	lastingShare = 8
	// paceRejections is how long a caller who is over a limit waits for the news, and up to as long again, so that those who were refused
	// together do not come back together. Without it a client that asks again at once takes as much of the process with what is refused as
	// others with what is done. maxPaced is how many wait so at a time; the others hear at once.
	paceRejections = 250 * time.Millisecond
	maxPaced       = 4096
	// maxAddresses and maxCallers bound what is remembered at a time.
	maxAddresses = 100_000
	maxCallers   = 100_000
)

// Names of the limits in the RateLimit headers.
const (
	limitTenant  = "tenant"
	limitCaller  = "caller"
	limitAddress = "address"
)

// callerKey is one key or session of one tenant, by a hash of what it showed: whether that is any good is not known yet.
type callerKey struct {
	tenant     string
	credential uint64
}

// gateKey is those who take turns with each other.
type gateKey struct {
	tenant string
	who    gateWho
}

type gateWho int

const (
	gateCallers gateWho = iota
	gateStrangers
	gateLasting
)

// throttles hold what each tenant, caller and address has taken lately.
type throttles struct {
	seed      maphash.Seed
	tenants   *throttle.Buckets[string]
	callers   *throttle.Buckets[callerKey]
	strangers *throttle.Buckets[netip.Prefix]
	failures  *throttle.Buckets[netip.Prefix]
	told      *throttle.Buckets[string]
	gate      *throttle.Gate[gateKey]
	pacing    *throttle.Gate[struct{}]
}

func newThrottles() *throttles {
	return &throttles{
		seed: maphash.MakeSeed(), tenants: throttle.NewBuckets[string](maxCallers), callers: throttle.NewBuckets[callerKey](maxCallers),
		strangers: throttle.NewBuckets[netip.Prefix](maxAddresses), failures: throttle.NewBuckets[netip.Prefix](maxAddresses),
		told: throttle.NewBuckets[string](maxCallers), gate: throttle.NewGate[gateKey](), pacing: throttle.NewGate[struct{}](),
	}
}

// throttle lets only those pass who have not taken their share already. It stands behind the gates of host and state and before anybody asks who
// calls: what it needs to know is in memory, so that a flood costs the others nothing.
//
// Who shows credentials, good or not, counts against the tenant and against what was shown; who shows none, against the address that it comes
// from. An address from which too many failed to say who they are (401) is heard no more for a while.
func (h *handler) throttle(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := requestFrom(c.Request().Context())
		limits := r.limits
		who, shares := gateCallers, 1
		credential, shown := h.credentialOf(c)
		if shown {
			if err := h.takeAsCaller(c, r.tenant.ID, credential, limits); err != nil {
				return h.reject(c, err)
			}
		} else {
			who, shares = gateStrangers, strangersShare
			if err := h.takeAsStranger(c); err != nil {
				return h.reject(c, err)
			}
		}
		leave, err := h.takeTurn(c.Request().Context(), gateKey{r.tenant.ID, who}, (limits.Concurrency+shares-1)/shares)
		if err != nil {
			return h.reject(c, err)
		}
		r.turn = turn{leave: leave, lasting: lastingShare * limits.Concurrency, gate: h.throttles.gate}
		defer func() { r.turn.leave() }() // Whichever it is by then.
		err = next(c)
		if c.Response().Status == http.StatusUnauthorized {
			h.throttles.failures.Take(addressOf(c), h.cfg.Failures, time.Now())
		}
		return err
	}
}

// credentialOf gives a hash of what the request shows to say who calls, whether it is any good or not. It looks where caller does, so that one key
// or session is one, however it is spelled and whatever is sent along with it.
func (h *handler) credentialOf(c echo.Context) (hash uint64, shown bool) {
	header := c.Request().Header
	credential := sessionToken(c)
	if header.Values("Authorization") != nil {
		credential, shown = bearerToken(header), true // One that is no key's is no good, and is counted as such.
	}
	return maphash.String(h.throttles.seed, credential), shown || credential != ""
}

func (h *handler) takeAsCaller(c echo.Context, tenant string, credential uint64, limits tenancy.Limits) error {
	now := time.Now()
	if s := h.throttles.failures.Look(addressOf(c), h.cfg.Failures, now); !s.OK {
		return overRate(telemetry.RejectedFailures, "Too many requests from this address had no valid credentials.", s)
	}
	callers, tenants := rateOf(limits.Caller), rateOf(limits.Requests)
	// The caller first: who is over its own limit takes nothing from the others of its tenant.
	caller := h.throttles.callers.Take(callerKey{tenant, credential}, callers, now)
	if !caller.OK {
		tellLimits(c, named{limitCaller, caller}, named{limitTenant, h.throttles.tenants.Look(tenant, tenants, now)})
		return overRate(telemetry.RejectedCaller, fmt.Sprintf("This key or session may ask %d times a second.", limits.Caller.PerSecond), caller)
	}
	all := h.throttles.tenants.Take(tenant, tenants, now)
	tellLimits(c, named{limitCaller, caller}, named{limitTenant, all})
	if !all.OK {
		return overRate(telemetry.RejectedTenant, fmt.Sprintf("The plan %q of this workspace allows %d requests a second.", limits.Plan,
			limits.Requests.PerSecond), all)
	}
	return nil
}

func rateOf(r tenancy.Rate) throttle.Rate {
	return throttle.Rate{PerSecond: float64(r.PerSecond), Burst: r.Burst}
}

func (h *handler) takeAsStranger(c echo.Context) error {
	s := h.throttles.strangers.Take(addressOf(c), h.cfg.Strangers, time.Now())
	tellLimits(c, named{limitAddress, s})
	if !s.OK {
		return overRate(telemetry.RejectedAddress, "Too many requests came from this address without credentials.", s)
	}
	return nil
}

// takeTurn waits until the tenant may have another request answered.
func (h *handler) takeTurn(ctx context.Context, key gateKey, most int) (leave func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	leave, err = h.throttles.gate.Enter(waiting, key, most, most)
	if err == nil || ctx.Err() != nil {
		return leave, err
	}
	return nil, tooMany(telemetry.RejectedConcurrency, fmt.Sprintf("This workspace may have %d such requests answered at a time, and as many more in line. "+
		"Send fewer at once.", most), time.Second)
}

// turn is a request's place among those of its tenant that are answered at a time.
type turn struct {
	leave   func()
	gate    *throttle.Gate[gateKey]
	lasting int
}

// Lasting says that the answer to the request of ctx lasts, as a stream of events does, and gives back its place among those of the tenant that
// are answered at a time. It takes one among the tenant's answers that last instead; the error is a 429 if there is none.
func Lasting(ctx context.Context) error {
	r := requestFrom(ctx)
	if r.turn.gate == nil {
		return nil
	}
	leave, err := r.turn.gate.Enter(ctx, gateKey{r.tenant.ID, gateLasting}, r.turn.lasting, 0)
	if err != nil {
		return tooMany(telemetry.RejectedConcurrency, fmt.Sprintf("This workspace may have %d answers under way that last. Close one.", r.turn.lasting),
			time.Second)
	}
	r.turn.leave()
	r.turn.leave = leave
	return nil
}

// rejection is a request that is not answered because of a limit.
type rejection struct {
	*Problem

	reason string
}

func (r *rejection) Unwrap() error { return r.Problem }

func overRate(reason, detail string, s throttle.Standing) error {
	return tooMany(reason, detail+" Wait as long as the header Retry-After says.", s.RetryAfter)
}

func tooMany(reason, detail string, after time.Duration) error {
	p := newProblem(http.StatusTooManyRequests, detail)
	p.headers.Set("Retry-After", strconv.Itoa(max(1, seconds(after))))
	return &rejection{p, reason}
}

// reject counts a rejection, says who may log it, and holds it back for a moment.
func (h *handler) reject(c echo.Context, err error) error {
	rejected, ok := errors.AsType[*rejection](err)
	if !ok {
		return err
	}
	h.cfg.Metrics.RequestRejected(rejected.reason)
	ctx := c.Request().Context()
	r := requestFrom(ctx)
	r.quiet = !h.throttles.told.Take(r.tenant.ID, throttle.Rate{PerSecond: 1, Burst: 5}, time.Now()).OK
	if leave, err := h.throttles.pacing.Enter(ctx, struct{}{}, maxPaced, 0); err == nil {
		defer leave()
		pause := time.NewTimer(paceRejections + rand.N(paceRejections)) //nolint:gosec // Nobody gains by guessing it.
		defer pause.Stop()
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
	return rejected.Problem
}

// addressOf gives where the request comes from: an IPv4 address, or an IPv6 network of those that one customer is given.
func addressOf(c echo.Context) netip.Prefix {
	addr, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return netip.Prefix{} // All that cannot be told apart count together.
	}
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	prefix, _ := addr.Prefix(bits) // Of a valid address.
	return prefix
}

// named is a limit with its name.
type named struct {
	name string
	throttle.Standing
}

// tellLimits writes the headers of draft-ietf-httpapi-ratelimit-headers-10: what is allowed, and what is left of it. q is how many at once, w the
// seconds in which so many come back; r is how many are left, t the seconds until all are.
func tellLimits(c echo.Context, limits ...named) {
	var policy, left strings.Builder
	for _, l := range limits {
		if l.Rate.IsZero() {
			continue
		}
		if policy.Len() > 0 {
			policy.WriteString(", ")
			left.WriteString(", ")
		}
		policy.WriteString(`"` + l.name + `";q=` + strconv.Itoa(l.Rate.Burst) + ";w=" + strconv.Itoa(seconds(l.Rate.Window())))
		left.WriteString(`"` + l.name + `";r=` + strconv.Itoa(l.Remaining) + ";t=" + strconv.Itoa(seconds(l.Reset)))
	}
	if policy.Len() > 0 {
		header := c.Response().Header()
		header.Set("Ratelimit-Policy", policy.String())
		header.Set("Ratelimit", left.String())
	}
}

// seconds rounds up.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
