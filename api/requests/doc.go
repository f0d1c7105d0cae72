// Package requests is what all doors share on the public side: taking a
// request in, fixing what the citizen will see, and handing the result out. A
// door parses and answers; it has no rules of its own (DESIGN section 1).
package requests
