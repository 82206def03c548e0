package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// rolloutRoutes answers what the verbs about rollouts and questions ask.
func (a *Agent) rolloutRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/rollouts", func(w http.ResponseWriter, r *http.Request) { answer(w, a.Rollouts(), nil) })
	mux.HandleFunc("GET /api/rollouts/{id}", func(w http.ResponseWriter, r *http.Request) {
		v, err := a.Rollout(r.PathValue("id"))
		answer(w, v, err)
	})
	mux.HandleFunc("POST /api/rollouts/{id}/rollback", func(w http.ResponseWriter, r *http.Request) {
		d, err := decisionIn(r)
		if err == nil {
			err = a.RollbackRollout(r.PathValue("id"), d.Reason, d.By)
		}
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /api/answer", func(w http.ResponseWriter, r *http.Request) {
		d, err := decisionIn(r)
		if err == nil {
			err = a.Answer(d)
		}
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /api/retry/{tenant}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, a.Retry(r.PathValue("tenant")))
	})
}

func decisionIn(r *http.Request) (d LocalDecision, err error) {
	if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
		return d, observed.Wrap("read answer", "", observed.Refused, err, "use the same version of reconcile as the daemon")
	}
	return d, nil
}

// Rollouts asks for the rollouts that are remembered; see Agent.Rollouts.
func (c *Client) Rollouts(ctx context.Context) (list []RolloutView, err error) {
	err = c.call(ctx, http.MethodGet, "/api/rollouts", nil, &list)
	return list, err
}

// Rollout asks for one rollout with its members; see Agent.Rollout.
func (c *Client) Rollout(ctx context.Context, id string) (v RolloutView, err error) {
	err = c.call(ctx, http.MethodGet, "/api/rollouts/"+url.PathEscape(id), nil, &v)
	return v, err
}

// Answer answers a question on this host's word; see Agent.Answer.
func (c *Client) Answer(ctx context.Context, d LocalDecision) error {
	return c.post(ctx, "/api/answer", d)
}

// RollbackRollout takes a rollout back; see Agent.RollbackRollout.
func (c *Client) RollbackRollout(ctx context.Context, id, reason, by string) error {
	return c.post(ctx, "/api/rollouts/"+url.PathEscape(id)+"/rollback", LocalDecision{Reason: reason, By: by})
}

// Retry lets a tenant try again; see Agent.Retry.
func (c *Client) Retry(ctx context.Context, tenant string) error {
	return c.call(ctx, http.MethodPost, "/api/retry/"+url.PathEscape(tenant), nil, &struct{}{})
}

// post sends a value of which only the error is of interest.
func (c *Client) post(ctx context.Context, path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	body, err := c.send(ctx, http.MethodPost, path, nil, bytes.NewReader(text))
	if err != nil {
		return err
	}
	return body.Close()
}
