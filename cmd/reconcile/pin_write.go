package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// bareImage is an image without a digest, and where it is written.
type bareImage struct {
	value, pinned string
	line          int
	from, to      int // of the value, in bytes of the file
}

// bareImages finds the images of services that have no digest.
func bareImages(text []byte) ([]bareImage, error) {
	lines := lineStarts(text)
	var out []bareImage
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		for _, n := range imagesOf(&doc, nil) {
			b, err := locate(text, lines, n)
			if err != nil {
				return nil, err
			}
			out = append(out, b)
		}
	}
}

// imagesOf returns the bare values of services.NAME.image below n.
func imagesOf(n *yaml.Node, path []string) (out []*yaml.Node) {
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			out = append(out, imagesOf(c, path)...)
		}
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i].Value, n.Content[i+1]
		ours := key == "image" && len(path) > 1 && path[len(path)-2] == "services"
		if ours && v.Kind == yaml.ScalarNode && v.ShortTag() == "!!str" && v.Value != "" && !strings.Contains(v.Value, "@") {
			out = append(out, v)
		}
		out = append(out, imagesOf(v, append(slices.Clip(path), key))...)
	}
	return out
}

// locate finds a value's bytes in the file.
func locate(text []byte, lines []int, n *yaml.Node) (bareImage, error) {
	b := bareImage{value: n.Value, line: n.Line}
	if n.Line < 1 || n.Line > len(lines) {
		return b, fmt.Errorf("line %d: image %s is not where the parser says", n.Line, n.Value)
	}
	end := len(text)
	if n.Line < len(lines) {
		end = lines[n.Line]
	}
	// The parser counts characters.
	runes := []rune(string(text[lines[n.Line-1]:end]))
	b.from = lines[n.Line-1] + len(string(runes[:min(n.Column-1, len(runes))]))
	// An anchor or a tag may stand before the value, on the same line.
	at := bytes.Index(text[b.from:end], []byte(n.Value))
	if at < 0 {
		return b, fmt.Errorf("line %d: image %s is written in a way that cannot be replaced in place; pin it by hand", n.Line, n.Value)
	}
	b.from += at
	b.to = b.from + len(n.Value)
	return b, nil
}

// lineStarts returns where each line begins.
func lineStarts(text []byte) []int {
	starts := []int{0}
	for i, c := range text {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// replaceImages puts the pinned images where the bare ones are.
func replaceImages(text []byte, images []bareImage) []byte {
	out := slices.Clone(text)
	for _, b := range slices.Backward(images) {
		out = slices.Replace(out, b.from, b.to, []byte(b.pinned)...)
	}
	return out
}

// rewrite replaces a file whole, with the mode it has.
func rewrite(file string, text []byte) (err error) {
	st, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".pin-*")
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(st.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}
