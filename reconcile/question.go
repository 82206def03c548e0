package reconcile

import (
	"maps"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// ask puts a question and returns the answer in force, "" while there is none.
// Its id holds a digest of what is asked about, so that an old decision can
// never answer a new question. Only the first question of a step is reported.
func (m *machine) ask(kind, text string, answers map[string]string, about ...any) string {
	id := m.in.Name + "." + kind + "-" + digest(8, append([]any{m.env.Fleet, m.in.Name, kind}, about...)...)
	return m.put(id, text, answers)
}

// unowned says that what is on this host is not known to be ours: the journal
// began empty beside it, or it belongs to another controller.
func (m *machine) unowned() bool { return m.env.Empty || m.env.OtherController != "" }

// askAdopt asks whether what is on this host is ours, and says that nothing
// goes on before that is answered.
func (m *machine) askAdopt() {
	m.putAdopt()
	m.sayUnowned()
}

// putAdopt puts the one question of a host whose objects its journal does not
// know: the same for all its tenants.
func (m *machine) putAdopt() {
	m.put(AdoptID(m.env.Fleet, m.env.Node, m.env.OtherController),
		m.unownedText()+"; they are served and repaired, and nothing new is started",
		map[string]string{"adopt": "take over what is here as ours"})
}

func (m *machine) sayUnowned() {
	m.say(HeldBack, Blocked, m.unownedText(), "waits for the answer adopt")
}

func (m *machine) unownedText() string {
	if m.env.OtherController != "" {
		return "the route table belongs to controller " + m.env.OtherController
	}
	return "objects of this fleet are on this host and the journal does not know them"
}

// AdoptID is the id of the question a host asks when it finds objects it does
// not know, or another controller's.
func AdoptID(fleet, node, other string) string {
	return "adopt-" + digest(8, fleet, node, other)
}

func (m *machine) put(id, text string, answers map[string]string) string {
	if word, ok := m.in.Answers[id]; ok {
		if _, allowed := answers[word]; allowed {
			m.heard = append(m.heard, id)
			return word
		}
	}
	if m.report.Question != nil {
		return ""
	}
	if m.rec.Asked != id {
		m.closeQuestion()
		m.rec.Asked, m.rec.AskedAt = id, m.now
		m.event(TenantQuestion, text, "question", id, "answers", words(answers))
	}
	m.report.Question = &Question{ID: id, Since: m.rec.AskedAt, Text: text, Answers: maps.Clone(answers)}
	return ""
}

// closeQuestion tells that the question asked last waits no more.
func (m *machine) closeQuestion() {
	if m.rec.Asked == "" {
		return
	}
	m.event(TenantQuestionClosed, m.in.Name+": the question "+m.rec.Asked+" waits no more", "question", m.rec.Asked)
	m.rec.Asked, m.rec.AskedAt = "", time.Time{}
}

// retryAnswer asks whether a withheld target may be tried again.
func (m *machine) retryAnswer(w *Withheld) bool {
	return m.ask("retry", m.in.Name+" is held back from "+targetText(w.Target)+": "+w.Why,
		map[string]string{"retry": "try the same target again"}, w.Attempt, w.Target) == "retry"
}

// asksBack says that a way back waits for a word on the writes it would leave.
func (m *machine) asksBack() bool {
	if !m.rec.Current.Wrote || m.onBack() != plans.Stay {
		return false
	}
	if _, told := m.leftBehind(); told && m.backAnswer() != "" {
		return false
	}
	m.say(Waiting, "", "going back to "+short(m.rec.Kept.Generation)+" would leave writes behind", "waits for the answer to the question")
	return true
}

// backAnswer asks what happens to writes a person's way back would leave.
func (m *machine) backAnswer() string {
	k := m.rec.Kept
	left, told := m.leftBehind()
	if !told {
		return ""
	}
	return m.ask("data-back", "the plan takes "+m.in.Name+" back to "+short(k.Generation)+", and "+short(m.rec.Current.Generation)+
		" "+m.wrote()+": "+left,
		map[string]string{
			plans.Carry:   "serve the old version on the data as they are now, by a second switch with a hold",
			plans.Discard: "serve the old version on its own data; " + left + ", is kept aside",
		}, k.Attempt, m.rec.Current.Attempt)
}

// wrote says how it is known of what serves that it was written to.
func (m *machine) wrote() string {
	if m.uncounted(m.rec.Current, m.rec.Current.Settled) {
		return "may have been written to, which nobody counts"
	}
	return "has answered writes"
}

// words are the keys of m as an event lists them.
func words(m map[string]string) string {
	var list []string
	for w := range plans.Sorted(m) {
		list = append(list, w)
	}
	return strings.Join(list, ",")
}
