package shrink

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Stories are cases that were once broken, each in a file of its own: lines that
// begin with # say what was wrong, the other one is how the test is told to make
// the run again. What was mended stays mended.
type Stories string // the folder

// Story is one of them.
type Story struct {
	Name string
	Why  string
	Args map[string]string // by flag, without its dash
}

// Keep writes a case into its file; args are those String of a case gives.
func (dir Stories) Keep(name, why, args string) error {
	if err := os.MkdirAll(string(dir), 0o755); err != nil {
		return fmt.Errorf("keep story %s: %w", name, err)
	}
	text := fmt.Sprintf("# %s\n%s\n", strings.ReplaceAll(why, "\n", "\n# "), args)
	if err := os.WriteFile(filepath.Join(string(dir), name+".txt"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("keep story %s: %w", name, err)
	}
	return nil
}

// All reads them, in the order of their names.
func (dir Stories) All() ([]Story, error) {
	files, err := filepath.Glob(filepath.Join(string(dir), "*.txt"))
	if err != nil {
		return nil, fmt.Errorf("list stories: %w", err)
	}
	var out []Story
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read story: %w", err)
		}
		s := Story{Name: strings.TrimSuffix(filepath.Base(file), ".txt"), Args: map[string]string{}}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if why, ok := strings.CutPrefix(line, "#"); ok {
				s.Why = strings.TrimSpace(s.Why + " " + strings.TrimSpace(why))
				continue
			}
			words := strings.Fields(line)
			for i := 0; i+1 < len(words); i += 2 {
				s.Args[strings.TrimPrefix(words[i], "-")] = words[i+1]
			}
		}
		if s.Args["seed"] == "" {
			return nil, fmt.Errorf("read story %s: it names no seed", s.Name)
		}
		out = append(out, s)
	}
	return out, nil
}

// Number is an argument that is a number, 0 if it is left out.
func (s Story) Number(arg string) (uint64, error) {
	if s.Args[arg] == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s.Args[arg], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read story %s: -%s: %w", s.Name, arg, err)
	}
	return n, nil
}

// List is an argument that is a list by comma.
func (s Story) List(arg string) []string {
	if s.Args[arg] == "" {
		return nil
	}
	return strings.Split(s.Args[arg], ",")
}
