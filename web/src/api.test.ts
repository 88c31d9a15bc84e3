import { describe, expect, it, vi } from 'vitest'
import { ApiError, asApiError, createApi } from './api.ts'

/** A client whose every request gets this answer, and the requests it made. */
function answering(body: string | null, init: ResponseInit = {}) {
  const fetch = vi.fn<typeof globalThis.fetch>(async () => new Response(body, init))
  return { api: createApi(fetch), requests: () => fetch.mock.calls.map(([url, options]) => `${options?.method} ${url}`) }
}

async function failure(call: Promise<unknown>): Promise<ApiError> {
  try {
    await call
  } catch (caught) {
    return asApiError(caught)
  }
  throw new Error('the call did not fail')
}

describe('requests', () => {
  it('ask for what the HTTP API offers', async () => {
    const { api, requests } = answering('{"items":[],"next_cursor":null}')
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

  it('pass over pages on which there is nothing of a rare sport', async () => {
    const asked: string[] = []
    const api = createApi(async (url) => {
      const cursor = new URL(String(url), 'http://paceline.test').searchParams.get('cursor') ?? ''
      asked.push(cursor)
      const page = { '': { items: [], next_cursor: 'c1' }, c1: { items: [], next_cursor: 'c2' }, c2: { items: [{ id: 1 }], next_cursor: 'c3' } }
      return new Response(JSON.stringify(page[cursor as keyof typeof page] ?? { items: [], next_cursor: null }))
    })
    expect(await api.activities({ sportType: 'Canoeing' })).toEqual({ items: [{ id: 1 }], next_cursor: 'c3' })
    expect(asked).toEqual(['', 'c1', 'c2'])
    expect(await api.activities({ sportType: 'Canoeing', cursor: 'c3' })).toEqual({ items: [], next_cursor: null })
  })

  it('resolve to what was answered', async () => {
    expect(await answering('{"id":7,"firstname":"Ann"}').api.me()).toEqual({ id: 7, firstname: 'Ann' })
    expect(await answering('{"receipt":"r1","status_url":"/v1/erasures/r1"}', { status: 202 }).api.leave()).toBe('r1')
    expect(await answering(null, { status: 204 }).api.logOut()).toBeUndefined()
    expect(await answering('{"requested_at":"2026-11-17T12:00:00Z","status_url":"/v1/me/sync"}', { status: 202 }).api.refresh()).toBeUndefined()
  })
})

describe('errors', () => {
  it('say what the problem document says, the detail before the title', async () => {
    const problem = '{"type":"about:blank","title":"Unauthorized","status":401,"detail":"There is no session."}'
    const error = await failure(answering(problem, { status: 401 }).api.me())
    expect(error).toMatchObject({ status: 401, message: 'There is no session.' })
    const untold = await failure(answering('{"title":"Unauthorized","status":401}', { status: 401 }).api.me())
    expect(untold.message).toBe('Unauthorized')
  })

  it('tell the receipt of the erasure that the session ended with', async () => {
    const receipt = async (erasure: unknown) =>
      (await failure(answering(JSON.stringify({ title: 'Unauthorized', erasure }), { status: 401 }).api.me())).receipt
    expect(await receipt('/v1/erasures/r1_-')).toBe('r1_-')
    for (const other of [undefined, null, 7, '', '/v1/erasures/', '/v1/erasures/a/b', 'https://evil.example/v1/erasures/r1']) {
      expect(await receipt(other)).toBeNull()
    }
  })

  it.each(['<html>Bad gateway</html>', 'null', '{"erasure":{"toString":1}}', '{"message":"Forbidden"}', '{"detail":{"a":1}}'])(
    'stay readable when the body is %s',
    async (body) => {
      const error = await failure(answering(body, { status: 502 }).api.sync())
      expect(error).toMatchObject({ status: 502, message: 'Paceline could not do that just now (error 502).' })
    },
  )

  it('have status 0 when no answer came', async () => {
    const api = createApi(() => Promise.reject(new TypeError('Failed to fetch')))
    expect(await failure(api.me())).toMatchObject({ status: 0, message: 'Paceline cannot be reached just now.' })
  })

  it('tell of an answer that is no JSON', async () => {
    const error = await failure(answering('<html>').api.me())
    expect(error.message).toBe('Paceline gave an answer that this page does not understand.')
  })

  it('are told apart from faults of the page', () => {
    expect(() => asApiError(new RangeError('a bug'))).toThrow(RangeError)
  })
})
