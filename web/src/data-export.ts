import { asApiError, type Api, type ExportPage } from './api.ts'

/** Receives the number of pages fetched so far. */
type OnPage = (pages: number) => void

/** All data that Paceline stores about the athlete, as JSON: the export and each part that it links to. */
export async function exportJSON(api: Api, onPage: OnPage): Promise<string> {
  const { parts, ...data } = await retryAfterLimit(() => api.export())
  for (const part of parts) {
    if (part.type !== 'application/json') continue
    const pages = (await fetchPages(api, part.href, onPage)).map((text) => JSON.parse(text) as { items?: unknown[] })
    data[part.name] = pages[0]?.items ? pages.flatMap((page) => page.items) : pages[0]
  }
  return JSON.stringify(data, null, 2)
}

/** All activities as CSV. */
export async function exportActivitiesCSV(api: Api, onPage: OnPage): Promise<string> {
  const { parts } = await retryAfterLimit(() => api.export())
  const part = parts.find(({ name, type }) => name === 'activities' && type === 'text/csv')
  return part ? (await fetchPages(api, part.href, onPage)).join('') : ''
}

async function fetchPages(api: Api, first: string, onPage: OnPage): Promise<string[]> {
  const texts: string[] = []
  for (let href: string | null = first; href !== null; ) {
    const at: string = href
    const page: ExportPage = await retryAfterLimit(() => api.exportPage(at))
    texts.push(page.text)
    onPage(texts.length)
    href = page.next
  }
  return texts
}

/** Calls `call`, and calls it again after each wait that the rate limit demands. */
async function retryAfterLimit<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (caught) {
      const { retryAfter } = asApiError(caught)
      if (retryAfter === null) throw caught
      await new Promise((resolve) => setTimeout(resolve, retryAfter * 1000))
    }
  }
}
