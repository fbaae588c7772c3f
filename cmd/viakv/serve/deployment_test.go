package serve_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"viakv/cmd/viakv/serve"
	"viakv/cmd/viakv/viakvtest"
)

// These tests compare the files for operators with the program.

func TestEveryMetricIsExplainedAndNoOtherIsUsed(t *testing.T) {
	known := serve.MetricNames(t)
	manual := string(viakvtest.Shipped(t, "docs/operations.md"))
	for _, n := range known {
		if !strings.Contains(manual, "| `"+n+"`") {
			t.Errorf("docs/operations.md does not explain %s", n)
		}
	}
	for _, file := range []string{"docs/operations.md", "docs/monitoring/alerts.yml", "docs/monitoring/grafana/dashboards/viakv.json"} {
		for _, n := range regexp.MustCompile(`viakv_[a-z_]+`).FindAllString(string(viakvtest.Shipped(t, file)), -1) {
			if !slices.Contains(known, n) && !slices.Contains(known, strings.TrimSuffix(n, "_bucket")) {
				t.Errorf("%s speaks of %s, which no node has", file, n)
			}
		}
	}
}

func TestEveryAlertIsExplained(t *testing.T) {
	manual := string(viakvtest.Shipped(t, "docs/operations.md"))
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For string
				Labels           map[string]string
				Annotations      map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(viakvtest.Shipped(t, "docs/monitoring/alerts.yml"), &rules); err != nil || len(rules.Groups) != 1 || len(rules.Groups[0].Rules) < 10 {
		t.Fatalf("%v, %d groups", err, len(rules.Groups))
	}
	for _, r := range rules.Groups[0].Rules {
		if r.Expr == "" || r.For == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
			t.Errorf("%s lacks something: %+v", r.Alert, r)
		}
		if !strings.Contains(manual, "| `"+r.Alert+"`") {
			t.Errorf("docs/operations.md does not say what to do about %s", r.Alert)
		}
	}
}

// serveFlags returns the flags of viakv serve.
func serveFlags() *pflag.FlagSet {
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	new(serve.Config).Flags(f)
	return f
}

func TestTheComposeFileSetsWhatThereIs(t *testing.T) {
	flags := serveFlags()
	var file struct {
		Services map[string]struct {
			Environment map[string]string `json:"environment"`
			Hostname    string            `json:"hostname"`
			Ports       []string          `json:"ports"`
		} `json:"services"`
	}
	if err := yaml.Unmarshal(viakvtest.Shipped(t, "docker-compose.yml"), &file); err != nil {
		t.Fatal(err)
	}
	for name, service := range file.Services {
		for variable := range service.Environment {
			if flag, ours := strings.CutPrefix(variable, "VIAKV_"); ours && flags.Lookup(strings.ToLower(strings.ReplaceAll(flag, "_", "-"))) == nil {
				t.Errorf("%s: %s is no flag of viakv serve", name, variable)
			}
		}
		for _, p := range service.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: %s is not published on loopback alone", name, p)
			}
		}
		if strings.HasPrefix(name, "node-") && service.Hostname != name {
			t.Errorf("%s: its name in the cluster would change with every container", name)
		}
	}
	for seed := range strings.SplitSeq(file.Services["node-a"].Environment["VIAKV_SEEDS"], ",") {
		if _, ok := file.Services[strings.TrimSuffix(seed, ":9080")]; !ok {
			t.Errorf("the seed %s is no service", seed)
		}
	}
}

func TestTheKubernetesManifestsFitTogether(t *testing.T) {
	type labels map[string]string
	type object struct {
		Kind     string
		Metadata struct{ Name string }
		Spec     struct {
			ServiceName              string
			Replicas                 int
			PodManagementPolicy      string
			PublishNotReadyAddresses bool
			ClusterIP                string
			Template                 struct {
				Metadata struct{ Labels labels }
				Spec     struct {
					Containers []struct {
						Args  []string
						Ports []struct {
							Name          string
							ContainerPort int
						}
					}
				}
			}
		}
	}
	objects := map[string]object{}
	for document := range bytes.SplitSeq(viakvtest.Shipped(t, "docs/kubernetes/viakv.yaml"), []byte("\n---\n")) {
		var o object
		if err := yaml.Unmarshal(document, &o); err != nil {
			t.Fatal(err)
		}
		objects[o.Kind+"/"+o.Metadata.Name] = o
	}
	set := objects["StatefulSet/viakv"]
	peers := objects["Service/"+set.Spec.ServiceName]
	if set.Spec.PodManagementPolicy != "Parallel" || !peers.Spec.PublishNotReadyAddresses || peers.Spec.ClusterIP != "None" {
		t.Errorf("nodes that are not ready could not find one another: %+v %+v", set.Spec, peers.Spec)
	}
	if _, ok := objects["PodDisruptionBudget/viakv"]; !ok {
		t.Error("there is no disruption budget")
	}
	flags := serveFlags()
	container := set.Spec.Template.Spec.Containers[0]
	if container.Args[0] != "serve" {
		t.Fatalf("the pod runs %q", container.Args)
	}
	if err := flags.Parse(container.Args[1:]); err != nil {
		t.Errorf("viakv serve would not start: %v", err)
	}
	seeds, err := flags.GetStringSlice("seeds")
	if err != nil || len(seeds) != set.Spec.Replicas {
		t.Fatalf("%d seeds %v for %d replicas", len(seeds), err, set.Spec.Replicas)
	}
	for i, s := range seeds {
		if want := set.Metadata.Name + "-" + string(rune('0'+i)) + "." + set.Spec.ServiceName + ":9080"; s != want {
			t.Errorf("seed %s, want %s", s, want)
		}
	}
}
