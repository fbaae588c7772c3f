package topology

import (
	"testing"
	"time"
)

func TestThreeFoundACluster(t *testing.T) {
	simulate(t, func(w *world) {
		began := time.Now()
		a, b, c := w.trio()
		took := time.Since(began)
		w.Logf("founded in %v", took)
		if took > time.Second {
			w.Errorf("founding took %v", took)
		}
		top := w.agree(time.Second, a, b, c)
		if top.Epoch != firstEpoch || top.Founder != a.id.Boot || top.N() != 3 || top.R() != 2 || top.W() != 2 {
			w.Errorf("founded %s", top.Encode())
		}
	})
}
