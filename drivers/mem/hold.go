package mem

import (
	"context"
	"slices"
)

// Hold implements drivers.Storage.
func (s *Storage) Hold(ctx context.Context, id string, snapshot, tag string) error {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartStorage, "hold", snapshot); err != nil {
		return err
	}
	d := h.data[snapshot]
	if d == nil || d.of == nil {
		return conflict("hold", snapshot, "there is no such snapshot")
	}
	if n, held := slices.BinarySearch(d.seen.Holds, tag); !held {
		d.seen.Holds = slices.Insert(slices.Clone(d.seen.Holds), n, tag)
	}
	return nil
}

// Release implements drivers.Storage.
func (s *Storage) Release(ctx context.Context, id string, snapshot, tag string) error {
	h := s.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.write(ctx, PartStorage, "release", snapshot); err != nil {
		return err
	}
	if d := h.data[snapshot]; d != nil {
		d.seen.Holds = slices.DeleteFunc(slices.Clone(d.seen.Holds), func(t string) bool { return t == tag })
	}
	return nil
}
