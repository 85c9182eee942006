package cli_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/migrations"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/pkg/tenancy"
)

// drillTenants is how many tenants the drill has. `make fleet-drill` sets it to 2,000.
func drillTenants(t *testing.T) int {
	t.Helper()
	text := os.Getenv("FLEET_DRILL_TENANTS")
	if text == "" {
		return 30
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	require.Greater(t, n, 10)
	return n
}

// nextRelease builds the program with one more tenant migration.
func nextRelease(t *testing.T, sql string) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "next.sql")
	require.NoError(t, os.WriteFile(source, []byte(sql), 0o600))
	repository, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(repository, "migrations", "tenant", "99999_next.sql"): source},
	})
	require.NoError(t, err)
	overlayFile := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(overlayFile, overlay, 0o600))
	next := filepath.Join(dir, "rowhouse")
	out, err := exec.Command("go", "build", "-overlay", overlayFile, "-o", next, "../../cmd/rowhouse").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return next
}

// visitors are requests to some tenants that go on until they are stopped.
type visitors struct {
	stop      chan struct{}
	group     sync.WaitGroup
	mu        sync.Mutex
	wrong     []string
	latencies []time.Duration
}

func (v *visitors) visit(p *process, host, token string) {
	v.group.Go(func() {
		for {
			select {
			case <-v.stop:
				return
			default:
			}
			began := time.Now()
			code, body := p.call(http.MethodGet, host, "/api/v1/projects", token, "")
			v.mu.Lock()
			v.latencies = append(v.latencies, time.Since(began))
			if code != http.StatusOK {
				v.wrong = append(v.wrong, fmt.Sprintf("%s: %d %s", host, code, body))
			}
			v.mu.Unlock()
		}
	})
}

// p99 gives the 99th percentile of what has been seen so far, and begins anew.
func (v *visitors) p99() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	slices.Sort(v.latencies)
	if len(v.latencies) == 0 {
		return 0
	}
	at := v.latencies[len(v.latencies)*99/100]
	v.latencies = v.latencies[:0]
	return at
}

// A fleet is migrated by the next release while the present one serves it. Three tenants cannot be migrated, the run is killed half-way and
// resumed by another process: everybody else is on the new version, the three are named, and nobody who was served has met an error.
func TestFleet_Drill(t *testing.T) {
	t.Parallel()
	n := drillTenants(t)
	d := pgtest.New(t)
	h := onDatabase(t, d)
	list := make([]tenancy.NewTenant, n)
	for i := range list {
		list[i] = tenancy.NewTenant{Slug: fmt.Sprintf("tenant-%04d", i)}
	}
	began := time.Now()
	require.NoError(t, d.Manager.CreateAll(t.Context(), list, 4, func(tenancy.Creation) {}))
	t.Logf("%d tenants made in %s", n, time.Since(began).Round(time.Millisecond))
	poisoned := []string{list[2].Slug, list[n/2].Slug, list[n-1].Slug}
	for _, slug := range poisoned {
		tenant, err := d.Manager.Get(t.Context(), slug)
		require.NoError(t, err)
		_, err = d.Owner.Exec(t.Context(), "insert into "+tenant.Schema.Quote()+".projects (id, name) values (gen_random_uuid(), 'poison')")
		require.NoError(t, err)
	}
	h.unlimited()
	server := h.start("serve")
	v := &visitors{stop: make(chan struct{})}
	for _, slug := range []string{list[0].Slug, list[n/3].Slug, poisoned[1]} {
		token := strings.TrimSpace(h.must("key", "create", slug, "--name", "drill", "--token-only"))
		v.visit(server, slug+".localhost", token)
	}

	nextHouse := *h
	next := &nextHouse
	next.binary = nextRelease(t, "-- +goose Up\nalter table tasks add column drill text;\n"+
		"alter table projects add constraint projects_drill_check check (name <> 'poison');\n-- +goose Down\n"+
		"alter table projects drop constraint projects_drill_check;\nalter table tasks drop column drill;\n")
	var plan struct {
		Tenants int   `json:"tenants"`
		Waves   []int `json:"waves"`
	}
	next.json(&plan, "fleet", "plan", "--canary", "10%")
	require.Equal(t, n, plan.Tenants)
	require.Equal(t, (n+9)/10, plan.Waves[0])
	calm := v.p99()

	began = time.Now()
	killed := next.launch("fleet", "migrate", "--canary", "10%", "--max-failures", "-1", "--workers", "2")
	soon(t, func() bool {
		var done int
		err := d.Owner.QueryRow(t.Context(), "select count(*) from rowhouse.fleet_run_tenants where state = 'done'").Scan(&done)
		return err == nil && done >= n/2
	}, "half of the fleet should be migrated")
	require.NoError(t, killed.cmd.Process.Kill())
	<-killed.done
	var status struct {
		LastRun tenancy.Run `json:"last_run"`
	}
	next.json(&status, "fleet", "status")
	require.Equal(t, tenancy.RunRunning, status.LastRun.State, "nobody was there to say otherwise")
	require.Positive(t, status.LastRun.Pending, "it was killed half-way")
	run := strconv.FormatInt(status.LastRun.ID, 10)

	var resumed result
	soon(t, func() bool { // Its server may still believe that it lives.
		resumed = next.run("fleet", "resume", run, "--output", "json")
		return !strings.Contains(resumed.errOut, "runs over the fleet")
	}, "the run should be free")
	during := v.p99()
	t.Logf("migrated, killed and resumed in %s; p99 of requests %s before and %s during", time.Since(began).Round(time.Millisecond), calm, during)
	require.Equal(t, 4, resumed.code, resumed.errOut)
	var report struct {
		tenancy.Run

		Failures []tenancy.RunFailure `json:"failures"`
	}
	require.NoError(t, json.Unmarshal([]byte(resumed.out), &report))
	require.Equal(t, tenancy.RunDone, report.State)
	require.Equal(t, n-3, report.Done)
	var named []string
	for _, f := range report.Failures {
		named = append(named, f.Slug)
		require.Contains(t, f.Error, "projects_drill_check")
		require.Equal(t, tenancy.StateReady, f.State)
	}
	require.Equal(t, poisoned, named)

	close(v.stop)
	v.group.Wait()
	require.Empty(t, v.wrong, "nobody who is served notices")
	var there int
	require.NoError(t, d.Owner.QueryRow(t.Context(), "select count(*) from pg_attribute where attname = 'drill' and not attisdropped").Scan(&there))
	require.Equal(t, n-3, there, "the catalog says what is true")
	require.Contains(t, next.must("fleet", "runs"), "done")
	shown := next.run("fleet", "show", run)
	require.Zero(t, shown.code)
	for _, slug := range poisoned {
		require.Contains(t, shown.out, slug)
	}
}

