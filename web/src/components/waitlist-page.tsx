import { useState } from 'preact/hooks'
import { asApiError, type Api } from '../api.ts'
import { Alert } from './alert.tsx'

/** Explains that Paceline is full and offers the waiting list. */
export function WaitlistPage({ api }: { api: Api }) {
  return (
    <div class="prose">
      <h1>Paceline is full</h1>
      <p role="alert">
        Strava limits how many athletes can connect, and every place is taken. You were not connected. Paceline kept no
        data about you.
      </p>
      <p>
        Connected before? You still have your place: <a href="/oauth/connect?returning=1">sign in with Strava</a>.
      </p>
      <h2>Waiting list</h2>
      <p>
        Leave your e-mail address. The operator can then write to you when a place is free. The address is used only for
        this. It is deleted after 90 days.
      </p>
      <WaitlistForm api={api} />
      <p>
        <a href="/">Back to the home page</a>
      </p>
    </div>
  )
}

function WaitlistForm({ api }: { api: Api }) {
  const [state, setState] = useState<'empty' | 'sent' | 'joined'>('empty')
  const [error, setError] = useState<string | null>(null)

  const join = async (event: SubmitEvent) => {
    event.preventDefault()
    const contact = new FormData(event.currentTarget as HTMLFormElement).get('contact')
    setState('sent')
    setError(null)
    try {
      await api.joinWaitlist(String(contact))
      setState('joined')
    } catch (caught) {
      setError(asApiError(caught).message)
      setState('empty')
    }
  }

  if (state === 'joined') return <p role="status">Your address is on the waiting list.</p>
  return (
    <>
      {error && <Alert text={error} />}
      <form class="filter" onSubmit={join}>
        <label for="contact">E-mail address</label>
        <input id="contact" name="contact" type="email" autocomplete="email" maxLength={254} required />
        <button class="button" disabled={state === 'sent'}>
          {state === 'sent' ? 'Joining…' : 'Join the waiting list'}
        </button>
      </form>
    </>
  )
}
