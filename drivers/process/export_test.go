package process

import "time"

// SetHangs sets how long after its grace a shim counts as hanging.
func (r *Runtime) SetHangs(d time.Duration) { r.hangs = d }
