import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApi } from './api.ts'
import { exportActivitiesCSV, exportJSON } from './data-export.ts'

// A fake API with two activities on two pages. It can refuse requests because of
// the rate limit.

const list = '/v1/me/activities?limit=200'
const answers: Record<string, { body: string; next?: string }> = {
  '/v1/me/export': {
    body: JSON.stringify({
      athlete_id: 7,
      profile: { id: 7, firstname: 'Ann' },
      parts: [
        { name: 'activities', type: 'application/json', href: list },
        { name: 'activities', type: 'text/csv', href: `${list}&format=csv` },
        { name: 'totals', type: 'application/json', href: '/v1/me/stats?by=month' },
        { name: 'keys', type: 'application/json', href: '/v1/me/keys' },
      ],
    }),
  },
  [list]: { body: '{"items":[{"id":2}],"next_cursor":"c"}', next: `${list}&cursor=c` },
  [`${list}&cursor=c`]: { body: '{"items":[{"id":1}],"next_cursor":null}' },
  [`${list}&format=csv`]: { body: 'id,name\r\n2,b\r\n', next: `${list}&format=csv&cursor=c` },
  [`${list}&format=csv&cursor=c`]: { body: '1,a\r\n' },
  '/v1/me/keys': { body: '{"items":[{"id":"k","name":"Watch"}]}' },
  '/v1/me/stats?by=month': { body: '{"periods":[],"total":{}}' },
}

let refusals: number
let waited: number

const fakeFetch: typeof fetch = async (url) => {
  if (refusals > 0) {
    refusals--
    return new Response('{"detail":"Too many."}', { status: 429, headers: { 'Retry-After': '3' } })
  }
  const answer = answers[String(url)]
  if (!answer) return new Response('{}', { status: 404 })
  return new Response(answer.body, { headers: answer.next ? { Link: `<${answer.next}>; rel="next"` } : {} })
}

beforeEach(() => {
  refusals = 0
  waited = 0
  vi.stubGlobal('setTimeout', (done: () => void, milliseconds: number) => {
    waited += milliseconds
    queueMicrotask(done)
  })
})

afterEach(() => void vi.unstubAllGlobals())

describe('an export', () => {
  it('contains all pages of all parts', async () => {
    expect(JSON.parse(await exportJSON(createApi(fakeFetch), () => {}))).toEqual({
      athlete_id: 7,
      profile: { id: 7, firstname: 'Ann' },
      activities: [{ id: 2 }, { id: 1 }],
      totals: { periods: [], total: {} },
      keys: [{ id: 'k', name: 'Watch' }],
    })
  })

  it('writes all activities as CSV and reports its progress', async () => {
    const seen: number[] = []
    expect(await exportActivitiesCSV(createApi(fakeFetch), (pages) => seen.push(pages))).toBe('id,name\r\n2,b\r\n1,a\r\n')
    expect(seen).toEqual([1, 2])
  })

  it('waits as long as Retry-After says', async () => {
    refusals = 2
    expect(await exportActivitiesCSV(createApi(fakeFetch), () => {})).toContain('1,a')
    expect(waited).toBe(6_000)
  })

  it('fails if a page fails', async () => {
    const fetch: typeof fakeFetch = async (url, init) =>
      String(url).includes('cursor') ? new Response('{"detail":"Gone."}', { status: 401 }) : fakeFetch(url, init)
    await expect(exportJSON(createApi(fetch), () => {})).rejects.toMatchObject({ status: 401, message: 'Gone.' })
  })
})
