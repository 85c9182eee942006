package httpapi_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/httpapi/internal/client"
)

// A client that was generated from the description works against what is served.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	e := open(t, nil)
	ctx := t.Context()
	as := func(host, key string) *client.ClientWithResponses {
		c, err := client.NewClientWithResponses(e.url, client.WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
			req.Host = host
			req.Header.Set("Authorization", "Bearer "+key)
			return nil
		}), client.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
		require.NoError(t, err)
		return c
	}
	acme, globex := as("acme.localhost", e.acmeKey), as("globex.localhost", e.globexKey)

	repeat := "a key of mine"
	bad, err := acme.CreateProjectsWithResponse(ctx, &client.CreateProjectsParams{IdempotencyKey: &repeat}, client.NewProject{Name: "Office"})
	require.NoError(t, err)
	require.Equal(t, 422, bad.StatusCode(), "a key has no spaces")
	require.Equal(t, "header.Idempotency-Key", (*bad.ApplicationproblemJSONDefault.Errors)[0].Location)
	repeat = uuid.NewString()
	var made *client.CreateProjectsResponse
	for range 2 {
		made, err = acme.CreateProjectsWithResponse(ctx, &client.CreateProjectsParams{IdempotencyKey: &repeat}, client.NewProject{Name: "Office"})
		require.NoError(t, err)
		require.Equal(t, 201, made.StatusCode(), string(made.Body))
	}
	label, err := acme.CreateLabelsWithResponse(ctx, nil, client.NewLabel{Name: "Urgent"})
	require.NoError(t, err)
	var tasks []*client.Task
	for _, title := range []string{"Boxes", "Vans", "Keys"} {
		task, err := acme.CreateTasksWithResponse(ctx, nil, client.NewTask{
			ProjectId: made.JSON201.Id, Title: title, LabelIds: &[]string{label.JSON201.Id.String()},
		})
		require.NoError(t, err)
		require.Equal(t, 201, task.StatusCode(), string(task.Body))
		tasks = append(tasks, task.JSON201)
	}
	moved, err := acme.PatchTasksWithResponse(ctx, tasks[2].Id, nil, client.TaskPatch{Before: &tasks[0].Id})
	require.NoError(t, err)
	require.Equal(t, 200, moved.StatusCode(), string(moved.Body))

	var titles []string
	sort, limit := client.Position, int64(2)
	params := &client.ListTasksParams{Sort: &sort, Limit: &limit, LabelId: &label.JSON201.Id}
	for {
		page, err := acme.ListTasksWithResponse(ctx, params)
		require.NoError(t, err)
		require.Equal(t, 200, page.StatusCode(), string(page.Body))
		for _, task := range page.JSON200.Items {
			titles = append(titles, task.Title)
		}
		if params.Cursor = page.JSON200.Next; params.Cursor == nil {
			break
		}
	}
	require.Equal(t, []string{"Keys", "Boxes", "Vans"}, titles)

	got, err := acme.GetTasksWithResponse(ctx, tasks[0].Id, nil)
	require.NoError(t, err)
	tag := got.HTTPResponse.Header.Get("ETag")
	comment, err := acme.CreateCommentsWithResponse(ctx, tasks[0].Id, nil, client.NewComment{Body: "Forty."})
	require.NoError(t, err)
	require.Equal(t, 201, comment.StatusCode(), string(comment.Body))
	gone, err := acme.DeleteTasksWithResponse(ctx, tasks[0].Id, &client.DeleteTasksParams{IfMatch: &tag})
	require.NoError(t, err)
	require.Equal(t, 204, gone.StatusCode(), string(gone.Body))
	theirs, err := globex.GetTasksWithResponse(ctx, tasks[1].Id, nil)
	require.NoError(t, err)
	require.Equal(t, 404, theirs.StatusCode())
	require.Equal(t, int64(404), theirs.ApplicationproblemJSONDefault.Status)
}
