package journal

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/gitops-fleet/reconcile/plans"
)

// Format is the version of what this program writes. A journal of the version
// before is read and brought up to it; one of a later version is refused.
const Format = 2

// upgrades[n] brings a journal of version n to n+1, in the opening transaction.
var upgrades = map[int]func(*bolt.Tx) error{
	// 0 had no format mark; its buckets are those of 1.
	0: func(*bolt.Tx) error { return nil },
	1: portByPort,
}

// portByPort takes the ledger of host ports apart: 1 had it in one value, which
// every port that was given out wrote anew.
func portByPort(tx *bolt.Tx) error {
	meta := tx.Bucket([]byte(Meta))
	raw := meta.Get([]byte("ports"))
	if raw == nil {
		return nil
	}
	var ledger struct {
		Leases map[string]json.RawMessage `json:"leases"`
	}
	if err := json.Unmarshal(raw, &ledger); err != nil {
		return fmt.Errorf("read port ledger: %w", err)
	}
	for port, lease := range plans.Sorted(ledger.Leases) {
		if err := meta.Put([]byte("port/"+port), lease); err != nil {
			return err
		}
	}
	return meta.Delete([]byte("ports"))
}

func upgrade(tx *bolt.Tx, fresh bool) error {
	meta, have := tx.Bucket([]byte(Meta)), 0
	if fresh {
		have = Format
	}
	if raw := meta.Get([]byte("format")); raw != nil {
		if err := json.Unmarshal(raw, &have); err != nil {
			return fmt.Errorf("read format: %w", err)
		}
	}
	if have > Format {
		return fmt.Errorf("%w: it is %d, this program reads up to %d; run the newer reconcile", ErrNewer, have, Format)
	}
	for ; have < Format; have++ {
		step, ok := upgrades[have]
		if !ok {
			return fmt.Errorf("journal format %d is too old: run the release before this one first", have)
		}
		if err := step(tx); err != nil {
			return fmt.Errorf("upgrade journal from format %d: %w", have, err)
		}
	}
	raw, err := json.Marshal(Format)
	if err != nil {
		return err
	}
	return meta.Put([]byte("format"), raw)
}
