package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/webhook"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ctx := t.Context()
	made, err := b.Create(ctx, b.acme, webhook.NewEndpoint{
		URL: "http://127.0.0.1:9/hooks", Description: " CRM ", EventKinds: []string{kindMade, kindGone, kindMade},
	})
	require.NoError(t, err)
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, made.Secret)
	require.Equal(t, "CRM", made.Description)
	require.Equal(t, []string{kindGone, kindMade}, made.EventKinds)
	shown := made
	shown.Secret = ""
	got, err := b.Get(ctx, b.acme, made.ID)
	require.NoError(t, err)
	require.Equal(t, shown, got, "the secret is shown once")
	all, err := b.List(ctx, b.acme)
	require.NoError(t, err)
	require.Equal(t, []webhook.Endpoint{shown}, all)

	b.clock.advance(time.Minute)
	changed, err := b.Update(ctx, b.acme, made.ID, webhook.Patch{EventKinds: &[]string{}})
	require.NoError(t, err)
	require.Empty(t, changed.EventKinds)
	require.Equal(t, made.URL, changed.URL)
	require.Equal(t, made.CreatedAt.Add(time.Minute), changed.UpdatedAt)
	for field, patch := range map[string]webhook.Patch{
		"url":         {URL: new("nonsense")},
		"description": {Description: new(strings.Repeat("x", 201))},
		"event_kinds": {EventKinds: &[]string{"thing.lost"}},
	} {
		_, err = b.Update(ctx, b.acme, made.ID, patch)
		var wrong *apperr.Error
		require.ErrorAs(t, err, &wrong, field)
		require.Len(t, wrong.Fields, 1)
		require.Equal(t, field, wrong.Fields[0].Path)
	}

	nobody := uuid.Must(uuid.NewV7())
	_, err = b.Update(ctx, b.acme, nobody, webhook.Patch{})
	requireCode(t, err, apperr.NotFound)
	_, err = b.ListDeliveries(ctx, b.acme, nobody, webhook.PageRequest{})
	requireCode(t, err, apperr.NotFound)
	require.NoError(t, b.Delete(ctx, b.acme, made.ID))
	requireCode(t, b.Delete(ctx, b.acme, made.ID), apperr.NotFound)

	for range webhook.MaxEndpoints {
		b.endpoint(t, b.acme, "http://127.0.0.1:9/")
	}
	_, err = b.Create(ctx, b.acme, webhook.NewEndpoint{URL: "http://127.0.0.1:9/"})
	requireCode(t, err, apperr.Conflict)
}

// A new address begins without the old one's failures.
func TestUpdate_AnotherAddress(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	rec := receive(t, always(500))
	endpoint := b.endpoint(t, b.acme, rec.url)
	delivery := b.publish(t, b.acme, event(t, kindMade))[0]
	requireSnoozed(t, b.Deliver(t.Context(), b.acme, delivery))
	same, err := b.Update(t.Context(), b.acme, endpoint.ID, webhook.Patch{Description: new("still failing")})
	require.NoError(t, err)
	require.NotNil(t, same.FailingSince)
	other := receive(t, nil)
	moved, err := b.Update(t.Context(), b.acme, endpoint.ID, webhook.Patch{URL: &other.url})
	require.NoError(t, err)
	require.Nil(t, moved.FailingSince)
	require.NoError(t, b.Deliver(t.Context(), b.acme, delivery))
	require.Len(t, other.got(), 1)
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ctx := t.Context()
	rec := receive(t, nil)
	endpoint := b.endpoint(t, b.acme, rec.url, kindGone)
	other := b.endpoint(t, b.acme, rec.url, kindGone)
	var want []uuid.UUID
	for range 5 {
		e := event(t, kindGone)
		b.publish(t, b.acme, e)
		want = append([]uuid.UUID{e.ID}, want...)
	}
	var got []uuid.UUID
	request := webhook.PageRequest{Limit: 2}
	for {
		page, err := b.ListDeliveries(ctx, b.acme, endpoint.ID, request)
		require.NoError(t, err)
		for _, d := range page.Items {
			got = append(got, d.EventID)
		}
		if request.Cursor = page.Next; request.Cursor == "" {
			break
		}
		_, err = b.ListDeliveries(ctx, b.acme, other.ID, request)
		requireCode(t, err, apperr.Invalid)
	}
	require.Equal(t, want, got)
	for _, wrong := range []webhook.PageRequest{{Limit: -1}, {Limit: 101}, {Cursor: "nonsense"}, {Cursor: "AAAA"}} {
		_, err := b.ListDeliveries(ctx, b.acme, endpoint.ID, wrong)
		requireCode(t, err, apperr.Invalid)
	}

	d, err := b.Test(ctx, b.acme, endpoint.ID)
	require.NoError(t, err)
	require.Equal(t, webhook.EventTest, d.EventKind, "whatever it wants to hear of")
	_, err = b.Redeliver(ctx, b.acme, endpoint.ID, d.EventID)
	requireCode(t, err, apperr.Conflict)
	jobs := b.queue.take()
	require.Equal(t, []webhook.DeliverEvent{{EndpointID: endpoint.ID, EventID: d.EventID}}, jobs)
	require.NoError(t, b.Deliver(ctx, b.acme, jobs[0]))
	d, err = b.Redeliver(ctx, b.acme, endpoint.ID, d.EventID)
	require.NoError(t, err)
	require.Zero(t, d.Attempts)
	require.NoError(t, b.Deliver(ctx, b.acme, b.queue.take()[0]))
	require.Len(t, rec.got(), 2)
	require.Equal(t, rec.got()[0].header.Get("Webhook-Id"), rec.got()[1].header.Get("Webhook-Id"))
	require.Equal(t, rec.got()[0].body, rec.got()[1].body)
	_, err = b.Redeliver(ctx, b.acme, endpoint.ID, uuid.Must(uuid.NewV7()))
	requireCode(t, err, apperr.NotFound)
	_, err = b.Test(ctx, b.acme, uuid.Must(uuid.NewV7()))
	requireCode(t, err, apperr.NotFound)
}

