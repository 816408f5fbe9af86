package store

import (
	"encoding/binary"
	"errors"
)

// Kept is what is kept of a plain job's success.
type Kept struct {
	Spec, Args, Result []byte
	Tries              *Tries
}

// KeptRecord packs what is kept of a plain task's success: the lengths of spec
// and args, then spec, args and result. Before the spec stands what earlier
// attempts came to.
func KeptRecord(t *Task, result []byte) []byte {
	tries := t.Tries.text()
	b := make([]byte, 0, 2*binary.MaxVarintLen32+len(tries)+len(t.Spec)+len(t.Args)+len(result))
	b = binary.AppendUvarint(b, uint64(len(tries)+len(t.Spec)))
	b = binary.AppendUvarint(b, uint64(len(t.Args)))
	return append(append(append(append(b, tries...), t.Spec...), t.Args...), result...)
}

// ParseKept reads what KeptRecord packs, or what others have put there.
func ParseKept(b []byte) (k Kept, err error) {
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
	tries, spec := cutTries(string(b[:n[0]]))
	k.Tries, k.Spec = tries, []byte(spec)
	k.Args, k.Result = b[n[0]:n[0]+n[1]], b[n[0]+n[1]:]
	return k, nil
}
