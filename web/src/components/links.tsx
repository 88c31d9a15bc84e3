import { useEffect, useState } from 'preact/hooks'
import { asApiError, type Api, type LinkedAccount, type LinkedDay } from '../api.ts'
import { count, day, instant } from '../format.ts'
import { Notice } from './notice.tsx'

interface Props {
  api: Api
  accounts: LinkedAccount[]
  onSessionEnded: () => void
}

/** Lets the athlete link an account at Fitbit, shows its day as proof, and unlinks it. */
export function Links({ api, accounts, onSessionEnded }: Props) {
  const account = accounts.find(({ provider }) => provider === 'fitbit')
  return (
    <section class="account" aria-labelledby="links">
      <h2 id="links">Linked accounts</h2>
      {account ? (
        <Linked key={account.account_id} api={api} account={account} onSessionEnded={onSessionEnded} />
      ) : (
        <>
          <p>Link your Fitbit account to see today’s steps here. Paceline stores none of them.</p>
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

/** A linked account, and the day there. */
function Linked({ api, account, onSessionEnded }: { api: Api; account: LinkedAccount; onSessionEnded: () => void }) {
  const [shown, setShown] = useState<LinkedDay | null>(null)
  const [trouble, setTrouble] = useState<{ text: string; again: boolean } | null>(null)
  const [unlinking, setUnlinking] = useState<'no' | 'sent' | 'done'>('no')

  /** Says what failed; `again` offers to link the account again. */
  const note = (caught: unknown) => {
    const { status, message } = asApiError(caught)
    if (status === 401) onSessionEnded()
    else setTrouble({ text: message, again: status === 409 })
  }

  useEffect(() => {
    let gone = false
    api.linkedDay(account.provider).then(
      (read) => gone || setShown(read),
      (caught: unknown) => gone || note(caught),
    )
    return () => {
      gone = true
    }
  }, [api, account.provider])

  const unlink = async () => {
    if (unlinking === 'sent') return
    setUnlinking('sent')
    setTrouble(null)
    try {
      await api.unlink(account.provider)
      setUnlinking('done')
    } catch (caught) {
      if (asApiError(caught).status === 404) setUnlinking('done')
      else {
        setUnlinking('no')
        note(caught)
      }
    }
  }

  if (unlinking === 'done') return <p role="status">Fitbit is being unlinked. This takes a moment.</p>
  return (
    <>
      <p>
        Fitbit{shown?.display_name && `: ${shown.display_name}`}, linked {instant(account.linked_at)}.
      </p>
      {trouble && <Notice text={trouble.text} />}
      <p role="status" aria-label="Fitbit">
        {shown
          ? `${day(shown.date)}: ${count(shown.steps)} steps, ${count(shown.active_minutes)} active minutes.`
          : !trouble && 'Asking Fitbit…'}
      </p>
      <div class="buttons">
        {trouble?.again && (
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
