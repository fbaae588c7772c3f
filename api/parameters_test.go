package api

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"viakv/api/kv"
)

// FuzzParameters compares the parser of a query with that of net/url. What is accepted, net/url
// reads alike; what net/url cannot read is refused.
func FuzzParameters(f *testing.F) {
	for _, q := range []string{"k=a&v=b", "k=%zz", "k=%", "k=%4", "k=a&k=b", "k=+%2B", "v=%F0%9F%98%80&k=%00", "k", "&&=&k==", "%6b=a", "k=a;v=b", "k=\xff", "k=" + strings.Repeat("a", 65)} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		// net/url refuses a semicolon anywhere, and knows no fragments in a query.
		if strings.ContainsAny(q, "#;") {
			t.Skip()
		}
		x := &exchange{}
		x.parameters.parse([]byte(q))
		key, keyErr := x.key()
		value, valueErr := x.value()
		want, _ := url.ParseQuery(q) // ParseQuery leaves out pairs that are badly encoded
		check := func(name string, got []byte, err error, least, most int) {
			raw := strings.Count("&"+q, "&"+name+"=") + strings.Count("&"+q+"&", "&"+name+"&")
			read := want[name]
			switch {
			case err == nil && (len(read) != 1 || read[0] != string(got)):
				t.Errorf("%q: %s is %q, net/url reads %q", q, name, got, read)
			case err == nil && (!utf8.Valid(got) || utf8.RuneCount(got) < least || utf8.RuneCount(got) > most):
				t.Errorf("%q: %s is %q", q, name, got)
			case err != nil && len(read) == 1 && raw <= 1 && utf8.ValidString(read[0]) && utf8.RuneCountInString(read[0]) >= least && utf8.RuneCountInString(read[0]) <= most &&
				!strings.Contains(q, "%"):
				t.Errorf("%q: %s: %v, net/url reads %q", q, name, err, read)
			}
		}
		check("k", key, keyErr, 1, kv.MaxKeyCharacters)
		check("v", value, valueErr, 0, kv.MaxValueCharacters)
	})
}

func FuzzTokensAndOrigins(f *testing.F) {
	f.Add("read 0123456789abcdef name", "https://a.example")
	f.Add("admin", "null")
	f.Add("write", "//://0")
	f.Add("write", "a://%800")
	f.Fuzz(func(t *testing.T, line, origin string) {
		if fields := strings.Fields(line); len(fields) > 0 {
			if e, err := parseToken(fields); err == nil && (e.role < roleRead || e.role > roleAdmin || len(fields[1]) < minToken) {
				t.Errorf("%q gives %v", line, e)
			}
		}
		if a := originAuthority([]byte(origin)); a != nil {
			if u, err := url.Parse(origin); err == nil && u.Host != "" && !strings.EqualFold(u.Host, string(a)) {
				t.Errorf("%q: authority %q, net/url says %q", origin, a, u.Host)
			}
		}
	})
}
