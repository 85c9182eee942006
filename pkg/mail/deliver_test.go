package mail_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/mail"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

func TestSendAndReasonAreOne(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	lost := errors.New("lost")
	err := b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error {
		require.NoError(t, b.Send(t.Context(), tx, secretMail()))
		return lost
	})
	require.ErrorIs(t, err, lost)
	var mails, jobs int
	require.NoError(t, b.acme.QueryRow(t.Context(), `SELECT count(*) FROM mails`).Scan(&mails))
	require.NoError(t, b.db.Control.QueryRow(t.Context(), `SELECT count(*) FROM river.river_job`).Scan(&jobs))
	require.Zero(t, mails)
	require.Zero(t, jobs)

	id := b.send(t, b.acme, secretMail())
	require.Equal(t, row{State: "queued", Text: secretMail().Text, HTML: secretMail().HTML, MessageID: id.String() + "@rowhouse.test"},
		b.row(t, b.acme, id))
	var queue, args string
	require.NoError(t, b.db.Control.QueryRow(t.Context(), `SELECT queue, args::text FROM river.river_job`).Scan(&queue, &args))
	require.Equal(t, job.QueueCritical, queue)
	require.JSONEq(t, `{"mail_id": "`+id.String()+`"}`, args, "the id and no word")
	require.ErrorContains(t, b.deliver(t.Context(), b.acme, id), "no transport")
}

func TestQueue_TemporaryRefusalIsTriedAgain(t *testing.T) {
	t.Parallel()
	server := serveSMTP(t, &smtpServer{onRcpt: func(n int) error {
		if n < 3 {
			return &smtp.SMTPError{Code: 451, Message: "later, ada.secret@example.com"}
		}
		return nil
	}}, serverOptions{})
	b := setup(t, server.transport(t))
	id := b.send(t, b.acme, secretMail())
	b.work(t)
	b.requireNoSecrets(t, b.jobState(t, "completed"))
	require.Len(t, server.all(), 1)
	r := b.row(t, b.acme, id)
	require.NotNil(t, r.SentAt)
	r.SentAt = nil
	require.Equal(t, row{State: "sent", MessageID: id.String() + "@rowhouse.test", Attempts: 3}, r, "what it said is gone")
	require.Equal(t, counts{sent: 1, retried: 2}, b.counts)
}

func TestQueue_PermanentRefusalEnds(t *testing.T) {
	t.Parallel()
	server := serveSMTP(t, &smtpServer{onRcpt: func(int) error {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no ada.secret@example.com here"}
	}}, serverOptions{})
	b := setup(t, server.transport(t))
	id := b.send(t, b.acme, secretMail())
	b.work(t)
	whole := b.jobState(t, "cancelled")
	require.Contains(t, whole, `"attempt": 1,`, "at once")
	b.requireNoSecrets(t, whole)
	r := b.row(t, b.acme, id)
	require.Equal(t, "failed", r.State)
	require.Empty(t, r.Text+r.HTML)
	require.Equal(t, 1, r.Attempts)
	require.Contains(t, r.LastError, "no ada.secret@example.com here")
	require.Equal(t, counts{failed: 1}, b.counts)

	err := b.deliver(t.Context(), b.acme, id)
	require.ErrorAs(t, err, new(*job.CancelError), "run again, it does not begin again")
	require.Equal(t, r, b.row(t, b.acme, id))
}

func TestQueue_BrokenConnectionIsTriedAgain(t *testing.T) {
	t.Parallel()
	var began received
	server := &smtpServer{}
	server.onData = func(n int, c *smtp.Conn) error {
		if n == 1 {
			return c.Conn().Close()
		}
		return nil
	}
	serveSMTP(t, server, serverOptions{})
	b := setup(t, server.transport(t))
	id := b.send(t, b.acme, secretMail())
	require.ErrorAs(t, b.deliver(t.Context(), b.acme, id), new(*mail.DeferredError))
	r := b.row(t, b.acme, id)
	require.Equal(t, "queued", r.State)
	require.NotEmpty(t, r.LastError)
	require.NoError(t, b.deliver(t.Context(), b.acme, id))
	require.Len(t, server.all(), 1)
	began = server.all()[0]
	require.Equal(t, "<"+r.MessageID+">", began.headers(t).Get("Message-ID"))
	require.Equal(t, r.MessageID, b.row(t, b.acme, id).MessageID)
}

func TestDeliver_OnceAfterSuccess(t *testing.T) {
	t.Parallel()
	server := serveSMTP(t, &smtpServer{}, serverOptions{})
	b := setup(t, server.transport(t))
	id := b.send(t, b.acme, secretMail())
	for range 3 {
		require.NoError(t, b.deliver(t.Context(), b.acme, id))
	}
	require.Len(t, server.all(), 1)
	require.Equal(t, counts{sent: 1}, b.counts)
}

