package node

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"viakv/api/kv"
)

// A reply of a peer carries a topology. One that does not hold together is not adopted, however new
// it says that it is.
func TestATopologyThatDoesNotHoldTogetherIsNotLearned(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		n := m.nodes[0]
		own := n.present.Load()
		epoch, valid := n.Current().Epoch, own.manager.Document()
		for name, spoil := range map[string]func(document map[string]any){
			"no slots":         func(d map[string]any) { d["slots"] = []any{} },
			"weak quorums":     func(d map[string]any) { d["readQuorum"], d["writeQuorum"] = 1, 1 },
			"a slot of no one": func(d map[string]any) { d["slots"].([]any)[1].(map[string]any)["name"] = "" },
		} {
			d := json.NewDecoder(bytes.NewReader(valid))
			d.UseNumber() // a seed does not fit a float
			var document map[string]any
			if err := d.Decode(&document); err != nil {
				t.Fatal(err)
			}
			document["epoch"] = uint64(epoch) + 1000
			spoil(document)
			b, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			host{own}.Learn(b)
			time.Sleep(time.Second)
			if got := n.Current(); got == nil || got.Epoch != epoch {
				t.Errorf("%s: the view is %+v, want that of epoch %d", name, got, epoch)
			}
		}
		if _, err := n.Set(t.Context(), []byte("k"), []byte("v"), kv.Options{}); err != nil {
			t.Error(err)
		}
	})
}
