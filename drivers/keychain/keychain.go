// Package keychain finds the credentials of registries where Docker keeps them.
package keychain

import (
	"os"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// File returns the credentials in a config.json as docker login writes it, its
// credential helpers included. The file is read anew each time, so that a new
// login counts at once; one that cannot be read is an error and not nobody. ""
// are the credentials of the user this process runs as (DOCKER_CONFIG, or
// ~/.docker).
func File(path string) authn.Keychain {
	if path == "" {
		return authn.DefaultKeychain
	}
	return file(path)
}

type file string

// Resolve implements authn.Keychain.
func (f file) Resolve(target authn.Resource) (authn.Authenticator, error) {
	r, err := os.Open(string(f))
	if err != nil {
		return nil, f.problem(err)
	}
	defer r.Close()
	known, err := config.LoadFromReader(r)
	if err != nil {
		return nil, f.problem(err)
	}
	for _, key := range []string{target.String(), registryKey(target)} {
		c, err := known.GetAuthConfig(key)
		if err != nil {
			return nil, f.problem(err)
		}
		c.ServerAddress = "" // always set, also where nothing is known
		if c != (types.AuthConfig{}) {
			return authn.FromConfig(authn.AuthConfig{
				Username: c.Username, Password: c.Password, Auth: c.Auth,
				IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
			}), nil
		}
	}
	return authn.Anonymous, nil
}

func (f file) problem(err error) error {
	return observed.Wrap("read credentials", string(f), observed.Refused, err, "drivers in this host's configuration names this file; docker login --config writes one")
}

// registryKey is what docker login files the registry under.
func registryKey(target authn.Resource) string {
	if r := target.RegistryStr(); r != name.DefaultRegistry {
		return r
	}
	return authn.DefaultAuthKey
}