// The server has the mail, and the note of it is lost: at the next attempt it gets the same mail.
func TestDeliver_LostNote(t *testing.T) {
	t.Parallel()
	server := serveSMTP(t, &smtpServer{}, serverOptions{})
	b := setup(t, server.transport(t))
	id := b.send(t, b.acme, secretMail())
	schema := b.acme.Tenant().Schema.Quote()
	b.asOwner(t, `CREATE FUNCTION `+schema+`.lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''lost''; END'`)
	b.asOwner(t, `CREATE CONSTRAINT TRIGGER lose AFTER UPDATE ON `+schema+`.mails DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
		EXECUTE FUNCTION `+schema+`.lose()`)
	require.ErrorContains(t, b.deliver(t.Context(), b.acme, id), "lost", "the commit fails")
	require.Equal(t, "queued", b.row(t, b.acme, id).State)
	b.asOwner(t, `DROP FUNCTION `+schema+`.lose() CASCADE`)

	require.NoError(t, b.deliver(t.Context(), b.acme, id))
	all := server.all()
	require.Len(t, all, 2)
	require.Equal(t, "<"+id.String()+"@rowhouse.test>", all[0].headers(t).Get("Message-ID"))
	require.Equal(t, all[0].headers(t).Get("Message-ID"), all[1].headers(t).Get("Message-ID"))
	require.NoError(t, b.deliver(t.Context(), b.acme, id))
	require.Len(t, server.all(), 2)
}

