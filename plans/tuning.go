package plans

import "strings"

// Tuning is what the plan asks of live data that can change while they are used,
// as sorted text for a mark: "compression=zstd,quota=50G". Of a block device it
// lacks quota and recordSize, which are fixed when one is made.
func (v Volume) Tuning() string {
	fields := map[string]string{"compression": v.Compression, "reservation": v.Reservation}
	if v.Size == "" {
		fields["quota"], fields["recordSize"] = v.Quota, v.RecordSize
	}
	var set []string
	for field, value := range Sorted(fields) {
		if value != "" {
			set = append(set, field+"="+value)
		}
	}
	return strings.Join(set, ",")
}
