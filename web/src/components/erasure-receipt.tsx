import { useEffect, useRef, useState } from 'preact/hooks'
import { asApiError, type Api, type Erasure } from '../api.ts'
import { instant } from '../format.ts'
import { usePolling } from '../polling.ts'
import { Alert } from './alert.tsx'

const pause = 2_000

/** The names of the parts of an erasure. */
const parts: Record<string, string> = {
  authorization: 'Access to Strava (revoked)',
  pending_work: 'Activities that were not read yet',
  profile: 'Your profile',
  activities: 'Your activities and totals',
  linked_account: 'Access to your linked account (revoked)',
  link: 'The account link',
}

/** The receipt of an erasure. Its state is polled until everything is erased. */
export function ErasureReceipt({ api, receipt }: { api: Api; receipt: string }) {
  const [erasure, setErasure] = useState<Erasure | 'unknown' | null>(null)
  const [error, setError] = useState<string | null>(null)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [])

  usePolling(
    async (signal) => {
      try {
        const current = await api.erasure(receipt)
        if (signal.aborted) return null
        setErasure(current)
        setError(null)
        return current.state === 'erased' ? null : pause
      } catch (caught) {
        const { status, message } = asApiError(caught)
        if (signal.aborted) return null
        if (status === 404) {
          setErasure('unknown')
          setError(null)
          return null
        }
        setError(message)
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
        Save this receipt or bookmark this page. The receipt contains no data about you. You can look it up for 30 days
        after the erasure.
      </p>
      <p class="buttons">
        <code>{receipt}</code>
        <CopyButton text={receipt} />
      </p>
      {error && <Alert text={`${error} Trying again…`} />}
      <div role="status">
        <ErasureState erasure={erasure} />
      </div>
      <p>
        <a href="/">Back to the home page</a>
      </p>
    </section>
  )
}

function ErasureState({ erasure }: { erasure: Erasure | 'unknown' | null }) {
  if (erasure === null) return <p>Checking status…</p>
  if (erasure === 'unknown') return <p>No erasure found for this receipt.</p>
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
          <strong>All data about you has been erased{erasure.completed_at && `: ${instant(erasure.completed_at)}`}.</strong>
          {erasure.copies_gone_by &&
            ` Copies remain in undelivered messages, backups and logs of failures. They expire by ${instant(erasure.copies_gone_by)}.`}
        </p>
      ) : (
        <p>Your data is being erased. This page updates until the erasure is complete.</p>
      )}
    </>
  )
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false)
  // Browsers provide the clipboard only on secure origins.
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
