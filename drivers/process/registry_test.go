package process

import (
	"errors"
	"net/http"
	"testing"
)

type answers struct{}

func (answers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200}, nil
}

// Requests, credentials among them, leave this host only under TLS.
func TestHTTPSElsewhere(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://registry.example.com/v2/":     true,
		"http://registry.example.com/v2/":      false,
		"http://10.0.0.1:5000/v2/":             false,
		"http://registry.local/v2/":            false,
		"http://127.0.0.1.example.com:5000/v2": false,
		"http://127.0.0.1:5000/v2/":            true,
		"http://localhost:5000/v2/":            true,
		"http://[::1]:5000/v2/":                true,
	} {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (httpsElsewhere{answers{}}).RoundTrip(req); ok != (err == nil) || err != nil && !errors.Is(err, errPlain) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
