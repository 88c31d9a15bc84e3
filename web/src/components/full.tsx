import { useState } from 'preact/hooks'
import { asApiError, type Api } from '../api.ts'
import { Notice } from './notice.tsx'

/** There is no place for another athlete: why, what one can do, and the waiting list. */
export function Full({ api }: { api: Api }) {
  return (
    <div class="prose">
      <h1>Paceline is full just now</h1>
      <p role="alert">
        Strava lets this copy of Paceline have so many athletes and no more, and every place is taken. You were not
        connected, and nothing of yours was kept.
      </p>
      <p>
        You have connected here before? Then your place is still yours:{' '}
        <a href="/oauth/connect?returning=1">sign in with Strava</a>.
      </p>
      <h2>Waiting list</h2>
      <p>
        Leave an e-mail address, and whoever runs this copy of Paceline can tell you when there is a place for you. It is
        used for nothing else, and forgotten after 90 days.
      </p>
      <Form api={api} />
      <p>
        <a href="/">Back to the first page</a>
      </p>
    </div>
  )
}

function Form({ api }: { api: Api }) {
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
    } catch (reason) {
      setError(asApiError(reason).message)
      setState('empty')
    }
  }

  if (state === 'joined') return <p role="status">Your address is on the waiting list.</p>
  return (
    <>
      {error && <Notice text={error} />}
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