// What the commands refuse, and what they say when there is nothing to do.
func TestFleet_Commands(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	h := onDatabase(t, d)
	r := h.run("fleet", "status")
	require.Zero(t, r.code, r.errOut)
	require.Contains(t, r.errOut, "there are no tenants")
	h.must("tenant", "create", "acme")
	r = h.run("fleet", "migrate")
	require.Zero(t, r.code, r.errOut)
	require.Contains(t, r.errOut, "nothing to do")
	require.Contains(t, h.run("fleet", "runs").errOut, "there was no run yet")
	for says, args := range map[string][]string{
		"there is no tenant":           {"fleet", "migrate", "nobody"},
		"there is no run 7":            {"fleet", "resume", "7"},
		"no part of a fleet":           {"fleet", "migrate", "--canary", "0%"},
		"want its number":              {"fleet", "show", "latest"},
		"say --yes":                    {"fleet", "down", "--to", "2"},
		"knows up to":                  {"fleet", "migrate", "--to", "99"},
		"required flag(s) \"to\"":      {"fleet", "down", "--yes"},
		"[canary waves]":               {"fleet", "plan", "--canary", "1%", "--waves", "1,2"},
		"must reach further":           {"fleet", "plan", "--waves", "10%,5%"},
		"1 to 64 workers":              {"fleet", "migrate", "--workers", "99"},
		"unknown command \"migrates\"": {"fleet", "migrates"},
	} {
		r = h.run(args...)
		require.NotZero(t, r.code, "%v", args)
		require.Contains(t, r.errOut, says, "%v", args)
	}
	require.Contains(t, h.must("fleet", "down", "acme", "--to", "2", "--yes", "--output", "json"), `"done": 1`)
	require.Contains(t, h.must("fleet", "plan"), "00003_collaboration.sql")
	h.must("fleet", "migrate", "acme", "--batch", "10")
	require.Contains(t, h.must("fleet", "status"), newestVersion(t)+" of "+newestVersion(t))

	// A deployment may start several at once: all of them end well.
	h.must("tenant", "create", "globex")
	h.must("fleet", "down", "--to", "2", "--yes")
	var group sync.WaitGroup
	codes := make([]int, 3)
	for i := range codes {
		group.Go(func() { codes[i] = h.run("migrate", "up").code })
	}
	group.Wait()
	require.Equal(t, []int{0, 0, 0}, codes)
	require.NotRegexp(t, `\b2 of `, h.must("fleet", "status"))
}

// newestVersion is that of the product's migrations.
func newestVersion(t *testing.T) string {
	t.Helper()
	files, err := fs.Glob(migrations.Tenant(), "*.sql")
	require.NoError(t, err)
	version, _, _ := strings.Cut(path.Base(files[len(files)-1]), "_")
	return strings.TrimLeft(version, "0")
}
