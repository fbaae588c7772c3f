package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"testing"

	"viakv/api"
	"viakv/api/client"
	"viakv/api/kv"
)

// address stands for a running node. Example tests have no testing.TB of their own, so this server
// lives until all tests have run.
var (
	examples = new(lasting)
	address  = serve(examples, api.Config{})
)

type lasting struct {
	testing.TB
	stop func()
}

func (*lasting) Helper()            {}
func (l *lasting) Cleanup(f func()) { l.stop = f }
func (*lasting) Fatal(args ...any)  { log.Fatal(args...) }
func (*lasting) Error(args ...any)  { log.Fatal(args...) }

func Example() {
	c, err := client.New(client.Config{Endpoints: []string{address}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	if _, err := c.Set(ctx, "color", "green"); err != nil {
		log.Fatal(err)
	}
	value, err := c.Get(ctx, "color")
	fmt.Println(value, err)
	_, err = c.Get(ctx, "colour")
	fmt.Println(errors.Is(err, client.ErrMissing))
	// Output:
	// green <nil>
	// true
}

func ExampleClient_SetMany() {
	c, err := client.New(client.Config{Endpoints: []string{address}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	pairs := map[string]string{"tree.oak": "brown", "tree.birch": "white", "tree.ash": "grey"}
	stored, err := c.SetMany(context.Background(), maps.All(pairs))
	fmt.Println(stored, err)
	// Output: 3 <nil>
}

func ExampleClient_GetMany() {
	c, err := client.New(client.Config{Endpoints: []string{address}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	if _, err := c.SetMany(ctx, maps.All(map[string]string{"bird.crow": "black", "bird.swan": "white"})); err != nil {
		log.Fatal(err)
	}
	values, err := c.GetMany(ctx, []string{"bird.crow", "bird.swan", "bird.dodo"})
	_, alive := values["bird.dodo"]
	fmt.Println(values["bird.crow"], values["bird.swan"], alive, err)
	// Output: black white false <nil>
}

func ExampleLoadError() {
	c, err := client.New(client.Config{Endpoints: []string{address}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, err = c.SetMany(context.Background(), func(yield func(key, value string) bool) {
		_ = yield("tree.elm", "green") && yield("", "no key") && yield("tree.fir", "green")
	})
	var e *client.LoadError
	if errors.As(err, &e) {
		fmt.Println("stored:", e.Stored)
		for _, f := range e.Failed {
			fmt.Println("send again:", f.First, "to", f.Last, "not stored for certain:", f.Outcome == kv.None)
		}
		fmt.Println("send again: all from", e.Next, "on")
	}
	// Output:
	// stored: 1
	// send again: all from 2 on
}

func ExampleClient_All() {
	c, err := client.New(client.Config{Endpoints: []string{address}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()
	for key, value := range map[string]string{"fruit.apple": "red", "fruit.pear": "green"} {
		if _, err := c.Set(ctx, key, value); err != nil {
			log.Fatal(err)
		}
	}
	for pair, err := range c.All(ctx, client.ScanOptions{Prefix: "fruit."}) {
		if err != nil {
			log.Fatal(err) // the scan was cut: it has not delivered everything
		}
		fmt.Println(pair.Key, pair.Value)
	}
	// Output:
	// fruit.apple red
	// fruit.pear green
}

func ExampleError() {
	c, err := client.New(client.Config{Endpoints: []string{address}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, err = c.Set(context.Background(), "", "value")
	var e *client.Error
	if errors.As(err, &e) {
		fmt.Println(e.Status, e.Kind, e.Parameter, "nothing happened:", e.Outcome == kv.None)
	}
	// Output: 400 bad-parameter k nothing happened: true
}
