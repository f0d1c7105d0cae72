package verify

import "context"

func (v *validation) pdf(ctx context.Context, in Input, report *Report) error { return ErrNotSigned }
