package reconcile

// The events of a rollout, by their stable names. Each has the field rollout.
const (
	// RolloutPlanned: a rollout was formed; its members are frozen.
	RolloutPlanned = "rollout.planned"
	// RolloutBatchStarted: a batch, or the canary stage, begins.
	RolloutBatchStarted = "rollout.batch_started"
	// RolloutTenantStarted: a tenant was let go to its target.
	RolloutTenantStarted = "rollout.tenant_started"
	// RolloutTenantHealth: a tenant that reached its target is well, or is not.
	RolloutTenantHealth = "rollout.tenant_health_check"
	// RolloutTenantFailed: a tenant counts as failed.
	RolloutTenantFailed = "rollout.tenant_failed"
	// RolloutBatchCompleted: all of a batch are done and well for its bake.
	RolloutBatchCompleted = "rollout.batch_completed"
	// RolloutBreakerTripped: too many failed; nothing new is started.
	RolloutBreakerTripped = "rollout.circuit_breaker_tripped"
	// RolloutQuestion: a rollout waits for a person.
	RolloutQuestion = "rollout.question"
	// RolloutDecision: the answer to a question of a rollout is carried out.
	RolloutDecision = "rollout.decision_applied"
	// RolloutEnded: a rollout is over; outcome says how.
	RolloutEnded = "rollout.completed"
	// RolloutWentBack: a rollout is over and its tenants are back.
	RolloutWentBack = "rollout.rolled_back"
)
