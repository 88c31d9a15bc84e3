import { useEffect, useState } from 'preact/hooks'
import { asApiError, type Api, type LinkedAccount, type LinkedDay } from '../api.ts'
import { count, day as calendarDay, instant } from '../format.ts'
import { Alert } from './alert.tsx'

interface Props {
  api: Api
  accounts: LinkedAccount[]
  onSessionEnded: () => void
}

/** Links and unlinks an account at Fitbit. Shows its current day as proof that the link works. */
export function LinkedAccounts({ api, accounts, onSessionEnded }: Props) {
  const account = accounts.find(({ provider }) => provider === 'fitbit')
  return (
    <section class="account" aria-labelledby="links">
      <h2 id="links">Linked accounts</h2>
      {account ? (
        <LinkedAccountDay key={account.account_id} api={api} account={account} onSessionEnded={onSessionEnded} />
      ) : (
        <>
          <p>Link your Fitbit account to see today’s steps here. Paceline does not store them.</p>
          <div class="buttons">
            <a class="button" href="/oauth/fitbit/connect">
              Connect Fitbit
            </a>
          </div>
        </>
      )}
    </section>
  )
}

/** A linked account and its current day. */
function LinkedAccountDay({ api, account, onSessionEnded }: { api: Api; account: LinkedAccount; onSessionEnded: () => void }) {
  const [day, setDay] = useState<LinkedDay | null>(null)
  const [error, setError] = useState<{ text: string; relink: boolean } | null>(null)
  const [unlinking, setUnlinking] = useState<'no' | 'sent' | 'done'>('no')

  /** Shows an error; a conflict means that the account must be linked again. */
  const report = (caught: unknown) => {
    const { status, message } = asApiError(caught)
    if (status === 401) onSessionEnded()
    else setError({ text: message, relink: status === 409 })
  }

  useEffect(() => {
    let unmounted = false
    api.linkedDay(account.provider).then(
      (read) => unmounted || setDay(read),
      (caught: unknown) => unmounted || report(caught),
    )
    return () => {
      unmounted = true
    }
  }, [api, account.provider])

  const unlink = async () => {
    if (unlinking === 'sent') return
    setUnlinking('sent')
    setError(null)
    try {
      await api.unlink(account.provider)
      setUnlinking('done')
    } catch (caught) {
      if (asApiError(caught).status === 404) setUnlinking('done')
      else {
        setUnlinking('no')
        report(caught)
      }
    }
  }

  if (unlinking === 'done') return <p role="status">Fitbit is being unlinked. This takes a moment.</p>
  return (
    <>
      <p>
        Fitbit{day?.display_name && `: ${day.display_name}`}, linked {instant(account.linked_at)}.
      </p>
      {error && <Alert text={error.text} />}
      <p role="status" aria-label="Fitbit">
        {day
          ? `${calendarDay(day.date)}: ${count(day.steps)} steps, ${count(day.active_minutes)} active minutes.`
          : !error && 'Loading from Fitbit…'}
      </p>
      <div class="buttons">
        {error?.relink && (
          <a class="button" href={`/oauth/${account.provider}/connect`}>
            Connect Fitbit again
          </a>
        )}
        <button type="button" class="button danger" aria-disabled={unlinking === 'sent'} onClick={unlink}>
          Unlink Fitbit
        </button>
      </div>
    </>
  )
}
