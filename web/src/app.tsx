import { useEffect, useState } from 'preact/hooks'
import { asApiError, type Api, type Athlete } from './api.ts'
import { Alert } from './components/alert.tsx'
import { Dashboard } from './components/dashboard.tsx'
import { ErasureReceipt } from './components/erasure-receipt.tsx'
import { WaitlistPage } from './components/waitlist-page.tsx'
import { Welcome } from './components/welcome.tsx'
import { appFull, connectError, connectErrorCode } from './connect-error.ts'
import { usePolling } from './polling.ts'
import { poweredByLogo } from './strava-brand.ts'

const retryPause = 5_000

/** The visitor: unknown until the API answers, signed out, an athlete, or an athlete whose session ended. */
type Visitor =
  | { kind: 'unknown'; message?: string }
  | { kind: 'signed-out'; message?: string }
  | { kind: 'athlete'; athlete: Athlete }
  | { kind: 'ended'; message: string }

/** The whole page. */
export function App({ api }: { api: Api }) {
  const [visitor, setVisitor] = useState<Visitor>({ kind: 'unknown' })
  const error = useConnectError()
  const [receipt, showReceipt] = useReceiptInAddress()
  // If an erasure ended the session, only GET /v1/me returns its receipt.
  const ended = visitor.kind === 'ended'

  usePolling(
    async (signal) => {
      if (receipt) return null
      let athlete: Athlete | null = null
      try {
        athlete = await api.me()
        if (signal.aborted) return null
        // Until an erasure has reached the profile, GET /v1/me still succeeds but GET /v1/me/sync fails.
        if (ended) await api.sync()
        if (signal.aborted) return null
        setVisitor({ kind: 'athlete', athlete })
        return null
      } catch (reason) {
        const { status, message, receipt: erased } = asApiError(reason)
        if (signal.aborted) return null
        if (erased) void showErasure(erased)
        else if (!ended)
          setVisitor(status === 401 ? { kind: 'signed-out' } : { kind: 'unknown', message: `${message} Trying again…` })
        return status === 401 && !(ended && athlete) ? null : retryPause
      }
    },
    [api, receipt, ended],
  )

  const showErasure = async (newReceipt: string) => {
    setVisitor({ kind: 'unknown' })
    showReceipt(newReceipt)
    // The session has already ended; logging out only removes its cookie. If
    // that fails, the cookie gives no access.
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
        {error && error !== appFull && <Alert text={connectError(error)} />}
        {receipt ? (
          <ErasureReceipt api={api} receipt={receipt} />
        ) : visitor.kind === 'athlete' ? (
          <Dashboard
            api={api}
            athlete={visitor.athlete}
            onLoggedOut={() => setVisitor({ kind: 'signed-out', message: 'You are logged out.' })}
            onSessionEnded={() =>
              setVisitor({ kind: 'ended', message: 'Your session has ended. Connect again to continue.' })
            }
            onLeft={showErasure}
          />
        ) : (
          <>
            {visitor.message && <Alert text={visitor.message} />}
            {visitor.kind === 'unknown' ? (
              <p role="status">Loading…</p>
            ) : error === appFull ? (
              <WaitlistPage api={api} />
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

/** The error of the last attempt to connect. It is removed from the address, so a reload does not show it again. */
function useConnectError(): string | null {
  const [error] = useState(() => connectErrorCode(location.search))
  useEffect(() => {
    if (error) history.replaceState(null, '', location.pathname + location.hash)
  }, [])
  return error
}

/**
 * The receipt in the address (#receipt=…). It survives a reload and can be
 * bookmarked. Browsers never send a fragment to a server.
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
