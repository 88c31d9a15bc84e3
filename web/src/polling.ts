import { useEffect, type Inputs } from 'preact/hooks'

/**
 * Runs `task` at once, again whenever `inputs` change, and again after the
 * milliseconds it resolves to; null ends it. A page that nobody looks at waits
 * until somebody does. The task must look at its signal after every wait: once
 * aborted, its answer belongs to the past.
 */
export function usePolling(task: (signal: AbortSignal) => Promise<number | null>, inputs: Inputs): void {
  useEffect(() => {
    const stop = new AbortController()
    void poll(task, stop.signal)
    return () => stop.abort()
  }, inputs)
}

async function poll(task: (signal: AbortSignal) => Promise<number | null>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const pause = await task(signal)
    if (pause === null) return
    await new Promise((resolve) => setTimeout(resolve, pause))
    if (document.hidden) {
      await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }))
    }
  }
}
