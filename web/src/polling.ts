import { useEffect, type Inputs } from 'preact/hooks'

/**
 * Runs `task` immediately, whenever `inputs` change, and again after the number of
 * milliseconds it resolves to; null ends the polling. A hidden page polls again
 * only when it becomes visible. The task must check its signal after every await
 * and discard its result once aborted.
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
