package csc

import "fmt"

// Paths are all methods, below the door's prefix.
func Paths() (out []string) {
	for _, p := range endpoints() {
		for _, v := range p.versions {
			out = append(out, fmt.Sprintf("v%d/%s", v, p.path))
		}
	}
	return out
}
