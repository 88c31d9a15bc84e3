import type { Sync } from '../api.ts'
import { at, count, instant, until } from '../format.ts'

const reasons: Record<string, string> = {
  rate_limit: 'Paceline has reached Strava’s rate limit.',
  daily_limit: 'Paceline has reached Strava’s daily rate limit.',
  strava: 'Strava cannot be reached.',
  application: 'Strava refuses this copy of Paceline. Its operator must fix this.',
}

/** The problem, and the subject of "tries again at 14:05". */
const faults: Record<string, string> = {
  retry: 'Strava does not answer for your account. Paceline',
  internal: 'Paceline has an internal problem. It',
}

/** The progress of gathering, why it waits, and when it continues. */
export function SyncStatus({ sync, now = () => new Date() }: { sync: Sync | null; now?: () => Date }) {
  return (
    <section class="sync" role="status" aria-label="Gathering" data-state={sync?.state}>
      {sync && <Progress sync={sync} now={now()} />}
      {sync?.state === 'backfilling' && <progress aria-label="Gathering your activities" />}
    </section>
  )
}

function Progress({ sync, now }: { sync: Sync; now: Date }) {
  const gathered = `${count(sync.gathered)} ${sync.gathered === 1 ? 'activity' : 'activities'}`
  if (sync.state === 'current') return <p>Up to date: {gathered}.</p>
  if (sync.state === 'backfilling') {
    return (
      <p>
        Gathering your history: {gathered} so far.
        {sync.finishes_at && ` It should be complete ${until(sync.finishes_at, now)}.`}
      </p>
    )
  }
  if (sync.waiting_for === 'reconnect') {
    return (
      <p>
        Waiting, with {gathered} so far. Strava no longer accepts your permission.{' '}
        <a href="/oauth/connect?returning=1">Connect with Strava again</a> to continue.
      </p>
    )
  }
  if (sync.waiting_for && sync.waiting_for in faults) {
    return (
      <p>
        Waiting, with {gathered} so far. {faults[sync.waiting_for]} tries again{' '}
        {sync.resumes_at ? at(sync.resumes_at, now) : 'automatically'}.
      </p>
    )
  }
  return (
    <p>
      Waiting, with {gathered} so far. {reasons[sync.waiting_for ?? ''] ?? 'Gathering is paused.'}{' '}
      {sync.resumes_at
        ? `It continues ${until(sync.resumes_at, now)} (${instant(sync.resumes_at)}).`
        : 'It continues automatically.'}
    </p>
  )
}
