import { useState } from 'preact/hooks'
import type { Api } from '../api.ts'
import { activityTable, everything } from '../export.ts'

interface Props {
  api: Api
  /** Does what the athlete asked for, and shows it when that fails. */
  act: (action: () => Promise<void>) => Promise<void>
}

/** Hands the athlete what is held on them, as files. */
export function Download({ api, act }: Props) {
  const [busy, setBusy] = useState(false)
  const [pages, setPages] = useState(0)

  const download = (name: string, type: string, collect: typeof everything) => () =>
    act(async () => {
      setBusy(true)
      setPages(0)
      try {
        save(name, type, await collect(api, setPages))
      } finally {
        setBusy(false)
      }
    })

  return (
    <section class="account" aria-labelledby="data">
      <h2 id="data">Your data</h2>
      <p>
        Everything that Paceline holds on you, as files. Programs can get it by the{' '}
        <a href="/openapi.json">HTTP API</a>.
      </p>
      <div class="buttons" aria-busy={busy}>
        <button type="button" class="button" disabled={busy} onClick={download('paceline.json', 'application/json', everything)}>
          Download my data
        </button>
        <button type="button" class="button" disabled={busy} onClick={download('activities.csv', 'text/csv', activityTable)}>
          Download activities as CSV
        </button>
      </div>
      <p role="status" aria-label="Download">
        {busy && pages > 1 && `Fetching page ${pages + 1}…`}
      </p>
    </section>
  )
}

function save(name: string, type: string, text: string) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type }))
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}
