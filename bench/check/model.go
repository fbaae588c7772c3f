package check

import "github.com/anishathalye/porcupine"

type input struct {
	kind  Kind
	value Value
}

type output struct {
	result Result
	value  Value
}

// register is the strict specification of one key (K3). Its state is the Value it holds.
var register = porcupine.Model{
	Init: func() any { return Value(0) },
	Step: func(state, in, out any) (bool, any) {
		held, i, o := state.(Value), in.(input), out.(output)
		legal, next := step(held, i, o)
		return legal, next
	},
	Hash: func(state any) uint64 { return uint64(uint32(state.(Value))) },
}

// step returns whether a register that holds a value can answer so, and what it holds afterwards.
// The search places an open operation wherever it fits; one that never took effect fits behind all
// others.
func step(held Value, i input, o output) (legal bool, next Value) {
	switch i.kind {
	case Set:
		return true, i.value
	case Clear:
		return true, 0
	case Remove:
		switch o.result {
		case Done:
			return held != 0, 0
		case Missing:
			return held == 0, 0
		}
		return true, 0
	case Has:
		return (held != 0) == (o.result == Done), held
	default:
		if o.result == Missing {
			return held == 0, held
		}
		return held != 0 && held == o.value, held
	}
}

func toPorcupine(ops []Operation) []porcupine.Operation {
	out := make([]porcupine.Operation, 0, len(ops))
	for _, o := range ops {
		out = append(out, porcupine.Operation{
			ClientId: o.Client, Input: input{o.Kind, o.Value}, Output: output{o.Result, o.Value}, Call: int64(o.Call), Return: int64(o.Return),
		})
	}
	return out
}
