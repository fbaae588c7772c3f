//go:build mongodb

package e2e

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"viakv/cmd/viakv/viakvtest"
)

// mongoServer is a FerretDB in a process of its own. It is built from another module, which this
// module does not know.
type mongoServer struct {
	t             *testing.T
	program, data string
	address       string
	process       *viakvtest.Process
}

func newMongoDB(t *testing.T) *mongoServer {
	t.Helper()
	s := &mongoServer{t: t, program: filepath.Join(t.TempDir(), "ferretdb"), data: t.TempDir(), address: viakvtest.FreeAddress(t)}
	build := exec.Command("go", "build", "-o", s.program, "./ferretdb")
	build.Dir = filepath.Join(viakvtest.ModuleRoot(t), "node", "database", "mongodb", "mongotest")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build FerretDB: %v\n%s", err, out)
	}
	s.start()
	return s
}

func (s *mongoServer) start() {
	s.t.Helper()
	s.process = viakvtest.Launch(s.t, exec.Command(s.program, "-listen", s.address, "-data", s.data))
	viakvtest.Await(s.t, "FerretDB to listen", func() bool {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

func (s *mongoServer) stop() {
	s.t.Helper()
	s.process.Signal(syscall.SIGTERM)
	s.process.Exit()
}

func (s *mongoServer) url(database string) string { return "mongodb://" + s.address + "/" + database }

func TestTwoNodesOnMongoDB(t *testing.T) {
	s := newMongoDB(t)
	twoNodes(t, realDatabase{url: s.url("kv"), mode: "mongodb", stop: s.stop, restart: s.start})
}

func TestWhatIsWrongWithMongoDB(t *testing.T) {
	t.Parallel() // most of the time it waits for a server that is not there
	s := newMongoDB(t)
	startOn(t, s.url("newer"), "--name", "first").Serves()
	client, err := mongo.Connect(options.Client().ApplyURI(s.url("")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.Background()) }()
	state := client.Database("newer").Collection("viakv_state")
	if r, err := state.UpdateOne(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "schema", Value: int32(99)}}}}); err != nil || r.ModifiedCount != 1 {
		t.Fatal(r, err)
	}
	refuses(t, []string{"hunter2"}, []badStart{
		// FerretDB accepts no user of this kind.
		{"wrong password", "mongodb://viakv:hunter2@" + s.address + "/kv", "wrong user or password"},
		{"no database", "mongodb://viakv:hunter2@" + s.address + "/", "names no database"},
		{"unreachable", "mongodb://viakv:hunter2@" + viakvtest.FreeAddress(t) + "/kv", "cannot be reached"},
		{"newer schema", s.url("newer"), "newer than this program"},
		{"misspelt option", "mongodb://viakv:hunter2@" + s.address + "/kv?tls=hunter2", "the store's URL cannot be read"},
		{"unescaped password", "mongodb://viakv:hunter2/@" + s.address + "/kv", "percent codes"},
	})
}
