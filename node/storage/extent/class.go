package extent

import "math/bits"

// Block sizes.
const (
	minBytes = 1 << minBits
	MaxBytes = 1 << maxBits

	minBits = 8
	maxBits = 15
	perBits = 3 // 2^3 classes in each doubling
	classes = (maxBits-minBits)<<perBits + 1
)

// classOf returns the smallest class that holds n bytes.
func classOf(n int) int {
	if n <= minBytes {
		return 0
	}
	shift := bits.Len(uint(n-1)) - 1 - perBits
	return (shift+perBits-minBits)<<perBits + (n-1)>>shift - 1<<perBits + 1
}

// classBytes returns the size of a class's blocks.
func classBytes(class int) int {
	doubling, step := class>>perBits, class&(1<<perBits-1)
	return minBytes << doubling / (1 << perBits) * (1<<perBits + step)
}

// Round returns the length of the block that Allocate would return for n bytes.
func Round(n int) int { return classBytes(classOf(n)) }
