package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Pull implements drivers.Runtime. The engine checks the content against the
// digest it was asked for; that it now has the image under that digest, and
// for its own platform, is read back. An image that is there costs no network.
func (r *Runtime) Pull(ctx context.Context, ref string, progress func(drivers.Progress)) error {
	want := reference(ref)
	if digestOf(want) == "" {
		return refused("pull", ref, "it has no digest", "pin it: repository@sha256:…")
	}
	got, err := r.imageOf(ctx, want)
	if err != nil {
		return r.problem("pull", ref, err)
	}
	if got == nil {
		release, err := r.claim(ctx, ref)
		if err != nil {
			return r.problem("pull", ref, err)
		}
		defer release()
		if err := r.fetch(ctx, want, progress); err != nil {
			return r.problem("pull", ref, err)
		}
		if got, err = r.imageOf(ctx, want); err != nil {
			return r.problem("pull", ref, err)
		}
	}
	host, err := r.enginePlatform(ctx)
	switch {
	case err != nil:
		return r.problem("pull", ref, err)
	case got == nil || !hasDigest(got.RepoDigests, digestOf(want)):
		return refused("pull", ref, "the engine pulled it and does not have it under its digest", "look at docker image ls --digests")
	case !host.runs(got.Os, got.Architecture):
		return refused("pull", ref, fmt.Sprintf("the image is for %s/%s, this host is %s/%s", got.Os, got.Architecture, host.os, host.arch),
			"build and push it for "+host.os+"/"+host.arch)
	}
	return nil
}

// fetch has the engine pull the image, and remembers that it was we who did.
// It is written down before, so that a crash leaves no image that nobody
// removes.
func (r *Runtime) fetch(ctx context.Context, ref string, progress func(drivers.Progress)) error {
	auth, err := r.credentials(ref)
	if err != nil {
		return err
	}
	if err := r.state.mark(setPulled, ref, true); err != nil {
		return err
	}
	stream, err := r.cli.ImagePull(ctx, ref, client.ImagePullOptions{RegistryAuth: auth})
	if err != nil {
		return err
	}
	sum := newLayers(ref, progress)
	for m, err := range stream.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		if m.Error != nil {
			return errors.New(m.Error.Message)
		}
		sum.note(m)
	}
	return ctx.Err()
}

// credentialsHint says where credentials are looked for.
const credentialsHint = "look at drivers.docker.credentials of this host's configuration, else at ~/.docker/config.json, and at its credential helpers"

// credentials returns what Docker itself would send to the registry of ref: from
// the config.json it is given, its helpers included.
func (r *Runtime) credentials(ref string) (string, error) {
	parsed, err := name.NewDigest(ref, name.WeakValidation)
	if err != nil {
		return "", observed.Wrap("pull", ref, observed.Refused, err, "")
	}
	auth, err := r.keys.Resolve(parsed.Context())
	if err != nil {
		return "", observed.Wrap("pull", ref, observed.Refused, fmt.Errorf("read registry credentials: %w", err), credentialsHint)
	}
	if auth == authn.Anonymous {
		return "", nil
	}
	c, err := auth.Authorization()
	if err != nil {
		return "", observed.Wrap("pull", ref, observed.Refused, fmt.Errorf("read registry credentials: %w", err), credentialsHint)
	}
	return authconfig.Encode(registry.AuthConfig{
		Username: c.Username, Password: c.Password, Auth: c.Auth,
		IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
		ServerAddress: parsed.Context().RegistryStr(),
	})
}

// layers sums up the download of an image's layers.
type layers struct {
	image  string
	tell   func(drivers.Progress)
	byID   map[string]jsonstream.Progress
	telled drivers.Progress
}

func newLayers(image string, tell func(drivers.Progress)) *layers {
	return &layers{image: image, tell: tell, byID: map[string]jsonstream.Progress{}}
}

// note takes one message of the engine. Unpacking counts bytes again and is
// left out.
func (l *layers) note(m jsonstream.Message) {
	if l.tell == nil || m.ID == "" {
		return
	}
	p := l.byID[m.ID]
	switch {
	case m.Status == "Downloading" && m.Progress != nil:
		p.Current, p.Total = m.Progress.Current, m.Progress.Total
	case m.Status == "Download complete" || m.Status == "Pull complete":
		p.Current = p.Total
	default:
		return
	}
	l.byID[m.ID] = p
	now := drivers.Progress{What: l.image}
	for _, layer := range l.byID {
		now.Done += layer.Current
		now.Total += layer.Total
	}
	if now != l.telled {
		l.telled = now
		l.tell(now)
	}
}
