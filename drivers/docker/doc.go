// Package docker runs instances as containers of a Docker engine, over the
// engine's own API (1.40 or newer) on a unix socket.
//
// What a container is, is written on it: labels carry fleet, node, tenant,
// slot, service, digests and attempt, so that the engine alone can be asked
// what runs and why. The driver keeps two small files in its state directory
// (images it pulled, instances that are routed though they never restart) and
// the key of the digests of host inputs; losing them loses no instance.
//
// Each slot of a tenant has a bridge network of its own, in which a service is
// found by its name. Services of the tenant itself (plans.Shared) have one too
// and are joined to those of both slots. Host ports are the ones ordered, on
// loopback, never the engine's choice: a restarted container keeps them.
//
// Files of the plan are copied into the container between create and start.
// They live and die with it and leave nothing on the host; a container found
// created and not started is therefore filled again before it is started.
package docker
