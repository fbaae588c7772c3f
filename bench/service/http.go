package service

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"viakv/bench"
	"viakv/bench/report"
	"viakv/bench/scenario"
)

//go:embed assets
var assets embed.FS

const (
	pagePolicy   = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	maxBodyBytes = 64 << 10
)

// Handler serves the page and the API. It uses net/http, which is fast enough for people and can
// stream events.
func (s *Service) Handler() (http.Handler, error) {
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "index.html") })
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(files)))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("OK\n")) })
	mux.HandleFunc("GET /api/state", s.state)
	mux.HandleFunc("GET /api/events", s.events)
	mux.HandleFunc("POST /api/runs", s.submit)
	mux.HandleFunc("POST /api/runs/{id}/stop", s.stop)
	mux.HandleFunc("DELETE /api/runs/{id}", s.remove)
	mux.HandleFunc("GET /api/runs/{id}/events", s.runEvents)
	mux.HandleFunc("GET /api/compare", s.compare)
	mux.HandleFunc("GET /reports/{file}", s.download)
	return s.guard(mux), nil
}

// guard sets the headers of every answer, and admits only requests of the service's own page (V4).
func (s *Service) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !s.knownHost(r.Host) {
			fail(w, http.StatusForbidden, "this service is not known by the name "+r.Host+": start it with --host if it should be")
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			if !ownPage(r) {
				fail(w, http.StatusForbidden, "refused: sent by a page of another site")
				return
			}
			if r.Method == http.MethodPost && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
				fail(w, http.StatusUnsupportedMediaType, "send JSON, with the header Content-Type: application/json")
				return
			}
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		next.ServeHTTP(w, r)
	})
}

func (s *Service) knownHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if ip := net.ParseIP(name); ip != nil {
		return true // a request by address cannot come from DNS rebinding
	}
	return strings.EqualFold(name, "localhost") || slices.ContainsFunc(s.config.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

func ownPage(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "title": http.StatusText(status), "detail": detail})
}

// failed answers with an error.
func failed(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errNoRun), errors.Is(err, errNoReport):
		fail(w, http.StatusNotFound, err.Error())
	case errors.Is(err, errFull):
		fail(w, http.StatusTooManyRequests, err.Error())
	case errors.Is(err, bench.ErrRemote):
		fail(w, http.StatusForbidden, err.Error())
	default:
		fail(w, http.StatusBadRequest, err.Error())
	}
}

// overview is what the page loads first.
type overview struct {
	Runs     []view                   `json:"runs"`
	Past     []summary                `json:"past"`
	Targets  []string                 `json:"targets"`
	Defaults map[string]scenario.Spec `json:"defaults"`
}

func (s *Service) state(w http.ResponseWriter, _ *http.Request) {
	o := overview{Past: s.archive.list(), Targets: s.config.Targets, Defaults: map[string]scenario.Spec{}}
	o.Runs, _ = s.list()
	for _, name := range scenario.Names {
		o.Defaults[name] = scenario.Default(name)
	}
	answer(w, http.StatusOK, o)
}

func (s *Service) submit(w http.ResponseWriter, r *http.Request) {
	var head struct {
		Scenario string `json:"scenario"`
	}
	var raw json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
		fail(w, http.StatusBadRequest, "the body is no JSON: "+err.Error())
		return
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	spec := scenario.Default(head.Scenario)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&spec); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	run, err := s.enqueue(r.Context(), spec)
	if err != nil {
		failed(w, err)
		return
	}
	v, _, _ := run.look(position{})
	answer(w, http.StatusAccepted, v)
}

func (s *Service) stop(w http.ResponseWriter, r *http.Request) {
	if err := s.cancel(r.PathValue("id")); err != nil {
		failed(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]bool{"stopping": true})
}

func (s *Service) remove(w http.ResponseWriter, r *http.Request) {
	if err := s.archive.remove(r.PathValue("id")); err != nil {
		failed(w, err)
		return
	}
	s.notify()
	answer(w, http.StatusOK, map[string]bool{"removed": true})
}

func (s *Service) compare(w http.ResponseWriter, r *http.Request) {
	before, err := s.archive.read(r.URL.Query().Get("before"))
	if err != nil {
		failed(w, err)
		return
	}
	after, err := s.archive.read(r.URL.Query().Get("after"))
	if err != nil {
		failed(w, err)
		return
	}
	c, err := report.Compare(before, after)
	if err != nil {
		failed(w, err)
		return
	}
	answer(w, http.StatusOK, c.Table())
}

// download serves a file of a report. The HTML form brings its own policy, as strict as that of the
// service, which permits its one style sheet.
func (s *Service) download(w http.ResponseWriter, r *http.Request) {
	id, form, _ := strings.Cut(r.PathValue("file"), ".")
	path, err := s.archive.path(id, form)
	if err != nil {
		failed(w, err)
		return
	}
	if form == "html" {
		// The policy in the page's own meta element holds, because it has the hash of the style
		// sheet.
		w.Header().Del("Content-Security-Policy")
		w.Header().Set("X-Frame-Options", "DENY")
	} else {
		w.Header().Set("Content-Disposition", `attachment; filename="`+id+"."+form+`"`)
	}
	w.Header().Set("Content-Type", forms[form])
	http.ServeFile(w, r, path)
}
