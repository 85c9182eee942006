package tenantschema

import "time"

// Stats is the state of a DB's connections.
type Stats struct {
	// Cells gives the connections of each cell that has some, by number; Dedicated those of all dedicated tenants together.
	Cells     map[int]LoginStats
	Dedicated LoginStats
	// Total counts all connections, those that are being opened too; Max is their limit.
	Total, Max int
	// Waiting counts the calls that wait for a connection now.
	Waiting int
	// Waits is how often a call had to wait for a connection and got one, WaitTime how long those waited altogether.
	Waits    int64
	WaitTime time.Duration
	// Replaced counts the connections that were replaced because their backends had seen enough. See [Config.MaxRelations].
	Replaced int64
	// Opened counts all connections that were ever opened.
	Opened int64
}

// LoginStats counts the connections of a login.
type LoginStats struct {
	// Acquired connections are in use, Idle ones are not, Dialing ones are being opened.
	Acquired, Idle, Dialing int
}

func (h *house) stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Stats{
		Cells: map[int]LoginStats{}, Total: h.total, Max: h.most,
		Waits: h.counts.waits, WaitTime: h.counts.waitTime, Replaced: h.counts.replaced, Opened: h.counts.opened,
	}
	for _, g := range h.guests {
		s.Waiting += len(g.line)
	}
	for _, l := range h.logins {
		of := s.Cells[l.as.Cell]
		if l.as.Cell == 0 {
			of = s.Dedicated
		}
		for _, c := range l.conns {
			if c.busy {
				of.Acquired++
			} else {
				of.Idle++
			}
		}
		of.Dialing += l.dialing
		s.Waiting += len(l.line)
		if l.as.Cell == 0 {
			s.Dedicated = of
		} else {
			s.Cells[l.as.Cell] = of
		}
	}
	return s
}
