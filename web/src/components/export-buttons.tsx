import { useState } from 'preact/hooks'
import type { Api } from '../api.ts'
import { exportActivitiesCSV, exportJSON } from '../data-export.ts'

interface Props {
  api: Api
  /** Runs an action of the athlete and shows its error, if any. */
  run: (action: () => Promise<void>) => Promise<void>
}

/** Downloads all data about the athlete as files. */
export function ExportButtons({ api, run }: Props) {
  const [busy, setBusy] = useState(false)
  const [pages, setPages] = useState(0)

  const download = (name: string, type: string, collect: typeof exportJSON) => () =>
    run(async () => {
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
        Download everything that Paceline stores about you. Programs can use the <a href="/openapi.json">HTTP API</a>.
      </p>
      <div class="buttons" aria-busy={busy}>
        <button type="button" class="button" disabled={busy} onClick={download('paceline.json', 'application/json', exportJSON)}>
          Download my data
        </button>
        <button type="button" class="button" disabled={busy} onClick={download('activities.csv', 'text/csv', exportActivitiesCSV)}>
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
