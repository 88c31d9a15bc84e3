import { useState } from 'preact/hooks'
import { asApiError, type Api, type Key, type NewKey } from '../api.ts'
import { day, instant } from '../format.ts'
import { Alert } from './alert.tsx'

interface Props {
  api: Api
  onSessionEnded: () => void
}

/** Creates, lists and revokes the keys with which programs read the athlete's data. */
export function ApiKeys({ api, onSessionEnded }: Props) {
  const [keys, setKeys] = useState<Key[] | null>(null)
  const [newKey, setNewKey] = useState<NewKey | null>(null)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string | null>(null)

  /** Runs an action of the athlete, then reads the list again. */
  const run = async (action: () => Promise<void>) => {
    if (busy) return
    setBusy(true)
    setError(null)
    try {
      await action()
      setKeys(await api.keys())
    } catch (caught) {
      const { status, message } = asApiError(caught)
      if (status === 401) onSessionEnded()
      else setError(message)
    } finally {
      setBusy(false)
    }
  }

  const create = (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const fields = new FormData(form)
    return run(async () => {
      setNewKey(await api.createKey(String(fields.get('name')), endOf(String(fields.get('end')))))
      form.reset()
    })
  }

  const revoke = (key: Key) =>
    run(async () => {
      await api.revokeKey(key.id)
      setNewKey((shown) => (shown?.id === key.id ? null : shown))
    })

  return (
    <section class="account" aria-labelledby="keys">
      <h2 id="keys">Keys for programs</h2>
      <p>
        A key lets a program read your data through the <a href="/openapi.json">HTTP API</a>. It cannot change anything.
      </p>
      <details onToggle={(event) => event.currentTarget.open && void run(async () => {})}>
        <summary>Your keys</summary>
        {error && <Alert text={error} />}
        {newKey && <NewKeySecret key={newKey.id} secret={newKey.secret} onDone={() => setNewKey(null)} />}
        {keys && keys.length > 0 && <KeyTable keys={keys} busy={busy} onRevoke={revoke} />}
        <p role="status" aria-label="Keys">
          {keys === null ? busy && 'Loading…' : keys.length === 0 && 'You have no keys.'}
        </p>
        <form class="filter" onSubmit={create}>
          <label for="key-name">Name</label>
          <input id="key-name" name="name" type="text" autocomplete="off" maxLength={60} required />
          <label for="key-end">Last day (optional)</label>
          <input id="key-end" name="end" type="date" />
          <button class="button" aria-disabled={busy}>
            Create a key
          </button>
        </form>
      </details>
    </section>
  )
}

/** The secret of a new key. It cannot be shown again. */
function NewKeySecret({ secret, onDone }: { secret: string; onDone: () => void }) {
  const [copied, setCopied] = useState('')

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret)
      setCopied('Copied.')
    } catch {
      setCopied('Copying failed. Select the key and copy it yourself.')
    }
  }

  return (
    <div class="notice receipt">
      <p>Copy the key now. It is shown only once.</p>
      <p>
        <code>{secret}</code>
      </p>
      <div class="buttons">
        <button type="button" class="button" onClick={copy}>
          Copy the key
        </button>
        <button type="button" class="button" onClick={onDone}>
          Done
        </button>
        <span role="status" aria-label="Copying">
          {copied}
        </span>
      </div>
    </div>
  )
}

function KeyTable({ keys, busy, onRevoke }: { keys: Key[]; busy: boolean; onRevoke: (key: Key) => void }) {
  return (
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Created</th>
            <th scope="col">Expires</th>
            <th scope="col">Last used</th>
            <th scope="col">
              <span class="unseen">Revoke</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key.id}>
              <th scope="row">{key.name}</th>
              <td>{instant(key.created_at)}</td>
              <td>{key.expires_at ? instant(key.expires_at) : 'Never'}</td>
              <td>{key.last_used_on ? day(key.last_used_on) : 'Never'}</td>
              <td>
                <button
                  type="button"
                  class="button danger"
                  aria-disabled={busy}
                  aria-label={`Revoke ${key.name}`}
                  onClick={() => onRevoke(key)}
                >
                  Revoke
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Returns the end of a day in the reader's time zone, or undefined without a day. */
function endOf(date: string): string | undefined {
  return date ? new Date(`${date}T23:59:59`).toISOString() : undefined
}
