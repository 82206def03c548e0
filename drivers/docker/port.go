package docker

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

var portInText = regexp.MustCompile(`(?:tcp4?6?|udp4?6?|for) (\[?[0-9a-fA-F.:]*\]?):(\d+)`)

// explainPort says which port of which service is taken, and by whom where
// that can be seen, if err is the engine's word for that.
func explainPort(err error, want plans.Instance) error {
	text := strings.ToLower(err.Error())
	if !strings.Contains(text, "address already in use") && !strings.Contains(text, "port is already allocated") {
		return err
	}
	found := portInText.FindStringSubmatch(err.Error())
	if found == nil {
		return err
	}
	port, _ := strconv.Atoi(found[2])
	by := ""
	if owner := listenerOn(port); owner.known() {
		by = " by " + owner.String()
	}
	return observed.Wrap("start", want.Key.String(), observed.Refused,
		fmt.Errorf("port %d is taken%s: %w", port, by, err),
		fmt.Sprintf("look who listens (ss -ltnp sport = :%d); take that process away, or fix another port under slots.%s.ports", port, want.Slot))
}
