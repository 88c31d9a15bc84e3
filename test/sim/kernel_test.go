package sim

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// inKernel runs do as a process of a new kernel until a virtual hour has passed.
func inKernel(t *testing.T, do func(*kernel, context.Context)) {
	synctest.Test(t, func(t *testing.T) {
		k := &kernel{ties: rand.New(rand.NewPCG(1, 1))}
		defer k.close()
		k.spawn("test", 0, func() { do(k, t.Context()) })
		k.run(time.Now().Add(time.Hour))
	})
}

func TestACallEndsWithItsContext(t *testing.T) {
	finished := false
	inKernel(t, func(k *kernel, ctx context.Context) {
		limited, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		began := time.Now()
		err := k.call(limited, "server", 0, func() {
			k.pause(time.Minute)
			finished = true
		})
		if took := time.Since(began); err == nil || took < time.Second || took > time.Second+time.Millisecond {
			t.Errorf("%v after %s", err, took)
		}
	})
	if !finished {
		t.Error("the server ended with its client")
	}
}

func TestAKilledProcessDoesNothingMore(t *testing.T) {
	var did []string
	inKernel(t, func(k *kernel, _ context.Context) {
		victim := k.spawn("victim", 0, func() {
			defer func() {
				defer func() { did = append(did, "unwound"); panic(recover()) }()
				k.pause(0)
				did = append(did, "deferred call")
			}()
			k.pause(time.Second)
			did = append(did, "second step")
		})
		k.pause(time.Millisecond)
		k.kill(victim)
		k.pause(time.Minute)
	})
	if want := []string{"unwound"}; !slices.Equal(did, want) {
		t.Errorf("did %q", did)
	}
}

func TestProcessesTakeTurns(t *testing.T) {
	order := func(seed uint64) (names []int) {
		synctest.Test(t, func(t *testing.T) {
			k := &kernel{ties: rand.New(rand.NewPCG(seed, 1))}
			defer k.close()
			for i := range 5 {
				k.spawn("p", 0, func() {
					for range 3 {
						k.pause(time.Second)
						names = append(names, i)
					}
				})
			}
			k.run(time.Now().Add(time.Minute))
		})
		return names
	}
	if !slices.Equal(order(1), order(1)) {
		t.Error("the same seed gives another order")
	}
	if slices.Equal(order(1), order(2)) {
		t.Error("the seed does not change the order")
	}
}

func TestAProcessEndsAtItsLimit(t *testing.T) {
	inKernel(t, func(k *kernel, ctx context.Context) {
		for what, do := range map[string]func(){
			"a pause": func() { k.pause(time.Minute) },
			"a call":  func() { _ = k.call(ctx, "server", 0, func() { k.pause(time.Minute) }) },
		} {
			began, survived := time.Now(), false
			if err := k.call(ctx, "limited", time.Second, func() { do(); survived = true }); err != nil {
				t.Error(err)
			}
			if survived || time.Since(began) != time.Second {
				t.Errorf("%s: survived %v, after %s", what, survived, time.Since(began))
			}
		}
	})
}
