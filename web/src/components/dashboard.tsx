import { useState } from 'preact/hooks'
import { append, refresh } from '../activity-pages.ts'
import { asApiError, type ActivityPage, type Api, type Athlete, type Period, type Stats, type Sync } from '../api.ts'
import { sport as sportName } from '../format.ts'
import { usePolling } from '../polling.ts'
import { sportTypes } from '../sport-types.ts'
import { ActivityList } from './activity-list.tsx'
import { Alert } from './alert.tsx'
import { ApiKeys } from './api-keys.tsx'
import { ExportButtons } from './export-buttons.tsx'
import { LeaveDialog } from './leave-dialog.tsx'
import { LinkedAccounts } from './linked-accounts.tsx'
import { Profile } from './profile.tsx'
import { RefreshButton } from './refresh-button.tsx'
import { SyncStatus } from './sync-status.tsx'
import { TotalsTable } from './totals-table.tsx'

// The page polls the progress fast while activities are being gathered, and
// slowly afterwards, when only webhooks change anything.
const fastPause = 2_000
const slowPause = 15_000
// Polling the activities and totals costs more, so it is less frequent.
const contentPause = 10_000
// After the athlete asks for a refresh, both are polled fast for this long.
const fastPollingDuration = 30_000

interface Props {
  api: Api
  /** The profile as of opening the page. */
  athlete: Athlete
  onLoggedOut: () => void
  onSessionEnded: () => void
  onLeft: (receipt: string) => void
}

/** The activities and totals read last, with the selection that they belong to. */
interface Content {
  by: Period
  sportType: string
  stats: Stats
  page: ActivityPage
}

/** The page of a connected athlete. */
export function Dashboard({ api, onLoggedOut, onSessionEnded, onLeft, ...props }: Props) {
  const [athlete, setAthlete] = useState(props.athlete)
  const [sync, setSync] = useState<Sync | null>(null)
  const [content, setContent] = useState<Content | null>(null)
  const [by, setBy] = useState<Period>('year')
  const [sportType, setSportType] = useState('')
  const [seenSports, setSeenSports] = useState<string[]>([])
  const [fastUntil, setFastUntil] = useState(0)
  const [leaving, setLeaving] = useState<'no' | 'confirming' | 'sent'>('no')
  const [errors, setErrors] = useState<Partial<Record<'progress' | 'content' | 'action', string | null>>>({})

  /** Shows that `source` failed, or hides its error if nothing was caught. The shown data stays. */
  const report = (source: keyof typeof errors, caught?: unknown) => {
    const error = caught === undefined ? null : asApiError(caught)
    if (error?.status === 401) onSessionEnded()
    else setErrors((shown) => ({ ...shown, [source]: error && error.message }))
  }

  const addSeenSports = ({ items }: ActivityPage) =>
    setSeenSports((seen) => [...new Set([...seen, ...items.map((item) => item.sport_type)])].sort())

  // Leaving ends the session before its response arrives, so polling stops as
  // soon as the request is sent.
  const sent = leaving === 'sent'
  const fastPolling = () => Date.now() < fastUntil

  usePolling(
    async (signal) => {
      if (sent) return null
      try {
        const read = await api.sync()
        if (signal.aborted) return null
        setSync(read)
        report('progress')
        return read.state === 'backfilling' || fastPolling() ? fastPause : slowPause
      } catch (caught) {
        if (!signal.aborted) report('progress', caught)
        return fastPause
      }
    },
    [api, fastUntil, sent],
  )

  const gathering = sync !== null && sync.state !== 'current'
  usePolling(
    async (signal) => {
      if (sent) return null
      try {
        const [newAthlete, stats, page] = await Promise.all([
          api.me(),
          api.stats({ by, sportType }),
          api.activities({ sportType }),
        ])
        if (signal.aborted) return null
        setAthlete(newAthlete)
        setContent((shown) => ({
          by,
          sportType,
          stats,
          page: shown?.sportType === sportType ? refresh(shown.page, page) : page,
        }))
        addSeenSports(page)
        report('content')
      } catch (caught) {
        if (!signal.aborted) report('content', caught)
      }
      return fastPolling() ? fastPause : contentPause
    },
    [api, by, sportType, gathering, fastUntil, sent],
  )

  /** Runs an action of the athlete and shows its error, if any. */
  const run = async (action: () => Promise<void>) => {
    try {
      await action()
      report('action')
    } catch (caught) {
      report('action', caught)
    }
  }

  const loadMore = () =>
    run(async () => {
      const cursor = content?.page.next_cursor
      if (!cursor) return
      const { sportType } = content
      const next = await api.activities({ sportType, cursor })
      setContent((shown) =>
        shown?.sportType === sportType && shown.page.next_cursor === cursor
          ? { ...shown, page: append(shown.page, next) }
          : shown,
      )
      addSeenSports(next)
    })

  const logOut = () =>
    run(async () => {
      await api.logOut()
      onLoggedOut()
    })

  const logOutEverywhere = () =>
    run(async () => {
      await api.logOutEverywhere()
      onLoggedOut()
    })

  const leave = () =>
    run(async () => {
      setLeaving('sent')
      try {
        onLeft(await api.leave())
      } finally {
        setLeaving('no')
      }
    })

  const error = errors.action ?? errors.content ?? errors.progress
  const otherSports = sportTypes.filter((type) => !seenSports.includes(type))

  return (
    <>
      {error && <Alert text={`${error} This page may be out of date.`} />}
      <Profile athlete={athlete} />
      <SyncStatus sync={sync} />
      <RefreshButton api={api} run={run} onRequested={() => setFastUntil(Date.now() + fastPollingDuration)} />

      <div class="filter">
        <label for="sport">Sport</label>
        <select id="sport" value={sportType} onChange={(event) => setSportType(event.currentTarget.value)}>
          <option value="">All sports</option>
          <SportGroup label="In your activities" types={seenSports} />
          <SportGroup label="Other sports" types={otherSports} />
        </select>
      </div>

      <div class="content" aria-busy={content?.by !== by || content.sportType !== sportType}>
        <TotalsTable shown={content} by={by} onBy={setBy} />
        <ActivityList page={content?.page ?? null} onMore={loadMore} />
      </div>

      <ExportButtons api={api} run={run} />
      <LinkedAccounts api={api} accounts={athlete.linked_accounts ?? []} onSessionEnded={onSessionEnded} />
      <ApiKeys api={api} onSessionEnded={onSessionEnded} />
      <section class="account" aria-labelledby="account">
        <h2 id="account">Your connection</h2>
        <p>Logging out ends your session. Paceline keeps your data until you leave.</p>
        <div class="buttons">
          <button type="button" class="button" onClick={logOut}>
            Log out
          </button>
          <button type="button" class="button" onClick={logOutEverywhere}>
            Log out everywhere
          </button>
          <button type="button" class="button danger" onClick={() => setLeaving('confirming')}>
            Leave Paceline
          </button>
        </div>
      </section>
      {leaving !== 'no' && <LeaveDialog sent={sent} onLeave={leave} onStay={() => setLeaving('no')} />}
    </>
  )
}

function SportGroup({ label, types }: { label: string; types: readonly string[] }) {
  if (types.length === 0) return null
  return (
    <optgroup label={label}>
      {types.map((type) => (
        <option key={type} value={type}>
          {sportName(type)}
        </option>
      ))}
    </optgroup>
  )
}
