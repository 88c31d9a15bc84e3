package sim

func (w *world) inspect(string, []byte)              {}
func (w *world) answered(int64, string, int, []byte) {}
func (w *world) checkAtRest()                        {}
func (w *world) checkHourly()                        {}
