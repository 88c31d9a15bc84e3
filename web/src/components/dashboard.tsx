import { useState } from 'preact/hooks'
import { asApiError, type ActivityPage, type Api, type Athlete, type Period, type Stats, type Sync } from '../api.ts'
import { sport as sportName } from '../format.ts'
import { append, refresh } from '../pages.ts'
import { usePolling } from '../polling.ts'
import { sportTypes } from '../sports.ts'
import { Activities } from './activities.tsx'
import { Download } from './download.tsx'
import { Keys } from './keys.tsx'
import { LeaveDialog } from './leave-dialog.tsx'
import { Links } from './links.tsx'
import { Notice } from './notice.tsx'
import { Profile } from './profile.tsx'
import { Refresh } from './refresh.tsx'
import { SyncStatus } from './sync-status.tsx'
import { TotalsTable } from './totals.tsx'

// While activities are being gathered their number is followed closely; after
// that a slower look is enough to see what Strava's webhooks brought.
const gatheringPause = 2_000
const restingPause = 15_000
// Reading the lists again costs more, so it happens less often than that.
const contentPause = 10_000
// For so long after the athlete asked for what is new, both are followed closely.
const eagerness = 30_000

interface Props {
  api: Api
  /** The profile as it was when the page opened. */
  athlete: Athlete
  onLoggedOut: () => void
  onSessionEnded: () => void
  onLeft: (receipt: string) => void
}

/** What was read, and what it answers. */
interface Content {
  by: Period
  sportType: string
  stats: Stats
  page: ActivityPage
}

/** What a connected athlete sees. */
export function Dashboard({ api, onLoggedOut, onSessionEnded, onLeft, ...props }: Props) {
  const [athlete, setAthlete] = useState(props.athlete)
  const [sync, setSync] = useState<Sync | null>(null)
  const [content, setContent] = useState<Content | null>(null)
  const [by, setBy] = useState<Period>('year')
  const [sportType, setSportType] = useState('')
  const [seenSports, setSeenSports] = useState<string[]>([])
  const [eagerUntil, setEagerUntil] = useState(0)
  const [leaving, setLeaving] = useState<'no' | 'asked' | 'sent'>('no')
  const [troubles, setTroubles] = useState<Partial<Record<'progress' | 'content' | 'action', string | null>>>({})

  /** Notes that something failed, or works again when nothing was caught. What is shown stays. */
  const note = (what: keyof typeof troubles, caught?: unknown) => {
    const error = caught === undefined ? null : asApiError(caught)
    if (error?.status === 401) onSessionEnded()
    else setTroubles((noted) => ({ ...noted, [what]: error && error.message }))
  }

  const noteSports = ({ items }: ActivityPage) =>
    setSeenSports((seen) => [...new Set([...seen, ...items.map((item) => item.sport_type)])].sort())

  // Leaving voids the session at some moment on the way, so nothing else is
  // asked from the time it is sent.
  const sent = leaving === 'sent'
  const eager = () => Date.now() < eagerUntil

  usePolling(
    async (signal) => {
      if (sent) return null
      try {
        const read = await api.sync()
        if (signal.aborted) return null
        setSync(read)
        note('progress')
        return read.state === 'backfilling' || eager() ? gatheringPause : restingPause
      } catch (caught) {
        if (!signal.aborted) note('progress', caught)
        return gatheringPause
      }
    },
    [api, eagerUntil, sent],
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
        noteSports(page)
        note('content')
      } catch (caught) {
        if (!signal.aborted) note('content', caught)
      }
      return eager() ? gatheringPause : contentPause
    },
    [api, by, sportType, gathering, eagerUntil, sent],
  )

  /** Does what the athlete asked for and tells whether it worked. */
  const act = async (action: () => Promise<void>) => {
    try {
      await action()
      note('action')
    } catch (caught) {
      note('action', caught)
    }
  }

  const loadMore = () =>
    act(async () => {
      const cursor = content?.page.next_cursor
      if (!cursor) return
      const { sportType } = content
      const next = await api.activities({ sportType, cursor })
      setContent((shown) =>
        shown?.sportType === sportType && shown.page.next_cursor === cursor
          ? { ...shown, page: append(shown.page, next) }
          : shown,
      )
      noteSports(next)
    })

  const logOut = () =>
    act(async () => {
      await api.logOut()
      onLoggedOut()
    })

  const logOutEverywhere = () =>
    act(async () => {
      await api.logOutEverywhere()
      onLoggedOut()
    })

  const leave = () =>
    act(async () => {
      setLeaving('sent')
      try {
        onLeft(await api.leave())
      } finally {
        setLeaving('no')
      }
    })

  const trouble = troubles.action ?? troubles.content ?? troubles.progress
  const otherSports = sportTypes.filter((type) => !seenSports.includes(type))

  return (
    <>
      {trouble && <Notice text={`${trouble} What you see may be out of date.`} />}
      <Profile athlete={athlete} />
      <SyncStatus sync={sync} />
      <Refresh api={api} act={act} onAsked={() => setEagerUntil(Date.now() + eagerness)} />

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
        <Activities page={content?.page ?? null} onMore={loadMore} />
      </div>

      <Download api={api} act={act} />
      <Links api={api} accounts={athlete.linked_accounts ?? []} onSessionEnded={onSessionEnded} />
      <Keys api={api} onSessionEnded={onSessionEnded} />
      <section class="account" aria-labelledby="account">
        <h2 id="account">Your connection</h2>
        <p>Logging out ends your session. Your activities stay until you leave.</p>
        <div class="buttons">
          <button type="button" class="button" onClick={logOut}>
            Log out
          </button>
          <button type="button" class="button" onClick={logOutEverywhere}>
            Log out everywhere
          </button>
          <button type="button" class="button danger" onClick={() => setLeaving('asked')}>
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
