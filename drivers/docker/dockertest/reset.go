package dockertest

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/client"
)

// Reset removes every container, network and image of the engine.
func (e *Engine) Reset(ctx context.Context) error {
	cli, err := e.Client()
	if err != nil {
		return err
	}
	defer cli.Close()
	list, err := cli.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return fmt.Errorf("reset engine: %w", err)
	}
	var errs []error
	for _, c := range list.Items {
		_, err := cli.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		errs = append(errs, err)
	}
	nets, err := cli.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("type", "custom")})
	if err != nil {
		return fmt.Errorf("reset engine: %w", err)
	}
	for _, n := range nets.Items {
		_, err := cli.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		errs = append(errs, err)
	}
	images, err := cli.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return fmt.Errorf("reset engine: %w", err)
	}
	for _, i := range images.Items {
		_, err := cli.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("reset engine: %w", err)
	}
	return nil
}
