package check

import "github.com/anishathalye/porcupine"

type input struct {
	kind  opKind
	value opValue
}

type output struct {
	result opResult
	value  opValue
}

// register is the strict specification of one key (K3). Its state is the value that it holds.
var register = porcupine.Model{
	Init: func() any { return opValue(0) },
	Step: func(state, in, out any) (bool, any) {
		held, i, o := state.(opValue), in.(input), out.(output)
		legal, next := step(held, i, o)
		return legal, next
	},
	Hash: func(state any) uint64 { return uint64(uint32(state.(opValue))) },
}

// step returns whether a register that holds a value can answer so, and what it holds afterwards.
// The search places an open operation wherever it fits; one that never took effect fits behind all
// others.
func step(held opValue, i input, o output) (legal bool, next opValue) {
	switch i.kind {
	case set:
		return true, i.value
	case clearAll:
		return true, 0
	case remove:
		switch o.result {
		case done:
			return held != 0, 0
		case missing:
			return held == 0, 0
		}
		return true, 0
	case has:
		return (held != 0) == (o.result == done), held
	default:
		if o.result == missing {
			return held == 0, held
		}
		return held != 0 && held == o.value, held
	}
}

func toPorcupine(ops []operation) []porcupine.Operation {
	out := make([]porcupine.Operation, 0, len(ops))
	for _, o := range ops {
		out = append(out, porcupine.Operation{
			ClientId: o.Client, Input: input{o.Kind, o.Value}, Output: output{o.Result, o.Value}, Call: int64(o.Call), Return: int64(o.Return),
		})
	}
	return out
}
