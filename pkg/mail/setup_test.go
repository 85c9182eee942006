package mail_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/jobqueue"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/pkg/pgtest"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, func() error { return goleak.Find() })
}

// patience bounds every wait; nothing is measured by it.
const patience = time.Minute

// bundle is what a test of the outbox works with: a service and two tenants.
type bundle struct {
	*mail.Service

	db           *pgtest.DB
	acme, globex tenantschema.Scope
	queue        *jobqueue.Client
	counts       counts
	logged       *observer.ObservedLogs
}

// counts is what the metrics were told.
type counts struct{ sent, retried, failed int }

func (c *counts) MailSent()    { c.sent++ }
func (c *counts) MailRetried() { c.retried++ }
func (c *counts) MailFailed()  { c.failed++ }

func setup(t *testing.T, transport mail.Transport) *bundle {
	t.Helper()
	db := pgtest.New(t)
	queue, err := jobqueue.New(jobqueue.Config{})
	require.NoError(t, err)
	b := &bundle{db: db, acme: db.Scope("acme"), globex: db.Scope("globex"), queue: queue}
	b.Service, err = mail.New(mail.Config{
		From: mail.Address{Name: "Rowhouse", Address: "house@rowhouse.test"}, Jobs: queue, Transport: transport, Metrics: &b.counts,
	})
	require.NoError(t, err)
	return b
}

// secretMail is a mail whose address, subject and words are easy to find where they do not belong.
func secretMail() mail.Message {
	return mail.Message{
		To: mail.Address{Name: "Ada Løvelace", Address: "ada.secret@example.com"}, Kind: "welcome",
		Subject: "Secret: grüße", Text: "Open https://acme.example.com/secret?token=1&x=2\n.\nBye ✓", HTML: "<p>Secret <b>grüße</b></p>",
	}
}

// send commits a mail and gives its id.
func (b *bundle) send(t *testing.T, scope tenantschema.Scope, m mail.Message) uuid.UUID {
	t.Helper()
	require.NoError(t, scope.InTx(t.Context(), func(tx *tenantschema.Tx) error { return b.Send(t.Context(), tx, m) }))
	var id uuid.UUID
	require.NoError(t, scope.QueryRow(t.Context(), `SELECT id FROM mails ORDER BY id DESC LIMIT 1`).Scan(&id))
	return id
}

// deliver runs the job once, as its first attempt.
func (b *bundle) deliver(ctx context.Context, scope tenantschema.Scope, id uuid.UUID) error {
	ctx = job.NewContext(ctx, job.Info{ID: 1, Attempt: 1, MaxAttempts: 14})
	return b.Deliver(ctx, scope, mail.Delivery{MailID: id})
}

// row is a mail as the table has it.
type row struct {
	State, Text, HTML, LastError, MessageID string
	Attempts                                int
	SentAt                                  *time.Time
}

func (b *bundle) row(t *testing.T, scope tenantschema.Scope, id uuid.UUID) (r row) {
	t.Helper()
	require.NoError(t, scope.QueryRow(t.Context(), `SELECT state, text_body, html_body, last_error, message_id, attempts, sent_at
FROM mails WHERE id = $1`, id).Scan(&r.State, &r.Text, &r.HTML, &r.LastError, &r.MessageID, &r.Attempts, &r.SentAt))
	return r
}

// work starts the real queue, which tries again at once, until the test ends.
func (b *bundle) work(t *testing.T) {
	t.Helper()
	core, logged := observer.New(zapcore.DebugLevel)
	b.logged = logged
	workers := jobqueue.NewWorkers()
	jobqueue.Handle(workers, b.Deliver, jobqueue.Backoff(func(int) time.Duration { return 0 }))
	client, err := jobqueue.New(jobqueue.Config{
		Workers: workers, Pool: b.db.Control, DB: b.db.Engine, Tenants: b.db.Catalog(), Log: zap.New(core), PollInterval: 10 * time.Millisecond,
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience) //nolint:usetesting // t.Context has ended by then.
		defer cancel()
		require.NoError(t, client.Stop(ctx))
	})
}

// jobState waits for the one job to end, and gives all that the queue kept of it as text.
func (b *bundle) jobState(t *testing.T, want string) (whole string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var state string
		err := b.db.Control.QueryRow(t.Context(), `SELECT state::text, to_jsonb(j)::text FROM river.river_job j`).Scan(&state, &whole)
		require.NoError(t, err)
		return state == want
	}, patience, 10*time.Millisecond, "the job is to be %s", want)
	return whole
}

// requireNoSecrets looks for what only the tenant may know, in what the queue and the log have.
func (b *bundle) requireNoSecrets(t *testing.T, texts ...string) {
	t.Helper()
	for _, line := range b.logged.All() {
		texts = append(texts, line.Message)
		for _, field := range line.Context {
			texts = append(texts, field.String)
			if err, ok := field.Interface.(error); ok {
				texts = append(texts, err.Error())
			}
		}
	}
	for _, text := range texts {
		require.NotContains(t, text, "ada.")
		require.NotContains(t, text, "ecret")
	}
}
