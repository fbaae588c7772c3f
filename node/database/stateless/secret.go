package stateless

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

var (
	userinfo  = regexp.MustCompile(`://[^/?#\s]*@`)
	passwords = regexp.MustCompile(`(?i)((?:ssl)?password=)('[^']*'|[^&\s]+)`)
)

// Scrubber removes one store's credentials from texts. The zero value removes only what looks like
// credentials in a URL.
type Scrubber struct {
	secrets []string
}

// NewScrubber returns a scrubber for the given secrets, in all the spellings in which a driver may
// print them.
func NewScrubber(secrets ...string) Scrubber {
	var s Scrubber
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		s.secrets = append(s.secrets, secret, url.QueryEscape(secret), url.PathEscape(secret), url.UserPassword("", secret).String()[1:])
	}
	return s
}

// text returns the text without credentials.
func (s Scrubber) text(t string) string {
	for _, secret := range s.secrets {
		t = strings.ReplaceAll(t, secret, "***")
	}
	t = userinfo.ReplaceAllString(t, "://***@")
	return passwords.ReplaceAllString(t, "${1}***")
}

// Error returns err with a text without credentials. The result still matches what err matches.
func (s Scrubber) Error(err error) error {
	if err == nil {
		return nil
	}
	if t := s.text(err.Error()); t != err.Error() {
		return &scrubbed{text: t, err: err}
	}
	return err
}

type scrubbed struct {
	text string
	err  error
}

func (e *scrubbed) Error() string { return e.text }

// Is and As reach the cause. There is no Unwrap, so that no caller prints the cause's own text by
// walking the chain.
func (e *scrubbed) Is(target error) bool { return errors.Is(e.err, target) }
func (e *scrubbed) As(target any) bool   { return errors.As(e.err, target) }
