package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// pinLimit bounds asking a registry for one tag.
const pinLimit = 30 * time.Second

// pinned is an image and the digest its tag stands for now.
type pinned struct {
	Image  string `json:"image"`  // as given
	Pinned string `json:"pinned"` // with the digest
}

// pinResult is what pin says, as JSON.
type pinResult struct {
	File   string   `json:"file,omitempty"` // that was written
	Images []pinned `json:"images"`
}

func (p *program) pin() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "pin IMAGE… | --write FILE",
		Short: "Print the digest a tag stands for, or write it into a plan",
		Long: `pin asks the registry what a tag stands for now, and prints the image with its
digest, as plans name it: the digest of the index where there is one, so that it
holds for every platform. A digest that is given already is asked for anew.

--write FILE puts the digest behind every bare tag of a plan file, and leaves the
rest of the file as it is. Credentials are those Docker keeps (docker login);
registries on loopback are asked by plain http.`,
		Example: `  reconcile pin registry.example.com/app:1.26
  reconcile pin --write plans/fleet.yaml && git diff
  reconcile pin app:1.26 -o json | jq -r .images[0].pinned`,
		Args: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 0) == (file == "") {
				return usage{error: errors.New("give images, or --write and a file"), hint: helpOf(cmd)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			if file != "" {
				return p.pinFile(cmd.Context(), set, file)
			}
			return p.pinImages(cmd.Context(), set, args)
		},
	}
	cmd.Flags().StringVar(&file, "write", "", "write digests behind the bare tags of this plan file")
	return cmd
}

func (p *program) pinImages(ctx context.Context, set settings, images []string) error {
	res := pinResult{Images: []pinned{}}
	for _, image := range images {
		full, err := p.resolve(ctx, image)
		if err != nil {
			return err
		}
		res.Images = append(res.Images, pinned{image, full})
		if set.Output != "json" {
			fmt.Fprintln(p.stdout, full)
		}
	}
	if set.Output == "json" {
		return p.json(res)
	}
	return nil
}

// pinFile pins every bare tag of a file, or none if one cannot be.
func (p *program) pinFile(ctx context.Context, set settings, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return observed.Wrap("read plan", file, observed.Refused, errors.Unwrap(err), "give --write the file of a plan")
	}
	bare, err := bareImages(text)
	if err != nil {
		return observed.Wrap("read plan", file, observed.Refused, err, "`reconcile validate` says what is wrong with it")
	}
	res := pinResult{File: file, Images: []pinned{}}
	known := map[string]string{}
	for i := range bare {
		image := bare[i].value
		if known[image] == "" {
			if known[image], err = p.resolve(ctx, image); err != nil {
				return err
			}
			res.Images = append(res.Images, pinned{image, known[image]})
		}
		bare[i].pinned = known[image]
	}
	if len(bare) > 0 {
		if err := rewrite(file, replaceImages(text, bare)); err != nil {
			return err
		}
	}
	if set.Output == "json" {
		return p.json(res)
	}
	for _, b := range bare {
		fmt.Fprintf(p.stdout, "%s:%d: %s\n", file, b.line, b.pinned)
	}
	if len(bare) == 0 {
		fmt.Fprintf(p.stdout, "%s: every image has its digest\n", file)
	}
	return nil
}

// resolve asks the registry for the digest of an image's tag.
func (p *program) resolve(ctx context.Context, image string) (string, error) {
	fail := func(class observed.Class, err error, hint string) (string, error) {
		return "", observed.Wrap("pin", image, class, err, hint)
	}
	plain, _, _ := strings.Cut(image, "@")
	tag, err := name.NewTag(plain)
	if err != nil {
		return fail(observed.Refused, err, "give an image such as registry.example.com/app:1.26")
	}
	defer p.patience("asking " + tag.RegistryStr())()
	ctx, cancel := context.WithTimeout(ctx, pinLimit)
	defer cancel()
	desc, err := remote.Head(tag, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		// Some registries answer no HEAD.
		var got *remote.Descriptor
		if got, err = remote.Get(tag, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err == nil {
			desc = &got.Descriptor
		}
	}
	var answer *transport.Error
	switch {
	case err == nil:
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return fail(observed.Refused, fmt.Errorf("%s has no tag %s", tag.Repository, tag.TagStr()), "push it first, or mind the spelling")
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		return fail(observed.Refused, fmt.Errorf("%s denies it: %s", tag.RegistryStr(), http.StatusText(answer.StatusCode)), "log in with `docker login "+tag.RegistryStr()+"`, or mind the spelling")
	default:
		return fail(observed.Environment, err, "is "+tag.RegistryStr()+" reachable from here?")
	}
	if !strings.HasSuffix(plain, ":"+tag.TagStr()) {
		plain += ":" + tag.TagStr()
	}
	return plain + "@" + desc.Digest.String(), nil
}