func (b *bundle) asOwner(t *testing.T, sql string) {
	t.Helper()
	_, err := b.db.Owner.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func TestDeliver_LastAttemptFails(t *testing.T) {
	t.Parallel()
	server := serveSMTP(t, &smtpServer{onRcpt: func(int) error { return &smtp.SMTPError{Code: 451, Message: "later"} }}, serverOptions{})
	b := setup(t, server.transport(t))
	id := b.send(t, b.acme, secretMail())
	ctx := job.NewContext(t.Context(), job.Info{Attempt: 14, MaxAttempts: 14})
	err := b.Deliver(ctx, b.acme, mail.Delivery{MailID: id})
	require.ErrorAs(t, err, new(*mail.DeferredError))
	require.NotErrorAs(t, err, new(*job.CancelError), "the queue discards it by itself")
	r := b.row(t, b.acme, id)
	require.Equal(t, "failed", r.State)
	require.Contains(t, r.LastError, "later")
	require.Equal(t, counts{failed: 1}, b.counts)
}

// A shutdown in the middle is no attempt; one that comes after the server's answer loses nothing.
func TestDeliver_Shutdown(t *testing.T) {
	t.Parallel()
	server := &smtpServer{}
	ctx, stop := context.WithCancel(t.Context())
	server.onData = func(n int, c *smtp.Conn) error {
		if n > 1 {
			return nil
		}
		stop()
		_, err := c.Conn().Read(make([]byte, 1<<20)) // Until the other side has gone.
		for err == nil {
			_, err = c.Conn().Read(make([]byte, 1<<20))
		}
		return err
	}
	serveSMTP(t, server, serverOptions{})
	b := setup(t, server.transport(t))
	id := b.send(t, b.acme, secretMail())
	before := b.row(t, b.acme, id)
	require.Error(t, b.Deliver(job.NewContext(ctx, job.Info{Attempt: 14, MaxAttempts: 14}), b.acme, mail.Delivery{MailID: id}))
	require.Equal(t, before, b.row(t, b.acme, id))
	require.Equal(t, counts{}, b.counts)

	ctx, stop = context.WithCancel(t.Context())
	after := setup(t, afterwards{server.transport(t), stop})
	id = after.send(t, after.acme, secretMail())
	require.NoError(t, after.deliver(ctx, after.acme, id))
	require.Error(t, ctx.Err())
	require.Equal(t, "sent", after.row(t, after.acme, id).State)
}

// afterwards does something when a mail is delivered, before that is noted.
type afterwards struct {
	mail.Transport

	do func()
}

func (a afterwards) Deliver(ctx context.Context, m mail.Outgoing) error {
	defer a.do()
	return a.Transport.Deliver(ctx, m)
}

// A mail of one tenant is nothing at another.
func TestTenantsDoNotMeet(t *testing.T) {
	t.Parallel()
	server := serveSMTP(t, &smtpServer{}, serverOptions{})
	b := setup(t, server.transport(t))
	id := b.send(t, b.acme, secretMail())
	before := b.row(t, b.acme, id)
	err := b.deliver(t.Context(), b.globex, id)
	require.ErrorAs(t, err, new(*job.CancelError))
	require.Equal(t, apperr.NotFound, apperr.CodeOf(err))
	require.Empty(t, server.all())
	require.Equal(t, before, b.row(t, b.acme, id))
	var mails int
	require.NoError(t, b.globex.QueryRow(t.Context(), `SELECT count(*) FROM mails`).Scan(&mails))
	require.Zero(t, mails)
}

func TestSend_RefusesWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for name, c := range map[string]struct {
		change func(m *mail.Message)
		field  string
	}{
		"CRLF in the subject":     {func(m *mail.Message) { m.Subject = "Hi\r\nBcc: eve@example.com" }, "subject"},
		"LF in the subject":       {func(m *mail.Message) { m.Subject = "Hi\nBcc: eve@example.com" }, "subject"},
		"CR in the subject":       {func(m *mail.Message) { m.Subject = "Hi\rBcc: eve@example.com" }, "subject"},
		"NUL in the subject":      {func(m *mail.Message) { m.Subject = "Hi\x00" }, "subject"},
		"NEL in the subject":      {func(m *mail.Message) { m.Subject = "Hi\u0085Bcc: eve@example.com" }, "subject"},
		"U+2028 in the subject":   {func(m *mail.Message) { m.Subject = "Hi\u2028Bcc: eve@example.com" }, "subject"},
		"not UTF-8":               {func(m *mail.Message) { m.Subject = "Hi\xff" }, "subject"},
		"empty subject":           {func(m *mail.Message) { m.Subject = " " }, "subject"},
		"long subject":            {func(m *mail.Message) { m.Subject = strings.Repeat("ü", 201) }, "subject"},
		"CRLF in the name":        {func(m *mail.Message) { m.To.Name = "Ada\r\nBcc: eve@example.com" }, "to"},
		"LF in the name":          {func(m *mail.Message) { m.To.Name = "Ada\n" }, "to"},
		"long name":               {func(m *mail.Message) { m.To.Name = strings.Repeat("a", 101) }, "to"},
		"CRLF in the address":     {func(m *mail.Message) { m.To.Address = "ada@example.com\r\nRCPT TO:<eve@example.com>" }, "to"},
		"LF in the address":       {func(m *mail.Message) { m.To.Address = "ada@example.com\n" }, "to"},
		"two addresses":           {func(m *mail.Message) { m.To.Address = "ada@example.com,eve@example.com" }, "to"},
		"a name in the address":   {func(m *mail.Message) { m.To.Address = "Ada <ada@example.com>" }, "to"},
		"brackets in the address": {func(m *mail.Message) { m.To.Address = "ada@example.com><eve@example.com" }, "to"},
		"a comment":               {func(m *mail.Message) { m.To.Address = "ada@example.com(eve)" }, "to"},
		"a quoted local part":     {func(m *mail.Message) { m.To.Address = `"ada eve"@example.com` }, "to"},
		"a space":                 {func(m *mail.Message) { m.To.Address = "ada eve@example.com" }, "to"},
		"an address literal":      {func(m *mail.Message) { m.To.Address = "ada@[127.0.0.1]" }, "to"},
		"no domain":               {func(m *mail.Message) { m.To.Address = "ada" }, "to"},
		"no address":              {func(m *mail.Message) { m.To.Address = "" }, "to"},
		"not ASCII":               {func(m *mail.Message) { m.To.Address = "ada@bücher.example" }, "to"},
		"long address":            {func(m *mail.Message) { m.To.Address = strings.Repeat("a", 243) + "@example.com" }, "to"},
		"no text":                 {func(m *mail.Message) { m.Text = "" }, "text"},
		"too much text":           {func(m *mail.Message) { m.Text = strings.Repeat("a", 256<<10+1) }, "text"},
		"NUL in the text":         {func(m *mail.Message) { m.Text = "a\x00" }, "text"},
		"too much HTML":           {func(m *mail.Message) { m.HTML = strings.Repeat("a", 1<<20+1) }, "html"},
		"CRLF in the kind":        {func(m *mail.Message) { m.Kind = "welcome\r\n" }, "kind"},
		"no kind":                 {func(m *mail.Message) { m.Kind = "" }, "kind"},
	} {
		m := secretMail()
		c.change(&m)
		err := b.acme.InTx(t.Context(), func(tx *tenantschema.Tx) error { return b.Send(t.Context(), tx, m) })
		var bad *apperr.Error
		require.ErrorAs(t, err, &bad, name)
		require.Equal(t, apperr.Invalid, bad.Code, name)
		require.Len(t, bad.Fields, 1, name)
		require.Equal(t, c.field, bad.Fields[0].Path, name)
		require.NotContains(t, bad.Fields[0].Message+bad.Message, "eve", name)
	}
	// The largest that are taken fit the schema's checks.
	m := mail.Message{
		To: mail.Address{Name: strings.Repeat("ü", 100), Address: strings.Repeat("a", 242) + "@example.com"}, Kind: strings.Repeat("k", 64),
		Subject: strings.Repeat("ü", 200), Text: strings.Repeat("a", 256<<10), HTML: strings.Repeat("a", 1<<20),
	}
	b.send(t, b.acme, m)
}

func TestNew_RefusesABadConfig(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for name, cfg := range map[string]mail.Config{
		"no queue":  {From: mail.Address{Address: "a@b.test"}},
		"no sender": {Jobs: b.queue},
		"injection": {Jobs: b.queue, From: mail.Address{Name: "a\r\nb", Address: "a@b.test"}},
	} {
		_, err := mail.New(cfg)
		require.Error(t, err, name)
	}
}