func TestSweep(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *webhook.Config) { c.Keep = time.Hour })
	endpoint := b.endpoint(t, b.acme, "http://127.0.0.1:9/")
	theirs := b.endpoint(t, b.globex, "http://127.0.0.1:9/")
	old := event(t, kindMade)
	waiting := b.publish(t, b.acme, old)[0]
	b.publish(t, b.globex, old)
	b.clock.advance(59 * time.Minute)
	require.NoError(t, b.SweepDeliveries(t.Context(), b.acme, webhook.Sweep{}))
	require.Equal(t, old.ID, b.only(t, b.acme, endpoint.ID).EventID)
	b.clock.advance(2 * time.Minute)
	require.NoError(t, b.SweepDeliveries(t.Context(), b.acme, webhook.Sweep{}))
	page, err := b.ListDeliveries(t.Context(), b.acme, endpoint.ID, webhook.PageRequest{})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	require.NoError(t, b.Deliver(t.Context(), b.acme, waiting))
	b.only(t, b.globex, theirs.ID)
}

// Ids are no secret. Whoever knows those of another tenant finds nothing there and changes nothing.
func TestTenantsDoNotMeet(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ctx := t.Context()
	rec, theirs := receive(t, nil), receive(t, nil)
	own := b.endpoint(t, b.acme, rec.url)
	foreign := b.endpoint(t, b.globex, theirs.url)
	before, err := b.Get(ctx, b.globex, foreign.ID)
	require.NoError(t, err)
	job := b.publish(t, b.globex, event(t, kindMade))[0]

	_, err = b.Get(ctx, b.acme, foreign.ID)
	requireCode(t, err, apperr.NotFound)
	_, err = b.Update(ctx, b.acme, foreign.ID, webhook.Patch{URL: &rec.url})
	requireCode(t, err, apperr.NotFound)
	requireCode(t, b.Delete(ctx, b.acme, foreign.ID), apperr.NotFound)
	_, err = b.RotateSecret(ctx, b.acme, foreign.ID)
	requireCode(t, err, apperr.NotFound)
	_, err = b.Enable(ctx, b.acme, foreign.ID)
	requireCode(t, err, apperr.NotFound)
	_, err = b.Test(ctx, b.acme, foreign.ID)
	requireCode(t, err, apperr.NotFound)
	_, err = b.ListDeliveries(ctx, b.acme, foreign.ID, webhook.PageRequest{})
	requireCode(t, err, apperr.NotFound)
	_, err = b.Redeliver(ctx, b.acme, foreign.ID, job.EventID)
	requireCode(t, err, apperr.NotFound)
	_, err = b.Redeliver(ctx, b.acme, own.ID, job.EventID)
	requireCode(t, err, apperr.NotFound)

	// A job with ids of another tenant does nothing; an event is told to the endpoints of its own.
	require.NoError(t, b.Deliver(ctx, b.acme, job))
	require.Empty(t, theirs.got())
	require.NoError(t, b.Deliver(ctx, b.globex, job))
	require.Len(t, theirs.got(), 1)
	require.Empty(t, rec.got())
	require.NoError(t, verify(t, foreign.Secret, theirs.got()[0]))
	require.Error(t, verify(t, own.Secret, theirs.got()[0]))
	after, err := b.Get(ctx, b.globex, foreign.ID)
	require.NoError(t, err)
	require.Equal(t, before, after)
}
