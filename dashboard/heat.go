package dashboard

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/stint-go/stint"
)

// indexMap is what the map of indexes is drawn from: of each tile succeeded,
// failed, active and retrying.
type indexMap struct {
	UID     string   `json:"uid"`
	Total   int      `json:"total"`
	From    int      `json:"from"`
	To      int      `json:"to"`
	Size    int      `json:"size"` // of a tile
	Tiles   [][4]int `json:"tiles"`
	Partial bool     `json:"partial,omitempty"`
}

const defaultTiles = 1200

// indexes reads a part of a job's indexes: the query has from, to and tiles.
func (b *board) indexes(in *request) (any, error) {
	j, err := b.readJob(in)
	if err != nil {
		return nil, err
	}
	m := indexMap{Total: slotsOf(j), Tiles: [][4]int{}}
	tiles := defaultTiles
	m.To = min(m.Total, stint.MaxMapIndexes) - 1
	query := in.URL.Query()
	for field, into := range map[string]*int{"from": &m.From, "to": &m.To, "tiles": &tiles} {
		if text := query.Get(field); text != "" {
			if *into, err = wholeNumber(text, field); err != nil {
				return nil, err
			}
		}
	}
	if m.Total == 0 {
		return m, nil
	}
	m.To = min(m.To, m.Total-1)
	key := fmt.Sprintf("map %s %s %d %d %d", in.queue.Name(), in.name, m.From, m.To, tiles)
	read, err := cached(&b.cache, key, b.cfg.Refresh/2, func() (stint.IndexMap, error) {
		return in.queue.IndexMap(in.ctx(), in.name, m.From, m.To, tiles)
	})
	if err != nil {
		return nil, err
	}
	m.UID, m.Partial = read.UID, read.Partial
	for i, t := range read.Tiles {
		if i == 0 {
			m.Size = t.To - t.From + 1
		}
		m.Tiles = append(m.Tiles, [4]int{t.Succeeded, t.Failed, t.Active, t.Retrying})
	}
	return m, nil
}

// wholeNumber reads a number of a query or form.
func wholeNumber(text, field string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1<<31-1 {
		return 0, badRequest(fmt.Sprintf("%s is a number from 0 to 2147483647.", field))
	}
	return n, nil
}

func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return n
}
