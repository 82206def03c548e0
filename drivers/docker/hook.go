package docker

import "net/http"

// requestHook tells each of the method and path of every request.
func requestHook(each func(method, path string)) func(*http.Request) error {
	return func(req *http.Request) error {
		each(req.Method, req.URL.Path)
		return nil
	}
}
