package stage

import (
	"context"
	"encoding/json"
	"fmt"
)

// Status is the part of `reconcile status -o json` that stories look at.
type Status struct {
	Commit  string   `json:"commit"`
	Tenants []Tenant `json:"tenants"`
}

// Tenant is one tenant of a Status.
type Tenant struct {
	Name       string    `json:"name"`
	State      string    `json:"state"`
	Reason     string    `json:"reason"`
	ActiveSlot string    `json:"activeSlot"`
	Generation string    `json:"generation"`
	Services   []Service `json:"services"`
	Why        string    `json:"why"`
	Next       string    `json:"next"`
}

// Service is one service of a Tenant.
type Service struct {
	Name    string `json:"name"`
	Image   string `json:"image"`
	Running bool   `json:"running"`
	Healthy bool   `json:"healthy"`
	Slot    string `json:"slot"`
	Since   string `json:"since"`
}

// Tenant finds a tenant by name; the zero Tenant if there is none.
func (s Status) Tenant(name string) Tenant {
	for _, t := range s.Tenants {
		if t.Name == name {
			return t
		}
	}
	return Tenant{}
}

// Status asks reconcile what it thinks of its tenants.
func (s *Stage) Status(ctx context.Context) (Status, error) {
	var st Status
	r, err := s.Run(ctx, "status", "-o", "json")
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal([]byte(r.Stdout), &st); err != nil {
		return st, fmt.Errorf("status: %w\n%s%s", err, r.Stdout, r.Stderr)
	}
	return st, nil
}
