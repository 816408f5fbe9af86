package indexset

import "math/bits"

// FromBitmap reads a bitmap in the bit order of Redis's SETBIT: index 0 is the
// most significant bit of the first byte.
func FromBitmap(bitmap []byte) Set {
	var s Set
	for at, b := range bitmap {
		switch b {
		case 0x00: // the two common bytes of a long bitmap
		case 0xff:
			s.push(span{8 * at, 8*at + 7})
		default:
			s.pushByte(8*at, b)
		}
	}
	return s
}

// pushByte adds the runs of ones in b, whose most significant bit is base.
func (s *Set) pushByte(base int, b byte) {
	for i := base; b != 0; {
		zeros := bits.LeadingZeros8(b)
		b <<= zeros
		ones := bits.LeadingZeros8(^b)
		b <<= ones
		i += zeros
		s.push(span{i, i + ones - 1})
		i += ones
	}
}

// Bitmap writes s as [FromBitmap] reads it, in the fewest bytes: one for each
// eight indexes up to the largest. The empty set is nil.
func (s Set) Bitmap() []byte {
	last, ok := s.Max()
	if !ok {
		return nil
	}
	out := make([]byte, last/8+1)
	for _, sp := range s.spans {
		setBits(out, sp)
	}
	return out
}

func setBits(out []byte, sp span) {
	first, last := sp.lo/8, sp.hi/8
	head := byte(0xff) >> (sp.lo % 8)
	tail := byte(0xff) << (7 - sp.hi%8)
	if first == last {
		out[first] |= head & tail
		return
	}
	out[first] |= head
	for at := first + 1; at < last; at++ {
		out[at] = 0xff
	}
	out[last] |= tail
}
