package keychain_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitops-fleet/reconcile/drivers/keychain"
)

func TestFile(t *testing.T) {
	dir := t.TempDir()
	helper := "#!/bin/sh\ncat >/dev/null\necho '{\"ServerURL\":\"x\",\"Username\":\"helped\",\"Secret\":\"s\"}'\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	path := filepath.Join(dir, "registries.json")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// bWU6cGFzcw== is me:pass.
	write(`{"auths": {"registry.example.com": {"auth": "bWU6cGFzcw=="}, "https://index.docker.io/v1/": {"username": "hub", "password": "p"}},
	        "credHelpers": {"helped.example.com": "test"}}`)
	for repository, user := range map[string]string{
		"registry.example.com/app": "me",
		"helped.example.com/app":   "helped",
		"library/debian":           "hub",
		"other.example.com/app":    "",
	} {
		if got, err := resolve(t, path, repository); err != nil || got.Username != user {
			t.Errorf("%s: %q, %v; want %q", repository, got.Username, err, user)
		}
	}
	write(`{"auths": {"registry.example.com": {"username": "you", "password": "p"}}}`)
	if got, err := resolve(t, path, "registry.example.com/app"); err != nil || got.Username != "you" {
		t.Errorf("after a new login: %q, %v", got.Username, err)
	}
	write(`{"auths": `)
	if _, err := resolve(t, path, "registry.example.com/app"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken file: %v, want an error that names it", err)
	}
	if _, err := resolve(t, path+".missing", "registry.example.com/app"); err == nil {
		t.Error("a missing file is taken for no credentials")
	}
}

// Without a file they are those of the user.
func TestUser(t *testing.T) {
	if keychain.File("") != authn.Keychain(authn.DefaultKeychain) {
		t.Error("not the user's own")
	}
}

func resolve(t *testing.T, path, repository string) (authn.AuthConfig, error) {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := keychain.File(path).Resolve(repo)
	if err != nil {
		return authn.AuthConfig{}, err
	}
	c, err := auth.Authorization()
	if err != nil {
		t.Fatal(err)
	}
	return *c, nil
}
