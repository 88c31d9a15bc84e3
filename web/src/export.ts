import { asApiError, type Api, type ExportPage } from './api.ts'

/** Is called with how many pages have been fetched. */
type OnPage = (pages: number) => void

/** Everything Paceline holds on the athlete, as JSON text: what the export says, and each part that it leads to. */
export async function everything(api: Api, onPage: OnPage): Promise<string> {
  const { parts, ...held } = await patient(() => api.export())
  for (const part of parts) {
    if (part.type !== 'application/json') continue
    const pages = (await pagesOf(api, part.href, onPage)).map((text) => JSON.parse(text) as { items?: unknown[] })
    held[part.name] = pages[0]?.items ? pages.flatMap((page) => page.items) : pages[0]
  }
  return JSON.stringify(held, null, 2)
}

/** All activities as CSV. */
export async function activityTable(api: Api, onPage: OnPage): Promise<string> {
  const { parts } = await patient(() => api.export())
  const part = parts.find(({ name, type }) => name === 'activities' && type === 'text/csv')
  return part ? (await pagesOf(api, part.href, onPage)).join('') : ''
}

async function pagesOf(api: Api, first: string, onPage: OnPage): Promise<string[]> {
  const texts: string[] = []
  for (let href: string | null = first; href !== null; ) {
    const at: string = href
    const page: ExportPage = await patient(() => api.exportPage(at))
    texts.push(page.text)
    onPage(texts.length)
    href = page.next
  }
  return texts
}

/** What the call resolves to, however often it has to wait for the rate limit. */
async function patient<T>(call: () => Promise<T>): Promise<T> {
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
