package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// checkTime is how long readiness waits for a part.
const checkTime = 2 * time.Second

// healthy says that the process answers.
func healthy(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// ready says whether the parts can be reached; why not stands in the log.
func (s *Site) ready(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), checkTime)
	defer cancel()
	var (
		mu     sync.Mutex
		wait   sync.WaitGroup
		status = http.StatusOK
		parts  = make(map[string]string, len(s.Checks))
	)
	for name, check := range s.Checks {
		wait.Go(func() {
			err := check(ctx)
			mu.Lock()
			defer mu.Unlock()
			parts[name] = "ok"
			if err != nil {
				parts[name], status = "unreachable", http.StatusServiceUnavailable
				s.Logger.WarnContext(ctx, "part unreachable", "part", name, "error", err)
			}
		})
	}
	wait.Wait()
	return c.JSON(status, parts)
}
