package reconcile

// The events a tenant's machine tells, by their stable names.
const (
	// TenantPlanned: the plan asks for another target than the one that runs.
	TenantPlanned = "tenant.planned"
	// TenantStarted: an attempt towards the target began.
	TenantStarted = "tenant.started"
	// TenantFrozen: a freeze hook brought a volume to rest for its snapshot.
	TenantFrozen = "tenant.frozen"
	// TenantThawed: what was frozen is written again; field rest is how long it was not.
	TenantThawed = "tenant.thawed"
	// TenantVerified: the new version proved itself by its own instances.
	TenantVerified = "tenant.verified"
	// TenantSwitched: requests are led to the new slot, confirmed by a marked request.
	TenantSwitched = "tenant.switched"
	// TenantBaked: the new version stayed healthy under real requests for its bake.
	TenantBaked = "tenant.baked"
	// TenantDrained: no request is open on the old slot; field cut counts those ended by us.
	TenantDrained = "tenant.drained"
	// TenantRetired: the old version is gone, and with it the way back to it.
	TenantRetired = "tenant.retired"
	// TenantFailed: an attempt failed; why, log and hint say how.
	TenantFailed = "tenant.failed"
	// TenantRestored: the tenant is again as it was before an attempt.
	TenantRestored = "tenant.restored"
	// TenantRerouted: the routes were changed in place, as the plan says.
	TenantRerouted = "tenant.rerouted"
	// TenantUpdated: a service upgraded alone, or the idle slot, is as the plan says.
	TenantUpdated = "tenant.updated"
	// TenantDrift: the host moved without the plan.
	TenantDrift = "tenant.drift"
	// TenantRepaired: what had moved without the plan is as recorded again.
	TenantRepaired = "tenant.repaired"
	// TenantFlapping: an instance started too often; it is not repaired any more.
	TenantFlapping = "tenant.flapping"
	// TenantHeld: a person's hold took effect.
	TenantHeld = "tenant.held"
	// TenantReleased: a person's hold or tombstone was taken back.
	TenantReleased = "tenant.released"
	// TenantUnknown: a part of the world this tenant needs cannot be seen.
	TenantUnknown = "tenant.unknown"
	// TenantSeen: all of the world this tenant needs can be seen again.
	TenantSeen = "tenant.seen"
	// TenantAdopted: what runs was found on the host and taken into an empty record.
	TenantAdopted = "tenant.adopted"
	// TenantRemoving: a tombstone, or an answer, takes the tenant away.
	TenantRemoving = "tenant.removing"
	// TenantRemoved: nothing of the tenant runs any more; its data stay for the grace.
	TenantRemoved = "tenant.removed"
	// TenantStuck: a dataset could not be destroyed, held, released or tuned; it is tried again with pauses.
	TenantStuck = "tenant.stuck"
	// TenantTuned: live data were given the quota and the like that the plan says.
	TenantTuned = "tenant.tuned"
	// TenantQuestion: a question waits for a person.
	TenantQuestion = "tenant.question"
	// TenantQuestionClosed: a question was answered, or is pointless by now.
	TenantQuestionClosed = "tenant.question_closed"
)

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
