import { useEffect, useRef, useState } from 'preact/hooks'
import { asApiError, type Api, type Erasure } from '../api.ts'
import { instant } from '../format.ts'
import { usePolling } from '../polling.ts'
import { Notice } from './notice.tsx'

const pause = 2_000

/** What the parts of an erasure are. */
const parts: Record<string, string> = {
  authorization: 'Your access, revoked at Strava',
  pending_work: 'Whatever was still to be read',
  profile: 'Your profile',
  activities: 'Your activities and their totals',
  linked_account: 'Access to your linked account, revoked there',
  link: 'The link to your account',
}

/** The receipt of an erasure, followed until everything is erased. */
export function Receipt({ api, receipt }: { api: Api; receipt: string }) {
  const [erasure, setErasure] = useState<Erasure | 'unknown' | null>(null)
  const [trouble, setTrouble] = useState<string | null>(null)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [])

  usePolling(
    async (signal) => {
      try {
        const now = await api.erasure(receipt)
        if (signal.aborted) return null
        setErasure(now)
        setTrouble(null)
        return now.state === 'erased' ? null : pause
      } catch (caught) {
        const { status, message } = asApiError(caught)
        if (signal.aborted) return null
        if (status === 404) {
          setErasure('unknown')
          setTrouble(null)
          return null
        }
        setTrouble(message)
        return pause
      }
    },
    [api, receipt],
  )

  return (
    <section class="prose receipt">
      <h1 ref={heading} tabIndex={-1}>
        Your erasure receipt
      </h1>
      <p>
        Keep this receipt, or the address of this page. It holds no data about you, and can be
        looked up for 30 days after the erasure.
      </p>
      <p class="buttons">
        <code>{receipt}</code>
        <CopyButton text={receipt} />
      </p>
      {trouble && <Notice text={`${trouble} Trying again…`} />}
      <div role="status">
        <State erasure={erasure} />
      </div>
      <p>
        <a href="/">Back to the first page</a>
      </p>
    </section>
  )
}

function State({ erasure }: { erasure: Erasure | 'unknown' | null }) {
  if (erasure === null) return <p>Asking how far the erasure is…</p>
  if (erasure === 'unknown') return <p>Paceline knows no erasure by this receipt.</p>
  return (
    <>
      <p>Requested: {instant(erasure.requested_at)}.</p>
      {erasure.erased && (
        <ul>
          {erasure.erased.map(({ what, at }) => (
            <li key={what}>
              {parts[what] ?? what}: {instant(at)}
            </li>
          ))}
        </ul>
      )}
      {erasure.state === 'erased' ? (
        <p>
          <strong>Everything held on you has been erased{erasure.completed_at && `: ${instant(erasure.completed_at)}`}.</strong>
          {erasure.copies_gone_by &&
            ` Copies that nobody reads in the ordinary course (undelivered messages, backups, logs of failures) are gone by ${instant(erasure.copies_gone_by)}.`}
        </p>
      ) : (
        <p>Your data is being erased. This takes a moment; this page follows it.</p>
      )}
    </>
  )
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false)
  // Browsers offer the clipboard only to pages served securely.
  if (!navigator.clipboard) return null
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
  }
  return (
    <button type="button" class="button" onClick={copy}>
      {copied ? 'Copied' : 'Copy'}
    </button>
  )
}
