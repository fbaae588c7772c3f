package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"path"

	"github.com/valyala/fasthttp"
)

//go:embed page
var page embed.FS

// file is one of the page's files, immutable.
type file struct {
	content     []byte
	contentType string
	etag        []byte
}

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// load returns the embedded files by their path below /console. It panics on a file without a known
// content type, such as one that was left there by mistake.
func load() map[string]*file {
	files := make(map[string]*file)
	err := fs.WalkDir(page, "page", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := page.ReadFile(name)
		if err != nil {
			return err
		}
		contentType, ok := contentTypes[path.Ext(name)]
		if !ok {
			panic("console: " + name + " has no content type")
		}
		sum := sha256.Sum256(content)
		files[name[len("page"):]] = &file{
			content: content, contentType: contentType, etag: []byte(`"` + hex.EncodeToString(sum[:12]) + `"`),
		}
		return nil
	})
	if err != nil {
		panic("console: the embedded files: " + err.Error())
	}
	return files
}

// serve answers with the file. A browser keeps the file but asks each time whether it has changed.
// Nodes of different versions may stand behind one address, and a page must not be put together
// from both for longer than a reload.
func (f *file) serve(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, "no-cache")
	h.SetBytesV(fasthttp.HeaderETag, f.etag)
	if f.matches(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch)) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	ctx.SetContentType(f.contentType)
	ctx.SetBody(f.content)
}

// matches reports whether an If-None-Match header names the file, compared weakly as RFC 9110
// demands.
func (f *file) matches(header []byte) bool {
	for one := range bytes.SplitSeq(header, []byte(",")) {
		one = bytes.TrimPrefix(bytes.TrimSpace(one), []byte("W/"))
		if bytes.Equal(one, f.etag) || string(one) == "*" {
			return true
		}
	}
	return false
}
