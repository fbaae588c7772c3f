package serve_test

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"viakv/cmd/viakv/viakvtest"
)

const manifests = "docs/kubernetes/viakv.yaml"

// kubernetesSchemas has the schemas of the kinds in the manifests. They accept what a server of
// that version accepts, and no unknown field.
const kubernetesSchemas = "cmd/viakv/serve/testdata/kubernetes-1.34.json"

// kindSchemas names the schema of each kind.
var kindSchemas = map[string]string{
	"v1/Service":                    "io.k8s.api.core.v1.Service",
	"apps/v1/StatefulSet":           "io.k8s.api.apps.v1.StatefulSet",
	"policy/v1/PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
}

// checkManifest checks one object against the schema of its kind.
func checkManifest(t *testing.T, document []byte) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	object, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return err
	}
	fields, _ := object.(map[string]any)
	kind := path.Join(fmt.Sprint(fields["apiVersion"]), fmt.Sprint(fields["kind"]))
	definition, ok := kindSchemas[kind]
	if !ok {
		return fmt.Errorf("%s has no schema in %s", kind, kubernetesSchemas)
	}
	schemas, err := jsonschema.UnmarshalJSON(bytes.NewReader(viakvtest.Shipped(t, kubernetesSchemas)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("kubernetes.json", schemas); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("kubernetes.json#/$defs/" + definition)
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(object)
}

func TestTheKubernetesManifestsAreWhatKubernetesTakes(t *testing.T) {
	documents := bytes.Split(viakvtest.Shipped(t, manifests), []byte("\n---\n"))
	if len(documents) != 4 {
		t.Fatalf("%d objects", len(documents))
	}
	for _, d := range documents {
		if err := checkManifest(t, d); err != nil {
			t.Error(err)
		}
	}
}

func TestSlipsInTheKubernetesManifestsAreFound(t *testing.T) {
	text := string(viakvtest.Shipped(t, manifests))
	for name, change := range map[string][2]string{
		"a misspelt field":        {"publishNotReadyAddresses", "publishNotReadyAdresses"},
		"a field out of place":    {"          failureThreshold: 60\n", "          replicas: 60\n"},
		"a word for a number":     {"replicas: 3", "replicas: three"},
		"a number for a word":     {"podManagementPolicy: Parallel", "podManagementPolicy: 1"},
		"a missing selector":      {"  selector: { matchLabels: { app.kubernetes.io/name: viakv } }\n  template:", "  template:"},
		"the same field twice":    {"replicas: 3", "replicas: 3\n  replicas: 3"},
		"a kind of another group": {"apiVersion: policy/v1\n", "apiVersion: apps/v1\n"},
		"a list for a value":      {"image: viakv:latest", "image: [viakv]"},
		"a misspelt probe":        {"httpGet: { path: /livez, port: http }\n          periodSeconds: 10", "httpGet: { url: /livez, port: http }\n          periodSeconds: 10"},
	} {
		if strings.Count(text, change[0]) == 0 {
			t.Errorf("%s: %q is not in the file any more", name, change[0])
			continue
		}
		found := false
		for d := range strings.SplitSeq(strings.Replace(text, change[0], change[1], 1), "\n---\n") {
			found = found || checkManifest(t, []byte(d)) != nil
		}
		if !found {
			t.Errorf("%s was not noticed", name)
		}
	}
}
