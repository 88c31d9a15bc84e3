import { useEffect, useState } from 'preact/hooks'
import { asApiError, type Api, type Athlete } from './api.ts'
import { poweredByLogo } from './brand.ts'
import { Dashboard } from './components/dashboard.tsx'
import { Full } from './components/full.tsx'
import { Notice } from './components/notice.tsx'
import { Receipt } from './components/receipt.tsx'
import { Welcome } from './components/welcome.tsx'
import { appFull, connectError, connectErrorCode } from './connect-error.ts'
import { usePolling } from './polling.ts'

const retryPause = 5_000

/** Who is at the page: not known yet (with a word on why), nobody (likewise), an athlete, or who was one until their session ended. */
type Visitor =
  | { kind: 'unknown'; because?: string }
  | { kind: 'nobody'; because?: string }
  | { kind: 'athlete'; athlete: Athlete }
  | { kind: 'ended'; because: string }

/** The whole page. */
export function App({ api }: { api: Api }) {
  const [visitor, setVisitor] = useState<Visitor>({ kind: 'unknown' })
  const error = useConnectError()
  const [receipt, showReceipt] = useReceiptInAddress()
  // Only what answers GET /v1/me knows of the receipt if it ended with an erasure.
  const ended = visitor.kind === 'ended'

  usePolling(
    async (signal) => {
      if (receipt) return null
      let athlete: Athlete | null = null
      try {
        athlete = await api.me()
        if (signal.aborted) return null
        if (ended) await api.sync() // Fails as long as an erasure that has begun has not come to the profile.
        if (signal.aborted) return null
        setVisitor({ kind: 'athlete', athlete })
        return null
      } catch (reason) {
        const { status, message, receipt: erased } = asApiError(reason)
        if (signal.aborted) return null
        if (erased) void left(erased)
        else if (!ended)
          setVisitor(status === 401 ? { kind: 'nobody' } : { kind: 'unknown', because: `${message} Trying again…` })
        return status === 401 && !(ended && athlete) ? null : retryPause
      }
    },
    [api, receipt, ended],
  )

  const left = async (newReceipt: string) => {
    setVisitor({ kind: 'unknown' })
    showReceipt(newReceipt)
    // The session is void from here on; this takes its cookie away. Should it
    // fail, the cookie opens nothing.
    await api.logOut().catch(asApiError)
  }

  return (
    <div class="page">
      <header class="masthead">
        <a class="wordmark" href="/">
          Paceline
        </a>
      </header>
      <main>
        {error && error !== appFull && <Notice text={connectError(error)} />}
        {receipt ? (
          <Receipt api={api} receipt={receipt} />
        ) : visitor.kind === 'athlete' ? (
          <Dashboard
            api={api}
            athlete={visitor.athlete}
            onLoggedOut={() => setVisitor({ kind: 'nobody', because: 'You are logged out.' })}
            onSessionEnded={() =>
              setVisitor({ kind: 'ended', because: 'Your session has ended. Connect again to go on.' })
            }
            onLeft={left}
          />
        ) : (
          <>
            {visitor.because && <Notice text={visitor.because} />}
            {visitor.kind === 'unknown' ? (
              <p role="status">Loading…</p>
            ) : error === appFull ? (
              <Full api={api} />
            ) : (
              <Welcome />
            )}
          </>
        )}
      </main>
      <footer>
        {poweredByLogo ? <img src={poweredByLogo} alt="Powered by Strava" height="24" /> : <span>Powered by Strava</span>}
        <a href="/privacy.html">Privacy</a>
      </footer>
    </div>
  )
}

/** What went wrong while connecting. Read once; the address is cleaned so that a reload does not tell it again. */
function useConnectError(): string | null {
  const [error] = useState(() => connectErrorCode(location.search))
  useEffect(() => {
    if (error) history.replaceState(null, '', location.pathname + location.hash)
  }, [])
  return error
}

/**
 * The receipt in the address (#receipt=…), so that it survives a reload and can
 * be kept as a bookmark. A fragment is never sent to a server.
 */
function useReceiptInAddress(): [string | null, (receipt: string) => void] {
  const read = () => new URLSearchParams(location.hash.slice(1)).get('receipt')
  const [receipt, setReceipt] = useState(read)
  useEffect(() => {
    const changed = () => setReceipt(read())
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, [])
  const show = (newReceipt: string) => {
    location.hash = new URLSearchParams({ receipt: newReceipt }).toString()
    setReceipt(newReceipt)
  }
  return [receipt, show]
}
