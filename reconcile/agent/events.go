package agent

// The events the agent tells of itself and of what its probes find; those of a
// tenant's machine are in package reconcile. docs/events.md lists all.
const (
	// PlanAccepted: a commit's plan is in force.
	PlanAccepted = "plan.accepted"
	// SourceUnreadable: the plan repository cannot be read; the last plan stays in force.
	SourceUnreadable = "source.unreadable"
	// AgentInterrupted: an action was under way when the agent before this one ended.
	AgentInterrupted = "agent.interrupted"
	// DecisionApplied: the answer of a decision in the plan was taken.
	DecisionApplied = "decision.applied"
	// DecisionIgnored: a decision answers a question otherwise than it was answered before.
	DecisionIgnored = "decision.ignored"
	// DecisionLocal: a question was answered, or something ordered, on this host and not in git.
	DecisionLocal = "decision.local"
	// InstanceHealthy: the probes of an instance say that it is well.
	InstanceHealthy = "instance.healthy"
	// InstanceFailing: the probes of an instance say that it is not well.
	InstanceFailing = "instance.failing"
	// InstanceUnproven: an instance can be probed again and has no verdict yet.
	InstanceUnproven = "instance.unproven"
	// InstanceUnseen: an instance cannot be probed: neither well nor not.
	InstanceUnseen = "instance.unseen"
)
