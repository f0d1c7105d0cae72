package pades

import "github.com/rubrica-firma/rubrica/policies"

// inspectForm walks the form's fields (ISO 32000-2, 12.7).
func (i *Inspection) inspectForm(catalog dict) error {
	form, err := i.file.dict(catalog["AcroForm"])
	if err != nil {
		return err
	}
	if form["XFA"] != nil {
		return refuse(policies.DocumentUnsupported, "XFA form")
	}
	if i.fields, err = i.file.array(form["Fields"]); err != nil {
		return err
	}
	i.form = form
	type node struct {
		object object
		name   string
		kind   object
	}
	var stack []node
	for _, field := range i.fields {
		stack = append(stack, node{field, "", nil})
	}
	visited := map[ref]bool{}
	for count := 0; len(stack) > 0; count++ {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		id, ok := n.object.(ref)
		if !ok || visited[id] || count > maxFields {
			return refuse(policies.DocumentUnsupported, "the form is not a tree")
		}
		visited[id] = true
		field, err := i.file.dict(id)
		if err != nil {
			return err
		}
		if field["FT"] != nil {
			n.kind = field["FT"]
		}
		if title, err := i.file.resolve(field["T"]); err == nil && title != nil {
			n.name += "." + decodeText(title)
			i.names[n.name] = true
		}
		if err := i.inspectField(field, n.kind); err != nil {
			return err
		}
		kids, err := i.file.array(field["Kids"])
		if err != nil {
			return err
		}
		for _, kid := range kids {
			stack = append(stack, node{kid, n.name, n.kind})
		}
	}
	return nil
}

// inspectField counts signatures and refuses those that forbid more: a
// certification without changes, or a signed field whose lock says so
// (ISO 32000-2, 12.7.5.5 and table 236).
func (i *Inspection) inspectField(field dict, kind object) error {
	if kind != name("Sig") {
		i.Form = i.Form || kind != nil
		return nil
	}
	value, err := i.file.resolve(field["V"])
	if err != nil {
		return err
	}
	signature, signed := value.(dict)
	if !signed {
		return nil
	}
	i.Signatures++
	lock, err := i.file.dict(field["Lock"])
	if err != nil {
		return err
	}
	if lock["P"] == int64(1) {
		return refuse(policies.DocumentCertified, "a signed field locks the document")
	}
	return i.file.checkDocMDP(signature)
}

// checkPermissions looks at the certification that the catalogue names.
func (f *file) checkPermissions(catalog dict) error {
	permissions, err := f.dict(catalog["Perms"])
	if err != nil {
		return err
	}
	signature, err := f.dict(permissions["DocMDP"])
	if err != nil {
		return err
	}
	return f.checkDocMDP(signature)
}

// checkDocMDP refuses where a signature's DocMDP transform permits no changes
// (ISO 32000-2, 12.8.2.2: P is 2 where it is not given).
func (f *file) checkDocMDP(signature dict) error {
	references, err := f.array(signature["Reference"])
	if err != nil {
		return err
	}
	for _, member := range references {
		reference, err := f.dict(member)
		if err != nil {
			return err
		}
		method, err := f.resolve(reference["TransformMethod"])
		if err != nil {
			return err
		}
		params, err := f.dict(reference["TransformParams"])
		if err != nil {
			return err
		}
		level, err := f.resolve(params["P"])
		if err != nil {
			return err
		}
		if method == name("DocMDP") && level == int64(1) {
			return refuse(policies.DocumentCertified, "certified without changes")
		}
	}
	return nil
}
