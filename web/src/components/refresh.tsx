import { useState } from 'preact/hooks'
import { asApiError, type Api } from '../api.ts'
import { instant, until } from '../format.ts'

interface Props {
  api: Api
  /** Does what the athlete asked for, and shows it when that fails. */
  act: (action: () => Promise<void>) => Promise<void>
  /** Paceline has taken the wish: what it brings may be there soon. */
  onAsked: () => void
}

/** Lets the athlete have Strava asked for what is new, without waiting for word from there. */
export function Refresh({ api, act, onAsked }: Props) {
  const [busy, setBusy] = useState(false)
  const [said, setSaid] = useState('What is new at Strava comes here by itself, mostly within seconds.')

  const ask = () =>
    act(async () => {
      if (busy) return
      setBusy(true)
      setSaid('Asking…')
      try {
        await api.refresh()
        setSaid('Strava is being asked. What is new appears below in a moment.')
        onAsked()
      } catch (caught) {
        const { retryAfter } = asApiError(caught)
        setSaid(retryAfter === null ? 'That did not work.' : pause(retryAfter))
        if (retryAfter === null) throw caught
      } finally {
        setBusy(false)
      }
    })

  // Disabled to all but the focus: a button that is really disabled loses it,
  // and who uses the keyboard would have to start again at the top.
  return (
    <div class="refresh">
      <button type="button" class="button" aria-disabled={busy} aria-describedby="refresh" onClick={ask}>
        Look for new activities now
      </button>
      <p id="refresh" role="status" aria-label="Looking">
        {said}
      </p>
    </div>
  )
}

/** When one may ask again, so many seconds from now. */
function pause(seconds: number): string {
  const now = new Date()
  const then = new Date(now.getTime() + seconds * 1000).toISOString()
  return `You can ask this again ${until(then, now)} (${instant(then)}).`
}
