package audit

// Example is a payload that has what the schema requires, and nothing else.
func (s Schema) Example() map[string]any { return exampleOf(s.Fields) }

func exampleOf(fields []Field) map[string]any {
	values := map[string]any{}
	for _, f := range fields {
		if !f.Optional {
			values[f.Name] = f.example()
		}
	}
	return values
}

func (f Field) example() any {
	switch f.Kind {
	case KindInteger:
		return 1
	case KindBoolean:
		return true
	case KindTime:
		return "2026-03-01T09:00:00Z"
	case KindDate:
		return "2026-03-01"
	case KindHex:
		return "c0ffee"
	case KindPhone:
		return "··· ··· 421"
	case KindMail:
		return "a···@example.es"
	case KindWords:
		return map[string]string{}
	case KindObject:
		return exampleOf(f.Fields)
	case KindList:
		if f.Each == "" {
			return []any{exampleOf(f.Fields)}
		}
		return []any{Field{Name: f.Name, Kind: f.Each, Values: f.Values}.example()}
	case KindString:
	}
	if f.Values != nil {
		return f.Values[0]
	}
	return f.Name
}
