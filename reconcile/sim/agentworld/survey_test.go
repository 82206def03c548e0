package agentworld

import (
	"flag"
	"testing"
	"testing/synctest"
)

var survey = flag.Int("survey", 0, "tell what is broken in so many seeds")

// TestSurvey tells of every seed what it breaks.
func TestSurvey(t *testing.T) {
	for s := *first; s < *first+uint64(*survey); s++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, s)
			w.live()
			w.rest()
			if v := w.check.first(); v != nil {
				t.Logf("%d: %.300s", s, v.Error())
			}
			w.cancel()
			<-w.ended
		})
	}
}
