package stint

import (
	"encoding/binary"
	"errors"
)

// kept is what is kept of a plain job's success.
type kept struct{ Spec, Args, Result []byte }

// keptRecord packs what is kept of a plain job's success: the lengths of spec
// and args, then spec, args and result.
func keptRecord(spec, args, result []byte) []byte {
	b := make([]byte, 0, 2*binary.MaxVarintLen32+len(spec)+len(args)+len(result))
	b = binary.AppendUvarint(b, uint64(len(spec)))
	b = binary.AppendUvarint(b, uint64(len(args)))
	return append(append(append(b, spec...), args...), result...)
}

// parseKept reads what keptRecord packs, or what others have put there.
func parseKept(b []byte) (k kept, err error) {
	var n [2]uint64
	for i := range n {
		v, size := binary.Uvarint(b)
		if size <= 0 {
			return k, errors.New("unreadable record of a finished job")
		}
		n[i], b = v, b[size:]
	}
	if n[0] > uint64(len(b)) || n[1] > uint64(len(b))-n[0] {
		return k, errors.New("unreadable record of a finished job")
	}
	k.Spec, k.Args, k.Result = b[:n[0]], b[n[0]:n[0]+n[1]], b[n[0]+n[1]:]
	return k, nil
}
