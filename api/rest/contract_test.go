package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/rubrica-firma/rubrica/policies"
)

var (
	sharedDocument = sync.OnceValues(readDocument)
	sharedContract = sync.OnceValues(readContract)
)

// problemCodes names the codes of an operation's problems, and at the top of the
// contract those of every operation.
const problemCodes = "x-problem-codes"

func readDocument() (*openapi3.T, error) {
	for _, kind := range []string{"application/pdf", "text/html", "application/pkcs7-signature", "application/pkcs7-mime", "application/jose"} {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.FileBodyDecoder)
	}
	data, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	document, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, err
	}
	return document, document.Validate(context.Background())
}

func readContract() (routers.Router, error) {
	document, err := sharedDocument()
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(document)
}

// codesIn are those that a part of the contract lists.
func codesIn(extensions map[string]any) []policies.Code {
	listed, _ := extensions[problemCodes].([]any)
	codes := make([]policies.Code, 0, len(listed))
	for _, code := range listed {
		codes = append(codes, policies.Code(fmt.Sprint(code)))
	}
	return codes
}

// agreed holds an exchange against the contract: status, headers and body of the
// answer, the code of a problem; and that what was done had been asked for in the
// contract's terms.
func (h *house) agreed(r *http.Request, got reply) error {
	asked := r.Clone(r.Context())
	asked.URL.Scheme, asked.URL.Host = "", ""
	route, params, err := h.routes.FindRoute(asked)
	if err != nil {
		return nil //nolint:nilerr // what has no route is not in the contract
	}
	input := &openapi3filter.RequestValidationInput{
		Request: asked, PathParams: params, Route: route,
		Options: &openapi3filter.Options{MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	err = openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 got.status, Header: got.header, Body: io.NopCloser(bytes.NewReader(got.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if got.status >= http.StatusBadRequest {
		return errors.Join(err, documented(route, got))
	}
	return errors.Join(err, askedRightly(r.Context(), input))
}

// documented is whether an operation may refuse with that code.
func documented(route *routers.Route, got reply) error {
	var problem struct{ Code policies.Code }
	if err := json.Unmarshal(got.body, &problem); err != nil {
		return fmt.Errorf("a refusal that is no problem: %w", err)
	}
	if !slices.Contains(append(codesIn(route.Spec.Extensions), codesIn(route.Operation.Extensions)...), problem.Code) {
		return fmt.Errorf("the code %q, which %s does not list", problem.Code, route.Operation.OperationID)
	}
	return nil
}

// validatedBytes bounds the bodies that are looked at: the schema of a document in
// base64 says nothing.
const validatedBytes = 1 << 20

// askedRightly is whether a request that was carried out is one of the contract.
// A member that is null is as good as none.
func askedRightly(ctx context.Context, input *openapi3filter.RequestValidationInput) error {
	r := input.Request
	r.Body = http.NoBody
	if r.GetBody == nil || r.ContentLength > validatedBytes {
		input.Options.ExcludeRequestBody = true
	} else {
		body, err := r.GetBody()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		var value any
		if json.Unmarshal(text, &value) == nil {
			if text, err = json.Marshal(withoutNulls(value)); err != nil {
				return err
			}
		}
		r.Body, r.GetBody = io.NopCloser(bytes.NewReader(text)), nil
	}
	if err := openapi3filter.ValidateRequest(ctx, input); err != nil {
		return fmt.Errorf("it was done although it is not in the contract: %w", err)
	}
	return nil
}

func withoutNulls(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if member == nil {
				delete(v, name)
			} else {
				v[name] = withoutNulls(member)
			}
		}
	case []any:
		for i, item := range v {
			v[i] = withoutNulls(item)
		}
	}
	return value
}
