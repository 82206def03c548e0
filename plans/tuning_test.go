package plans_test

import (
	"testing"

	"github.com/gitops-fleet/reconcile/plans"
)

func TestTuning(t *testing.T) {
	all := plans.Volume{Quota: "50G", Reservation: "1G", Compression: "zstd", RecordSize: "16K"}
	for _, c := range []struct {
		volume plans.Volume
		want   string
	}{
		{plans.Volume{Source: "tank/a", Owner: "1:1"}, ""},
		{plans.Volume{Quota: "50G"}, "quota=50G"},
		{all, "compression=zstd,quota=50G,recordSize=16K,reservation=1G"},
		{plans.Volume{Size: "1T", Reservation: "1G", Compression: "lz4", RecordSize: "16K"}, "compression=lz4,reservation=1G"},
	} {
		if got := c.volume.Tuning(); got != c.want {
			t.Errorf("%+v is tuned by %q, want %q", c.volume, got, c.want)
		}
	}
}
