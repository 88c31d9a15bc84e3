import { useState } from 'preact/hooks'
import { asApiError, type Api } from '../api.ts'
import { instant, until } from '../format.ts'

interface Props {
  api: Api
  /** Runs an action of the athlete and shows its error, if any. */
  run: (action: () => Promise<void>) => Promise<void>
  /** Paceline accepted the request; new activities may appear soon. */
  onRequested: () => void
}

/** Requests a refresh, for an athlete who does not want to wait for a webhook. */
export function RefreshButton({ api, run, onRequested }: Props) {
  const [busy, setBusy] = useState(false)
  const [message, setMessage] = useState('New activities appear automatically, usually within seconds.')

  const refresh = () =>
    run(async () => {
      if (busy) return
      setBusy(true)
      setMessage('Sending the request…')
      try {
        await api.refresh()
        setMessage('Reading from Strava. New activities will appear below.')
        onRequested()
      } catch (caught) {
        const { retryAfter } = asApiError(caught)
        setMessage(retryAfter === null ? 'Could not refresh. Try again.' : tooEarly(retryAfter))
        if (retryAfter === null) throw caught
      } finally {
        setBusy(false)
      }
    })

  // aria-disabled keeps the keyboard focus on the button. The disabled attribute
  // would move it to the top of the page.
  return (
    <div class="refresh">
      <button type="button" class="button" aria-disabled={busy} aria-describedby="refresh" onClick={refresh}>
        Look for new activities now
      </button>
      <p id="refresh" role="status" aria-label="Looking">
        {message}
      </p>
    </div>
  )
}

/** The message for a request that came too early. */
function tooEarly(seconds: number): string {
  const now = new Date()
  const then = new Date(now.getTime() + seconds * 1000).toISOString()
  return `You can refresh again ${until(then, now)} (${instant(then)}).`
}
