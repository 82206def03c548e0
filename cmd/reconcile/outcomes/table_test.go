package outcomes

import "testing"

// row is one thing that goes wrong, or that a person does.
type row struct {
	name string
	play func(*testing.T)
}

// rows at a time: there are two cores, and much of a row is waiting.
const atATime = 3

// Each row asserts the right outcome (state, reason, exit status, what serves,
// that nothing else is touched) and the message a person meets.
func TestOutcomes(t *testing.T) {
	turn := make(chan struct{}, atATime)
	for _, r := range []row{
		{"another controller is at work", atWork},
		{"another controller's host", otherController},
		{"the journal is lost", lostJournal},
		{"the journal is lost, on Docker", lostJournalDocker},
		{"a tenant is held", held},
		{"a hold that ends by itself", heldUntil},
		{"a foreign container", foreignContainer},
		{"a foreign instance directory", foreignInstance},
		{"a foreign volume", foreignVolume},
		{"a foreign route", foreignRoute},
		{"a chosen port is taken", chosenPort},
		{"a fixed port is taken", fixedPort},
		{"the image is missing", imageMissing},
		{"the image is missing, on Docker", imageMissingDocker},
		{"the registry is down", registryDown},
		{"the registry is down, on Docker", registryDownDocker},
		{"an image of another platform", otherPlatform},
		{"an image of another platform, on Docker", otherPlatformDocker},
		{"the disk of the images is full", imagesFull},
		{"the disk of the images fills up", imagesFill},
		{"the disk of the volumes is full", volumesFull},
		{"the disk of the volumes fills up", volumesFill},
		{"the disk of the state is full", stateFull},
		{"health answered by another process", stranger},
		{"a tenant vanishes", vanished},
		{"more vanish than the budget", overBudget},
		{"the volume's source changes", changedSource},
		{"the volume's driver changes", changedDriver},
		{"the node changes", changedNode},
		{"the runtime changes", changedRuntime},
		{"a secret changes without a version", secret},
		{"a secret changes without a version, on Docker", secretDocker},
		{"a bad commit", badCommit},
		{"a policy that does not hold", badPolicy},
		{"an answer to another question", badAnswer},
		{"rewritten history", rewritten},
		{"the repository is down", remoteDown},
		{"a second pass", secondPass},
		{"a second pass, on Docker", secondPassDocker},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			turn <- struct{}{}
			defer func() { <-turn }()
			r.play(t)
		})
	}
}
