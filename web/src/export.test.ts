import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApi } from './api.ts'
import { activityTable, everything } from './export.ts'

// A Paceline with two activities on two pages, which now and then has had
// enough of calls.

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
  it('has all pages of all parts', async () => {
    expect(JSON.parse(await everything(createApi(fakeFetch), () => {}))).toEqual({
      athlete_id: 7,
      profile: { id: 7, firstname: 'Ann' },
      activities: [{ id: 2 }, { id: 1 }],
      totals: { periods: [], total: {} },
      keys: [{ id: 'k', name: 'Watch' }],
    })
  })

  it('has a table of all activities, and tells how far it is', async () => {
    const seen: number[] = []
    expect(await activityTable(createApi(fakeFetch), (pages) => seen.push(pages))).toBe('id,name\r\n2,b\r\n1,a\r\n')
    expect(seen).toEqual([1, 2])
  })

  it('waits for the rate limit as long as it is told', async () => {
    refusals = 2
    expect(await activityTable(createApi(fakeFetch), () => {})).toContain('1,a')
    expect(waited).toBe(6_000)
  })

  it('fails when a page does', async () => {
    const fetch: typeof fakeFetch = async (url, init) =>
      String(url).includes('cursor') ? new Response('{"detail":"Gone."}', { status: 401 }) : fakeFetch(url, init)
    await expect(everything(createApi(fetch), () => {})).rejects.toMatchObject({ status: 401, message: 'Gone.' })
  })
})
