import { describe, expect, it, vi } from 'vitest'
import { ApiError, asApiError, createApi } from './api.ts'

/** Returns a client whose requests all get this response, and the requests sent. */
function fakeApi(body: string | null, init: ResponseInit = {}) {
  const fetch = vi.fn<typeof globalThis.fetch>(async () => new Response(body, init))
  return { api: createApi(fetch), requests: () => fetch.mock.calls.map(([url, options]) => `${options?.method} ${url}`) }
}

async function mustFail(call: Promise<unknown>): Promise<ApiError> {
  try {
    await call
  } catch (caught) {
    return asApiError(caught)
  }
  throw new Error('the request did not fail')
}

describe('requests', () => {
  it('use the routes of the HTTP API', async () => {
    const { api, requests } = fakeApi('{"items":[],"next_cursor":null}')
    await api.me()
    await api.sync()
    await api.refresh()
    await api.activities({ sportType: '' })
    await api.activities({ sportType: 'Run', cursor: 'a/b+c=' })
    await api.stats({ by: 'week', sportType: 'Ride' })
    await api.logOut()
    await api.leave()
    await api.erasure('../me')
    expect(requests()).toEqual([
      'GET /v1/me',
      'GET /v1/me/sync',
      'POST /v1/me/sync',
      'GET /v1/me/activities?limit=30',
      'GET /v1/me/activities?limit=30&sport_type=Run&cursor=a%2Fb%2Bc%3D',
      'GET /v1/me/stats?by=week&sport_type=Ride',
      'POST /oauth/logout',
      'DELETE /v1/me',
      'GET /v1/erasures/..%2Fme',
    ])
  })

  it('skip empty pages of a rare sport', async () => {
    const cursors: string[] = []
    const api = createApi(async (url) => {
      const cursor = new URL(String(url), 'http://paceline.test').searchParams.get('cursor') ?? ''
      cursors.push(cursor)
      const page = { '': { items: [], next_cursor: 'c1' }, c1: { items: [], next_cursor: 'c2' }, c2: { items: [{ id: 1 }], next_cursor: 'c3' } }
      return new Response(JSON.stringify(page[cursor as keyof typeof page] ?? { items: [], next_cursor: null }))
    })
    expect(await api.activities({ sportType: 'Canoeing' })).toEqual({ items: [{ id: 1 }], next_cursor: 'c3' })
    expect(cursors).toEqual(['', 'c1', 'c2'])
    expect(await api.activities({ sportType: 'Canoeing', cursor: 'c3' })).toEqual({ items: [], next_cursor: null })
  })

  it('resolve to the response', async () => {
    expect(await fakeApi('{"id":7,"firstname":"Ann"}').api.me()).toEqual({ id: 7, firstname: 'Ann' })
    expect(await fakeApi('{"receipt":"r1","status_url":"/v1/erasures/r1"}', { status: 202 }).api.leave()).toBe('r1')
    expect(await fakeApi(null, { status: 204 }).api.logOut()).toBeUndefined()
    expect(await fakeApi('{"requested_at":"2026-11-17T12:00:00Z","status_url":"/v1/me/sync"}', { status: 202 }).api.refresh()).toBeUndefined()
  })
})

describe('errors', () => {
  it('show the detail of the problem document, or else its title', async () => {
    const problem = '{"type":"about:blank","title":"Unauthorized","status":401,"detail":"There is no session."}'
    const error = await mustFail(fakeApi(problem, { status: 401 }).api.me())
    expect(error).toMatchObject({ status: 401, message: 'There is no session.' })
    const withoutDetail = await mustFail(fakeApi('{"title":"Unauthorized","status":401}', { status: 401 }).api.me())
    expect(withoutDetail.message).toBe('Unauthorized')
  })

  it('contain the receipt of the erasure that ended the session', async () => {
    const receipt = async (erasure: unknown) =>
      (await mustFail(fakeApi(JSON.stringify({ title: 'Unauthorized', erasure }), { status: 401 }).api.me())).receipt
    expect(await receipt('/v1/erasures/r1_-')).toBe('r1_-')
    for (const other of [undefined, null, 7, '', '/v1/erasures/', '/v1/erasures/a/b', 'https://evil.example/v1/erasures/r1']) {
      expect(await receipt(other)).toBeNull()
    }
  })

  it.each(['<html>Bad gateway</html>', 'null', '{"erasure":{"toString":1}}', '{"message":"Forbidden"}', '{"detail":{"a":1}}'])(
    'stay readable when the body is %s',
    async (body) => {
      const error = await mustFail(fakeApi(body, { status: 502 }).api.sync())
      expect(error).toMatchObject({ status: 502, message: 'The request failed (error 502). Try again later.' })
    },
  )

  it('have status 0 without a response', async () => {
    const api = createApi(() => Promise.reject(new TypeError('Failed to fetch')))
    expect(await mustFail(api.me())).toMatchObject({ status: 0, message: 'Paceline cannot be reached.' })
  })

  it('report a response that is not JSON', async () => {
    const error = await mustFail(fakeApi('<html>').api.me())
    expect(error.message).toBe('Paceline sent an unexpected response.')
  })

  it('differ from bugs of the page', () => {
    expect(() => asApiError(new RangeError('a bug'))).toThrow(RangeError)
  })
})
