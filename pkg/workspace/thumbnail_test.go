package workspace_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/pkg/job"
	"github.com/rowhousehq/rowhouse/pkg/workspace"
)

// picture is red on the left and blue on the right.
func picture(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetRGBA(x, y, color.RGBA{R: 255, A: 255})
			if x >= w/2 {
				m.SetRGBA(x, y, color.RGBA{B: 255, A: 255})
			}
		}
	}
	return m
}

// drawn is picture as PNG.
func drawn(t *testing.T, w, h int) string {
	t.Helper()
	return encoded(t, func(out io.Writer) error { return png.Encode(out, picture(w, h)) })
}

func encoded(t *testing.T, encode func(io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, encode(&out))
	return out.String()
}

// held is picture as a JPEG of which a camera says how it was held.
func held(t *testing.T, w, h int, orientation byte) string {
	t.Helper()
	plain := encoded(t, func(out io.Writer) error { return jpeg.Encode(out, picture(w, h), nil) })
	exif := "Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string(orientation) + "\x00\x00\x00\x00\x00\x00"
	length := binary.BigEndian.AppendUint16(nil, uint16(len(exif)+2))
	return plain[:2] + "\xff\xe1" + string(length) + exif + plain[2:]
}

// bomb is a PNG that says it is of that size.
func bomb(w, h uint32) string {
	head := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)...)
	head = append(head, 8, 6, 0, 0, 0)
	chunk := binary.BigEndian.AppendUint32(append([]byte("\x00\x00\x00\x0d"), head...), crc32.ChecksumIEEE(head))
	return "\x89PNG\r\n\x1a\n" + string(chunk)
}

// One point, made by libwebp.
const webp = "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"

// thumbnailOf makes the thumbnail by calling the worker, and gives it decoded.
func (b *bundle) thumbnailOf(t *testing.T, id uuid.UUID) (m image.Image, contentType string) {
	t.Helper()
	require.NoError(t, b.MakeThumbnail(t.Context(), b.acme, workspace.ThumbnailDue{AttachmentID: id}))
	file, err := b.OpenThumbnail(t.Context(), b.acme, id)
	require.NoError(t, err)
	m, format, err := image.Decode(file.Content)
	require.NoError(t, errors.Join(err, file.Content.Close()))
	require.Equal(t, "image/"+format, file.ContentType)
	return m, file.ContentType
}

func TestThumbnails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	task := b.home(t, b.acme)
	glass := image.NewNRGBA(image.Rect(0, 0, 640, 320))
	small, err := base64.StdEncoding.DecodeString(webp)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		file     string
		w, h     int
		wantType string
	}{
		"wide png":    {drawn(t, 800, 400), 320, 160, "image/jpeg"},
		"tall jpeg":   {held(t, 200, 1000, 1), 64, 320, "image/jpeg"},
		"turned":      {held(t, 640, 320, 6), 160, 320, "image/jpeg"},
		"nonsense":    {held(t, 640, 320, 9), 320, 160, "image/jpeg"},
		"small":       {drawn(t, 30, 20), 30, 20, "image/jpeg"},
		"a line":      {drawn(t, 3000, 1), 320, 1, "image/jpeg"},
		"see-through": {encoded(t, func(out io.Writer) error { return png.Encode(out, glass) }), 320, 160, "image/png"},
		"gif":         {encoded(t, func(out io.Writer) error { return gif.Encode(out, picture(640, 640), nil) }), 320, 320, "image/jpeg"},
		"webp":        {string(small), 1, 1, "image/jpeg"},
	} {
		a := b.attach(t, b.acme, task.ID, name, c.file)
		m, contentType := b.thumbnailOf(t, a.ID)
		require.Equal(t, []int{c.w, c.h}, []int{m.Bounds().Dx(), m.Bounds().Dy()}, name)
		require.Equal(t, c.wantType, contentType, name)
	}
}

// A picture stands as it was seen, however the camera was held: red was on the left.
func TestThumbnailIsTurned(t *testing.T) {
	t.Parallel()
	b := setup(t)
	task := b.home(t, b.acme)
	// Where the left of what is stored is to be seen, by the table of EXIF.
	for orientation, red := range map[byte]image.Point{
		1: {10, 40}, 2: {70, 40}, 3: {70, 40}, 4: {10, 40}, 5: {40, 10}, 6: {40, 10}, 7: {40, 70}, 8: {40, 70},
	} {
		m, _ := b.thumbnailOf(t, b.attach(t, b.acme, task.ID, "a.jpg", held(t, 80, 80, orientation)).ID)
		r, _, blue, _ := m.At(red.X, red.Y).RGBA()
		require.Greater(t, r, blue, orientation)
		r, _, blue, _ = m.At(79-red.X, 79-red.Y).RGBA()
		if red.X == 40 {
			r, _, blue, _ = m.At(40, 79-red.Y).RGBA()
		}
		require.Greater(t, blue, r, orientation)
	}
}

// The worker makes one thumbnail however often it runs, and a picture that is none ends its job and stays as it is.
func TestThumbnailJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	task := b.home(t, b.acme)
	ended := b.work(t, b.Service)
	next(t, ended, "workspace.activity completed")
	good := b.attach(t, b.acme, task.ID, "good.png", drawn(t, 400, 400))
	require.Zero(t, next(t, ended, "workspace.thumbnail completed"))
	first, _ := b.thumbnailOf(t, good.ID)
	again, _ := b.thumbnailOf(t, good.ID)
	require.Equal(t, first, again)
	require.Len(t, b.lying(t, b.acme), 2)

	whole := drawn(t, 400, 400)
	for name, c := range map[string]struct{ content, problem string }{
		"bomb":         {bomb(1<<20, 1<<20), "is not decoded"},
		"just too big": {bomb(6400, 6251), "is not decoded"},
		"too tall":     {bomb(1, 65_536), "is not decoded"},
		"just not":     {bomb(6400, 6250), "unexpected EOF"},
		"cut":          {whole[:len(whole)/2], "not enough pixel data"},
		"head only":    {whole[:16], "unexpected EOF"},
		"gif of none":  {"GIF89a", "unexpected EOF"},
	} {
		content := c.content
		a := b.attach(t, b.acme, task.ID, name, content)
		require.Zero(t, next(t, ended, "workspace.thumbnail cancelled"), name)
		err := b.MakeThumbnail(t.Context(), b.acme, workspace.ThumbnailDue{AttachmentID: a.ID})
		require.ErrorContains(t, err, c.problem, name)
		_, err = b.OpenThumbnail(t.Context(), b.acme, a.ID)
		requireNotFound(t, err)
		file, err := b.OpenAttachment(t.Context(), b.acme, a.ID)
		require.NoError(t, err)
		got, err := io.ReadAll(file.Content)
		require.NoError(t, errors.Join(err, file.Content.Close()))
		require.Equal(t, content, string(got))
	}

	// Who is stopped by a shutdown is not at fault.
	stopped, cancel := context.WithCancel(t.Context())
	slow := b.attach(t, b.acme, task.ID, "slow.png", drawn(t, 2, 2))
	cancel()
	err := b.MakeThumbnail(stopped, b.acme, workspace.ThumbnailDue{AttachmentID: slow.ID})
	require.ErrorIs(t, err, context.Canceled)
	var cancelled *job.CancelError
	require.NotErrorAs(t, err, &cancelled)
}
