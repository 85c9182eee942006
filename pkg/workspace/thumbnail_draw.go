package workspace

import (
	"bytes"
	"fmt"
	"image"
	_ "image/gif" // The decoders of what pictured names.
	"image/jpeg"
	"image/png"
	"io"

	"github.com/bep/imagemeta"
	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // The last of the decoders.
)

const (
	// maxSide is the longer side of a thumbnail, in points.
	maxSide = 320
	// maxPoints is what a picture may have, however small its file is. Decoding takes up to 15 bytes for each.
	maxPoints = 40_000_000
	// maxSourceSide keeps the scaler's memory in bounds, which goes by the height of a picture. JPEG has no longer sides.
	maxSourceSide = 65_535
	jpegQuality   = 85
)

// thumbnail gives a small copy of a picture, upright, without what else the file says (where it was taken). It is PNG if any of it can be
// seen through, else JPEG. Of an animation it shows the first picture.
func thumbnail(r io.ReadSeeker) ([]byte, error) {
	size, format, err := image.DecodeConfig(r)
	if err != nil {
		return nil, fmt.Errorf("read size: %w", err)
	}
	if size.Width < 1 || size.Height < 1 || size.Width > maxSourceSide || size.Height > maxSourceSide || size.Width*size.Height > maxPoints {
		return nil, fmt.Errorf("a picture of %d × %d points is not decoded: %d points in all are", size.Width, size.Height, maxPoints)
	}
	turn := upright
	if format == "jpeg" {
		if turn, err = orientation(r); err != nil {
			return nil, err
		}
	}
	if _, err = r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	src, _, err := image.Decode(r)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", format, err)
	}
	dst := turn.apply(scaled(src))
	var out bytes.Buffer
	if dst.Opaque() {
		err = jpeg.Encode(&out, dst, &jpeg.Options{Quality: jpegQuality})
	} else {
		err = png.Encode(&out, dst)
	}
	return out.Bytes(), err
}

// scaled gives src in a size that fits a thumbnail. What is smaller stays as large as it is.
func scaled(src image.Image) *image.RGBA {
	w, h := src.Bounds().Dx(), src.Bounds().Dy()
	if longer := max(w, h); longer > maxSide {
		w, h = max(1, w*maxSide/longer), max(1, h*maxSide/longer)
	}
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
	return dst
}

// turn is how a camera was held: a value of EXIF's tag Orientation, 1 to 8.
type turn uint16

const upright turn = 1

// orientation reads how a JPEG is to be turned. What cannot be understood of it is taken for upright.
func orientation(r io.ReadSeeker) (turn, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return upright, err
	}
	found := upright
	_, _ = imagemeta.Decode(imagemeta.Options{
		R: r, ImageFormat: imagemeta.JPEG, Sources: imagemeta.EXIF,
		ShouldHandleTag: func(tag imagemeta.TagInfo) bool { return tag.Tag == "Orientation" && tag.Namespace == "IFD0" },
		HandleTag: func(tag imagemeta.TagInfo) error {
			if v, ok := tag.Value.(uint16); ok && v >= 1 && v <= 8 {
				found = turn(v)
			}
			return nil
		},
	})
	return found, nil
}

// apply gives src turned and mirrored, so that it stands as it was seen.
func (t turn) apply(src *image.RGBA) *image.RGBA {
	if t == upright {
		return src
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	if t >= 5 {
		dst = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range h {
		for x := range w {
			toX, toY := t.place(x, y, w-1, h-1)
			dst.SetRGBA(toX, toY, src.RGBAAt(x, y))
		}
	}
	return dst
}

// place gives where a point of a picture goes, whose last column and row are right and bottom.
func (t turn) place(x, y, right, bottom int) (toX, toY int) {
	switch t {
	case upright:
	case 2:
		return right - x, y
	case 3:
		return right - x, bottom - y
	case 4:
		return x, bottom - y
	case 5:
		return y, x
	case 6:
		return bottom - y, x
	case 7:
		return bottom - y, right - x
	case 8:
		return y, right - x
	}
	return x, y
}
