package plans

import (
	"fmt"
	"maps"
)

// load fills in what a service's files hold: content from the commit, digests.
func (s *subject) load(p *place, service Service) Service {
	var files map[string]File
	for path, f := range Sorted(service.Files) {
		if f.Digest != "" {
			continue
		}
		if files == nil {
			files = maps.Clone(service.Files)
		}
		f.Digest = contentDigest([]byte(f.Text))
		if f.From != "" {
			content, why := s.r.content(f.From)
			if why != "" {
				s.wrong(p.at("files").at(path).at("from"), why, "paths are from the root of the plan")
			}
			f.Content, f.Digest = content.Content, content.Digest
		}
		files[path] = f
	}
	if files != nil {
		service.Files = files
	}
	return service
}

// MaxFile is the largest file a plan may place in an instance: it is kept in
// memory, in the journal, and sent to the runtime. 1 MiB is what Kubernetes
// allows a ConfigMap.
const MaxFile = 1 << 20

// content reads a file of the commit, once however many services name it.
func (r *resolver) content(path string) (File, string) {
	if f, ok := r.files[path]; ok {
		return f, ""
	}
	if !insideRoot(path) {
		return File{}, fmt.Sprintf("%q leaves the plan", path)
	}
	if r.o.File == nil {
		return File{}, fmt.Sprintf("read %s: files of the commit are not at hand", path)
	}
	content, err := r.o.File(path)
	switch {
	case err != nil:
		return File{}, fmt.Sprintf("read %s: %v", path, err)
	case len(content) > MaxFile:
		return File{}, fmt.Sprintf("%s has %d bytes; a file in a plan has at most %d", path, len(content), MaxFile)
	}
	if content == nil {
		content = []byte{}
	}
	f := File{Content: content, Digest: contentDigest(content)}
	r.files[path] = f
	return f, ""
}
