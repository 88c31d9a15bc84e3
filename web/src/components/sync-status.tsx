import type { Sync } from '../api.ts'
import { at, count, instant, until } from '../format.ts'

const reasons: Record<string, string> = {
  rate_limit: 'Strava lets an application ask only so often, and that allowance is used up for now.',
  daily_limit: 'Strava lets an application ask only so often in a day, and that allowance is used up for today.',
  strava: 'Strava cannot be reached just now.',
  application: 'Strava does not serve this copy of Paceline at present. Whoever runs it has to put that right.',
}

/** What went wrong, and the subject of "tries again at 14:05". */
const faults: Record<string, string> = {
  retry: 'Strava does not answer for your account. Paceline',
  internal: 'Paceline has a problem of its own. It',
}

/** How far gathering is, what it waits for, and when it goes on. */
export function SyncStatus({ sync, now = () => new Date() }: { sync: Sync | null; now?: () => Date }) {
  return (
    <section class="sync" role="status" aria-label="Gathering" data-state={sync?.state}>
      {sync && <Words sync={sync} now={now()} />}
      {sync?.state === 'backfilling' && <progress aria-label="Gathering your activities" />}
    </section>
  )
}

function Words({ sync, now }: { sync: Sync; now: Date }) {
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
        Waiting for you, with {gathered} so far: Strava no longer accepts the permission you gave.{' '}
        <a href="/oauth/connect?returning=1">Connect with Strava again</a> to go on.
      </p>
    )
  }
  if (sync.waiting_for && sync.waiting_for in faults) {
    return (
      <p>
        Waiting, with {gathered} so far. {faults[sync.waiting_for]} tries again{' '}
        {sync.resumes_at ? at(sync.resumes_at, now) : 'by itself'}.
      </p>
    )
  }
  return (
    <p>
      Waiting, with {gathered} so far. {reasons[sync.waiting_for ?? ''] ?? 'Gathering pauses for the moment.'}{' '}
      {sync.resumes_at
        ? `It goes on ${until(sync.resumes_at, now)} (${instant(sync.resumes_at)}).`
        : 'It goes on by itself.'}
    </p>
  )
}
