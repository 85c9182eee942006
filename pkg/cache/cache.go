package cache

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// What became of looking for a value, for [Config.OnLookup].
const (
	// Hit: it was there.
	Hit = "hit"
	// Miss: it was read.
	Miss = "miss"
	// Bypassed: it was read and not kept, because this process does not hear of changes right now.
	Bypassed = "bypassed"
)

// Options are those of a [Cache].
type Options struct {
	// Name is for metrics. Required.
	Name string
	// Entries is how many values are kept over all tenants, PerTenant how many of one. Defaults 100,000 and a tenth of Entries.
	Entries, PerTenant int
	// TTL is how long a value is kept. It bounds what is stale because somebody forgot to say so. Default 30 s.
	TTL time.Duration
	// Clock tells the time. Default time.Now.
	Clock func() time.Time
}

// Cache keeps values of one kind, of all tenants. All methods are safe for concurrent use.
type Cache[V any] struct {
	hub *Hub
	o   Options

	mu       sync.Mutex
	byTenant map[partKey]*part[V]
	entries  int
}

// partKey is a tenant's. It can be made of a Name alone.
type partKey struct{ schema tenantschema.Name }

// part is what is kept of one tenant since it was last forgotten.
type part[V any] struct {
	values *simplelru.LRU[string, entry[V]]
	loads  singleflight.Group
}

type entry[V any] struct {
	value   V
	expires time.Time
}

// New makes a cache whose values are forgotten as hub hears. A nil hub makes one that keeps nothing.
func New[V any](hub *Hub, o Options) (*Cache[V], error) {
	if o.Name == "" || o.Entries < 0 || o.PerTenant < 0 || o.TTL < 0 {
		return nil, errors.New("cache: Options.Name is required, and numbers must not be negative")
	}
	if o.Entries == 0 {
		o.Entries = 100_000
	}
	if o.PerTenant == 0 {
		o.PerTenant = max(o.Entries/10, 1)
	}
	if o.TTL == 0 {
		o.TTL = 30 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	c := &Cache[V]{hub: hub, o: o, byTenant: map[partKey]*part[V]{}}
	if hub != nil {
		hub.add(c)
	}
	return c, nil
}

// Of is the part of one tenant.
type Of[V any] struct {
	c   *Cache[V]
	key partKey
}

// For gives the part of the tenant whose schema that is.
func (c *Cache[V]) For(schema tenantschema.Name) Of[V] { return Of[V]{c, partKey{schema}} }

// Get gives the value of key, which load reads if it is not there. Of many who ask at once, one reads. What fails is not kept.
func (o Of[V]) Get(ctx context.Context, key string, load func(ctx context.Context) (V, error)) (V, error) {
	c := o.c
	if o.key.schema.IsZero() {
		var none V
		return none, tenantschema.ErrNoTenant
	}
	if c.hub == nil || !c.hub.live() {
		c.looked(Bypassed)
		return load(ctx)
	}
	p, value, found := c.find(o.key, key)
	if found {
		c.looked(Hit)
		return value, nil
	}
	c.looked(Miss)
	got, err, shared := p.loads.Do(key, func() (any, error) {
		v, err := load(ctx)
		if err == nil {
			c.keep(o.key, p, key, v)
		}
		return v, err
	})
	if shared && ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return load(ctx) // The one who read for all has given up, which is nobody else's matter.
	}
	v, _ := got.(V) // What load gave.
	return v, err
}

// Drop forgets one value in this process, for what is no secret to the others. What is being read right now may still be kept.
func (o Of[V]) Drop(key string) {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	if p := o.c.byTenant[o.key]; p != nil && p.values.Remove(key) {
		o.c.entries--
	}
}

// Forget forgets all that is kept of a tenant in this process. What is being read right now is not kept either.
func (c *Cache[V]) Forget(schema tenantschema.Name) { c.forget(partKey{schema}) }

// Len is how many values are kept.
func (c *Cache[V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries
}

func (c *Cache[V]) looked(outcome string) {
	if c.hub != nil {
		c.hub.cfg.OnLookup(c.o.Name, outcome)
	}
}

// find gives the value if it is there and fresh, and in any case the part in which it is to be kept.
func (c *Cache[V]) find(tenant partKey, key string) (p *part[V], value V, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p = c.byTenant[tenant]
	if p == nil {
		values, err := simplelru.NewLRU[string, entry[V]](c.o.PerTenant, nil)
		if err != nil { // The size is positive.
			panic(err)
		}
		p = &part[V]{values: values}
		c.byTenant[tenant] = p
		return p, value, false
	}
	e, ok := p.values.Get(key)
	if !ok {
		return p, value, false
	}
	if !c.o.Clock().Before(e.expires) {
		p.values.Remove(key)
		c.entries--
		return p, value, false
	}
	return p, e.value, true
}

// keep keeps a value that was read for p, unless p has been forgotten meanwhile.
func (c *Cache[V]) keep(tenant partKey, p *part[V], key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byTenant[tenant] != p {
		return
	}
	before := p.values.Len()
	p.values.Add(key, entry[V]{v, c.o.Clock().Add(c.o.TTL)})
	c.entries += p.values.Len() - before // None if it took the place of the tenant's own oldest.
	for c.entries > c.o.Entries {
		c.makeRoom(p)
	}
}

// makeRoom takes the oldest value of a tenant that has more than an equal share: of the one that came last if it has, else of another. One has: more
// than Entries are there.
func (c *Cache[V]) makeRoom(last *part[V]) {
	share := c.o.Entries / len(c.byTenant)
	if last.values.Len() <= share {
		for _, p := range c.byTenant {
			if p.values.Len() > share {
				last = p
				break
			}
		}
	}
	last.values.RemoveOldest()
	c.entries--
}

func (c *Cache[V]) forget(tenant partKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.byTenant[tenant]; p != nil {
		c.entries -= p.values.Len()
		delete(c.byTenant, tenant)
	}
}

func (c *Cache[V]) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.byTenant)
	c.entries = 0
}
