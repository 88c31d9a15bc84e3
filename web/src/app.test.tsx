import { render } from 'preact'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApi, type Activity, type ActivityPage, type Erasure, type Stats, type Sync } from './api.ts'
import { App } from './app.tsx'
import { ActivityList } from './components/activity-list.tsx'
import { badSentences, blockTexts } from './testing/sentences.ts'

// The whole page with a fake API and a fake clock, both controlled by the test.

type FakeResponse = { status?: number; body?: unknown; headers?: Record<string, string> } | 'network error'

/** Responses by method and path, without the query. A test may replace any of them at any time. */
let routes: Record<string, (query: URLSearchParams) => FakeResponse | Promise<FakeResponse>>
let requests: string[]
/** The JSON bodies of the requests. */
let bodies: unknown[]

const unauthorized = () => ({ status: 401, body: { title: 'Unauthorized', status: 401, detail: 'There is no session.' } })
const current: Sync = { state: 'current', gathered: 2, waiting_for: null, resumes_at: null, finishes_at: null }
const run: Activity = {
  id: 15100200300,
  name: 'Evening Run',
  sport_type: 'Run',
  start_date: '2026-11-17T03:15:00Z',
  start_date_local: '2026-11-16T19:15:00Z',
  distance: 10_050,
  moving_time: 3000,
  elapsed_time: 3120,
  total_elevation_gain: 84,
  average_speed: 3.35,
  average_heartrate: 151.4,
  visibility: 'only_me',
  device_name: 'Garmin Forerunner 255',
}
const ride: Activity = {
  ...run,
  id: 15100200200,
  name: 'Morning Ride',
  sport_type: 'Ride',
  start_date: '2026-11-15T15:00:00Z',
  start_date_local: '2026-11-15T07:00:00Z',
}
const totals = { count: 2, distance: 20_100, moving_time: 6000, elapsed_time: 6240, total_elevation_gain: 168 }
const stats: Stats = { periods: [{ start: '2026-01-01', ...totals }], total: totals }
const page = (items: Activity[], next_cursor: string | null = null): ActivityPage => ({ items, next_cursor })

function connected() {
  Object.assign(routes, {
    'GET /v1/me': () => ({
      body: {
        id: 7,
        firstname: 'Ann',
        lastname: 'Lee',
        username: 'annlee',
        authorization: { state: 'active', authorized_at: '2026-11-14T12:00:00Z', scopes: ['read', 'activity:read'] },
      },
    }),
    'GET /v1/me/sync': () => ({ body: current }),
    'GET /v1/me/stats': () => ({ body: stats }),
    'GET /v1/me/activities': () => ({ body: page([run, ride]) }),
    'POST /oauth/logout': () => ({ status: 204 }),
  })
}

const fakeFetch: typeof fetch = async (url, init) => {
  const { pathname, searchParams } = new URL(String(url), location.origin)
  const route = `${init?.method} ${pathname}`
  requests.push(`${route}${searchParams.size > 0 ? `?${searchParams}` : ''}`)
  if (init?.body) {
    expect(new Headers(init.headers).get('Content-Type')).toBe('application/json')
    bodies.push(JSON.parse(String(init.body)))
  }
  const answer = await (routes[route]?.(searchParams) ?? { status: 404, body: { title: 'Not Found' } })
  if (answer === 'network error') throw new TypeError('Failed to fetch')
  const { status = 200, body, headers = {} } = answer
  return new Response(body === undefined ? null : JSON.stringify(body), { status, headers })
}

/** Moves the clock forward and runs everything that is due. Then checks the language of the shown texts. */
async function advance(milliseconds: number) {
  await vi.advanceTimersByTimeAsync(milliseconds)
  expect(blockTexts(document.body).flatMap((text) => badSentences(text))).toEqual([])
}

async function open(address = '/') {
  history.replaceState(null, '', address)
  render(<App api={createApi(fakeFetch)} />, document.body)
  await advance(100)
}

const text = () => document.body.textContent
const alerts = () => [...document.querySelectorAll('[role=alert]')].map((alert) => alert.textContent)
const names = () => [...document.querySelectorAll('.activities h3')].map((name) => name.textContent)
const countRequests = (route: string) => requests.filter((request) => request.startsWith(route)).length

/** Returns the only link or button with this name. */
function mustFind(name: string): HTMLElement {
  const found = [...document.querySelectorAll<HTMLElement>('a, button')].filter((it) => it.textContent?.trim() === name)
  expect(found, name).toHaveLength(1)
  return found[0]!
}

async function press(name: string) {
  mustFind(name).click()
  await advance(100)
}

async function choose(selector: string, value: string) {
  const control = document.querySelector<HTMLSelectElement>(selector)!
  control.value = value
  control.dispatchEvent(new Event('change', { bubbles: true }))
  await advance(100)
}

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-11-17T12:00:00Z') })
  routes = { 'GET /v1/me': unauthorized }
  requests = []
  bodies = []
})

afterEach(() => {
  render(null, document.body)
  vi.useRealTimers()
})

describe('without a session', () => {
  it('shows the consent text and the connect button', async () => {
    await open()
    for (const part of ['heart rate', 'No location, no map, no route', 'webhooks', 'delete at Strava', 'erased', 'withdraw', 'receipt', 'Only you']) {
      expect(text()).toContain(part)
    }
    expect(mustFind('Connect with Strava').getAttribute('href')).toBe('/oauth/connect')
    expect(mustFind('privacy notice').getAttribute('href')).toBe('/privacy.html')
    expect(alerts()).toEqual([])
    await advance(60_000)
    expect(requests).toEqual(['GET /v1/me'])
  })

  it('shows once why connecting failed', async () => {
    await open('/?error=access_denied')
    expect(alerts()).toEqual([expect.stringContaining('did not give Paceline access')])
    expect(location.href).toBe(`${location.origin}/`)
    expect(mustFind('Connect with Strava')).toBeTruthy()
  })

  it('explains that Paceline is full and lets connected athletes sign in', async () => {
    await open('/?error=app_full')
    expect(document.querySelector('h1')!.textContent).toBe('Paceline is full')
    expect(location.href).toBe(`${location.origin}/`)
    expect(mustFind('sign in with Strava').getAttribute('href')).toBe('/oauth/connect?returning=1')
    expect(document.querySelectorAll('a[href="/oauth/connect"]')).toHaveLength(0)
  })

  it('adds an address to the waiting list', async () => {
    await open('/?error=app_full')
    const contact = document.querySelector<HTMLInputElement>('input[type=email]')!
    expect(contact.required).toBe(true)
    expect(document.querySelector('label')!.getAttribute('for')).toBe(contact.id)
    contact.value = 'ann@example.com'

    routes['POST /oauth/waitlist'] = () => ({ status: 409, body: { title: 'Conflict', detail: 'The waiting list is full, too.' } })
    await press('Join the waiting list')
    expect(alerts()).toContain('The waiting list is full, too.')
    expect(contact.value).toBe('ann@example.com')

    let answer = (_: FakeResponse) => {}
    routes['POST /oauth/waitlist'] = () => new Promise((resolve) => (answer = resolve))
    await press('Join the waiting list')
    expect(mustFind('Joining…').hasAttribute('disabled')).toBe(true)
    answer({ status: 204 })
    await advance(100)
    expect(text()).toContain('Your address is on the waiting list.')
    expect(document.querySelector('form')).toBeNull()
    expect(bodies).toEqual([{ contact: 'ann@example.com' }, { contact: 'ann@example.com' }])
  })

  it('retries while Paceline cannot be reached', async () => {
    routes['GET /v1/me'] = () => 'network error'
    await open()
    expect(alerts()).toEqual([expect.stringContaining('cannot be reached')])
    routes['GET /v1/me'] = unauthorized
    await advance(5_000)
    expect(alerts()).toEqual([])
    expect(mustFind('Connect with Strava')).toBeTruthy()
  })
})

describe('with a session', () => {
  beforeEach(connected)

  it('shows the profile, the totals and the activities', async () => {
    await open()
    expect(document.querySelector('h1')!.textContent).toBe('Ann Lee')
    expect(document.querySelector('.profile')!.textContent).toContain('2026, allowing read, activity:read')
    expect(text()).toContain('Up to date: 2 activities.')
    const total = document.querySelector('tfoot tr')!
    expect([...total.children].map((cell) => cell.textContent)).toEqual(['All', '2', '20.1 km', '1:40:00', '1:44:00', '168 m'])
    expect(names()).toEqual(['Evening Run', 'Morning Ride'])
    const item = document.querySelector('.activities li')!
    for (const part of ['Run', 'Mon 16 Nov 2026, 19:15', 'Only you', '10.1 km', '0:50:00', '4:59 /km', '151 bpm', 'Garmin Forerunner 255']) {
      expect(item.textContent).toContain(part)
    }
    expect(item.querySelector('a')!.href).toBe('https://www.strava.com/activities/15100200300')
    expect(item.querySelector('a')!.textContent).toBe('View on Strava')
  })

  it('shows the progress of gathering from the start to the end', async () => {
    let sync: Sync = { ...current, state: 'backfilling', gathered: 0 }
    Object.assign(routes, {
      'GET /v1/me': () => ({ body: { id: 7 } }),
      'GET /v1/me/sync': () => ({ body: sync }),
      'GET /v1/me/activities': () => ({ body: page([]) }),
    })
    await open()
    expect(document.querySelector('h1')!.textContent).toBe('Athlete 7')
    expect(text()).toContain('Gathering your history: 0 activities so far.')
    expect(text()).toContain('No activities yet.')

    sync = { ...sync, gathered: 1 }
    await advance(2_000)
    expect(text()).toContain('Gathering your history: 1 activity so far.')
    expect(text()).not.toContain('It should be complete')

    sync = { ...sync, finishes_at: '2026-11-17T12:20:00Z' }
    await advance(2_000)
    expect(text()).toMatch(/It should be complete in about \d+ minutes\./)

    connected()
    await advance(2_000)
    expect(text()).toContain('Up to date: 2 activities.')
    expect(document.querySelector('h1')!.textContent).toBe('Ann Lee')
    expect(names()).toEqual(['Evening Run', 'Morning Ride'])

    const before = countRequests('GET /v1/me/sync')
    await advance(14_000)
    expect(countRequests('GET /v1/me/sync')).toBe(before)
  })

  it.each<[string, Sync, string[]]>([
    ['the rate limit', { ...current, state: 'waiting', waiting_for: 'rate_limit', resumes_at: '2026-11-17T12:06:30Z' }, ['rate limit', 'in about 7 minutes']],
    ['Strava', { ...current, state: 'waiting', waiting_for: 'strava' }, ['Strava cannot be reached', 'continues automatically']],
    ['a retry for this athlete', { ...current, state: 'waiting', waiting_for: 'retry', resumes_at: '2026-11-17T14:05:00Z' }, ['Strava does not answer for your account. Paceline tries again at ']],
    ['an internal problem', { ...current, state: 'waiting', waiting_for: 'internal', resumes_at: '2026-11-17T11:59:00Z' }, ['Paceline has an internal problem. It tries again any moment now.']],
    ['an internal problem of unknown duration', { ...current, state: 'waiting', waiting_for: 'internal' }, ['It tries again automatically.']],
    ['an unknown reason', { ...current, state: 'waiting', waiting_for: 'the tide' }, ['Gathering is paused', 'continues automatically']],
    ['the athlete to reconnect', { ...current, state: 'waiting', waiting_for: 'reconnect' }, ['Connect with Strava again']],
  ])('explains waiting for %s', async (_, sync, parts) => {
    routes['GET /v1/me/sync'] = () => ({ body: sync })
    await open()
    for (const part of ['Waiting', '2 activities so far', ...parts]) expect(text()).toContain(part)
  })

  it('shows changes from webhooks without a reload', async () => {
    await open()
    routes['GET /v1/me/activities'] = () => ({ body: page([{ ...run, name: 'Renamed' }]) })
    await advance(10_000)
    expect(names()).toEqual(['Renamed'])
  })

  describe('the refresh button', () => {
    const refresh = 'Look for new activities now'
    const message = () => document.querySelector('.refresh [role=status]')!.textContent

    it('sends one request and shows new activities soon', async () => {
      let answer: (response: FakeResponse) => void = () => {}
      routes['POST /v1/me/sync'] = () => new Promise((resolve) => (answer = resolve))
      await open()
      expect(message()).toContain('automatically')
      mustFind(refresh).focus()
      await press(refresh)
      expect(mustFind(refresh).getAttribute('aria-disabled')).toBe('true')
      expect(message()).toBe('Sending the request…')
      await press(refresh)
      expect(countRequests('POST')).toBe(1)

      answer({ status: 202, body: { requested_at: '2026-11-17T12:00:00Z', status_url: '/v1/me/sync' } })
      await advance(100)
      expect(message()).toContain('Reading from Strava')
      expect(mustFind(refresh).getAttribute('aria-disabled')).toBe('false')
      expect(document.activeElement).toBe(mustFind(refresh))

      routes['GET /v1/me/activities'] = () => ({ body: page([{ ...run, id: 9, name: 'Lunch Run' }, run, ride]) })
      routes['GET /v1/me/sync'] = () => ({ body: { ...current, gathered: 3 } })
      await advance(2_000)
      expect(names()).toEqual(['Lunch Run', 'Evening Run', 'Morning Ride'])
      expect(text()).toContain('Up to date: 3 activities.')

      // Fast polling ends.
      await advance(30_000)
      const before = countRequests('GET')
      await advance(9_000)
      expect(countRequests('GET') - before).toBeLessThanOrEqual(4)
    })

    it('shows when another request is allowed', async () => {
      const body = { title: 'Too Many Requests', status: 429 }
      routes['POST /v1/me/sync'] = () => ({ status: 429, body, headers: { 'Retry-After': '671' } })
      await open()
      await press(refresh)
      expect(message()).toMatch(/^You can refresh again in about 12 minutes \(.+\)\.$/)
      expect(alerts()).toEqual([])
    })

    it('shows a failure', async () => {
      routes['POST /v1/me/sync'] = () => 'network error'
      await open()
      await press(refresh)
      expect(message()).toBe('Could not refresh. Try again.')
      expect(alerts()).toEqual([expect.stringContaining('cannot be reached')])
      expect(mustFind(refresh).getAttribute('aria-disabled')).toBe('false')
    })
  })

  it('loads the next page and keeps it', async () => {
    routes['GET /v1/me/activities'] = (query) => ({
      body: query.get('cursor') === 'c1' ? page([ride]) : page([run], 'c1'),
    })
    await open()
    expect(names()).toEqual(['Evening Run'])
    await press('Load more')
    expect(names()).toEqual(['Evening Run', 'Morning Ride'])
    expect(text()).not.toContain('Load more')
    await advance(10_000)
    expect(names()).toEqual(['Evening Run', 'Morning Ride'])
  })

  it('filters totals and activities by sport', async () => {
    routes['GET /v1/me/activities'] = (query) => ({ body: page(query.get('sport_type') === 'Ride' ? [ride] : [run, ride]) })
    await open()
    await choose('#sport', 'Ride')
    expect(names()).toEqual(['Morning Ride'])
    expect(requests).toContain('GET /v1/me/stats?by=year&sport_type=Ride')
  })

  it('shows totals by the chosen period, newest first', async () => {
    const periods = ['2026-10-01', '2026-11-01'].map((start) => ({ start, ...totals }))
    routes['GET /v1/me/stats'] = (query) => ({ body: query.get('by') === 'month' ? { periods, total: totals } : stats })
    await open()
    document.querySelector<HTMLInputElement>('input[value=month]')!.click()
    await advance(100)
    const rows = [...document.querySelectorAll('tbody th')].map((row) => row.textContent)
    expect(rows).toEqual(['Nov 2026', 'Oct 2026'])
  })

  it('ignores a response to an earlier selection', async () => {
    let late: (response: FakeResponse) => void = () => {}
    routes['GET /v1/me/activities'] = (query) =>
      query.get('sport_type') === 'Run' ? new Promise((resolve) => (late = resolve)) : { body: page([ride]) }
    await open()
    await choose('#sport', 'Run')
    await choose('#sport', 'Ride')
    late({ body: page([run]) })
    await advance(100)
    expect(names()).toEqual(['Morning Ride'])
  })

  it('marks the previous totals as busy until the new ones arrive', async () => {
    let late: (response: FakeResponse) => void = () => {}
    routes['GET /v1/me/stats'] = (query) =>
      query.get('by') === 'week' ? new Promise((resolve) => (late = resolve)) : { body: stats }
    await open()
    const row = () => document.querySelector('tbody th')!.textContent
    const busy = () => document.querySelector('.content')!.getAttribute('aria-busy')
    expect([row(), busy()]).toEqual(['2026', 'false'])
    document.querySelector<HTMLInputElement>('input[value=week]')!.click()
    await advance(100)
    expect([row(), busy()]).toEqual(['2026', 'true'])
    late({ body: { periods: [{ start: '2026-11-16', ...totals }], total: totals } })
    await advance(100)
    expect([row(), busy()]).toEqual(['from 16 Nov 2026', 'false'])
  })

  it('keeps the shown data during a network failure, shows an error, and recovers', async () => {
    await open()
    for (const route of Object.keys(routes)) routes[route] = () => 'network error'
    await advance(15_000)
    expect(alerts()).toEqual([expect.stringContaining('cannot be reached')])
    expect(names()).toEqual(['Evening Run', 'Morning Ride'])
    connected()
    await advance(15_000)
    expect(alerts()).toEqual([])
  })

  it('returns to the home page when the session has ended', async () => {
    await open()
    Object.assign(routes, { 'GET /v1/me': unauthorized, 'GET /v1/me/sync': unauthorized })
    await advance(15_000)
    expect(alerts()).toEqual(['Your session has ended. Connect again to continue.'])
    expect(mustFind('Connect with Strava')).toBeTruthy()
    expect(names()).toEqual([])
    const before = requests.length
    await advance(60_000)
    expect(requests.length).toBe(before)
  })

  it('says that there are no activities only after the last page', async () => {
    const none = page([], 'c1')
    render(<ActivityList page={none} onMore={async () => {}} />, document.body)
    expect(text()).not.toContain('No activities yet.')
    expect(mustFind('Load more')).toBeTruthy()
    render(<ActivityList page={page([])} onMore={async () => {}} />, document.body)
    expect(text()).toContain('No activities yet.')
  })

  it('keeps activities beyond short and empty pages', async () => {
    const pages: Record<string, ActivityPage> = { '': page([], 'c1'), c1: page([run], 'c2'), c2: page([], 'c3'), c3: page([ride], 'c4') }
    routes['GET /v1/me/activities'] = (query) => ({ body: pages[query.get('cursor') ?? ''] ?? page([]) })
    await open()
    expect(names()).toEqual(['Evening Run'])
    await press('Load more')
    for (let poll = 0; poll < 2; poll++) {
      expect(names()).toEqual(['Evening Run', 'Morning Ride'])
      expect(mustFind('Load more')).toBeTruthy()
      await advance(10_000)
    }
  })

  it('logs out', async () => {
    await open()
    await press('Log out')
    expect(countRequests('POST /oauth/logout')).toBe(1)
    expect(alerts()).toEqual(['You are logged out.'])
    expect(mustFind('Connect with Strava')).toBeTruthy()
  })

  it('logs out everywhere', async () => {
    routes['DELETE /v1/me/sessions'] = () => ({ status: 204 })
    await open()
    await press('Log out everywhere')
    expect(countRequests('DELETE /v1/me/sessions')).toBe(1)
    expect(countRequests('POST /oauth/logout')).toBe(0)
    expect(alerts()).toEqual(['You are logged out.'])
  })

  describe('keys for programs', () => {
    const watch = { id: 'a1', name: 'Watch', created_at: '2026-11-01T10:00:00Z', last_used_on: '2026-11-16' }
    const garage = { id: 'b2', name: 'Garage door', created_at: '2026-11-17T12:00:00Z', expires_at: '2027-01-31T23:59:59Z' }
    const secret = 'pck_7_secret'
    let keys: object[]

    const rows = () =>
      [...document.querySelectorAll('.account tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent))
    const section = () => document.querySelector<HTMLElement>('[aria-labelledby=keys]')!
    const name = () => section().querySelector<HTMLInputElement>('input[type=text]')!

    async function openWithKeys() {
      await open()
      await toggle()
    }

    async function toggle() {
      section().querySelector('details')!.open = true
      section().querySelector('details')!.dispatchEvent(new Event('toggle'))
      await advance(100)
    }

    beforeEach(() => {
      keys = [watch]
      routes['GET /v1/me/keys'] = () => ({ body: { items: keys } })
    })

    it('are read only when the list is open', async () => {
      await open()
      await advance(60_000)
      expect(countRequests('GET /v1/me/keys')).toBe(0)
    })

    it('are listed', async () => {
      keys = [watch, garage]
      await openWithKeys()
      expect(rows()).toEqual([
        ['Watch', expect.stringContaining('1 Nov 2026'), 'Never', '16 Nov 2026', 'Revoke'],
        ['Garage door', expect.stringContaining('17 Nov 2026'), expect.stringContaining('2027'), 'Never', 'Revoke'],
      ])
      expect([...section().querySelectorAll('tbody button')].map((button) => button.getAttribute('aria-label'))).toEqual([
        'Revoke Watch',
        'Revoke Garage door',
      ])
      keys = []
      section().querySelector('details')!.dispatchEvent(new Event('toggle'))
      await advance(100)
      expect(section().textContent).toContain('You have no keys.')
    })

    it('show the secret of a new key once and copy it', async () => {
      await openWithKeys()
      let copied = ''
      vi.stubGlobal('navigator', { clipboard: { writeText: async (text: string) => void (copied = text) } })
      routes['POST /v1/me/keys'] = () => {
        keys = [watch, garage]
        return { status: 201, body: { ...garage, secret } }
      }
      name().value = 'Garage door'
      const end = section().querySelector<HTMLInputElement>('input[type=date]')!
      end.value = '2027-01-31'
      await press('Create a key')
      expect(bodies).toEqual([{ name: 'Garage door', expires_at: new Date('2027-01-31T23:59:59').toISOString() }])
      expect(section().querySelector('code')!.textContent).toBe(secret)
      expect(rows()).toHaveLength(2)
      expect(name().value).toBe('')

      await press('Copy the key')
      expect(copied).toBe(secret)
      expect(section().textContent).toContain('Copied.')
      vi.stubGlobal('navigator', { clipboard: { writeText: () => Promise.reject(new Error('denied')) } })
      await press('Copy the key')
      expect(section().textContent).toContain('Copying failed.')
      vi.unstubAllGlobals()

      await press('Done')
      expect(text()).not.toContain(secret)
      expect(rows()).toHaveLength(2)
    })

    it('can be created without an expiry', async () => {
      await openWithKeys()
      routes['POST /v1/me/keys'] = () => ({ status: 201, body: { ...watch, secret } })
      name().value = 'Watch'
      await press('Create a key')
      expect(bodies).toEqual([{ name: 'Watch' }])
    })

    it('show why a key was not created', async () => {
      await openWithKeys()
      routes['POST /v1/me/keys'] = () => ({ status: 409, body: { title: 'Conflict', detail: 'You have 10 keys already.' } })
      name().value = 'One more'
      await press('Create a key')
      expect(section().querySelector('[role=alert]')!.textContent).toBe('You have 10 keys already.')
      expect(name().value).toBe('One more')
      expect(rows()).toHaveLength(1)
    })

    it('can be revoked, which hides the secret', async () => {
      await openWithKeys()
      routes['POST /v1/me/keys'] = () => {
        keys = [watch, garage]
        return { status: 201, body: { ...garage, secret } }
      }
      routes['DELETE /v1/me/keys/b2'] = () => {
        keys = [watch]
        return { status: 204 }
      }
      name().value = 'Garage door'
      await press('Create a key')
      section().querySelector<HTMLElement>('[aria-label="Revoke Garage door"]')!.click()
      await advance(100)
      expect(countRequests('DELETE /v1/me/keys/b2')).toBe(1)
      expect(rows()).toHaveLength(1)
      expect(text()).not.toContain(secret)
    })

    it('detect an ended session', async () => {
      await open()
      routes['GET /v1/me/keys'] = unauthorized
      routes['GET /v1/me'] = unauthorized
      await toggle()
      expect(alerts()).toEqual([expect.stringContaining('Your session has ended')])
    })
  })

  it('stays logged in if logging out fails', async () => {
    routes['POST /oauth/logout'] = () => 'network error'
    await open()
    await press('Log out')
    expect(alerts()).toEqual([expect.stringContaining('cannot be reached')])
    expect(document.querySelector('h1')!.textContent).toBe('Ann Lee')
  })
})

describe('leaving', () => {
  const requested: Erasure = { receipt: 'r1', state: 'requested', requested_at: '2026-11-17T12:00:00Z' }
  const erased: Erasure = {
    ...requested,
    state: 'erased',
    completed_at: '2026-11-17T12:00:09Z',
    copies_gone_by: '2026-11-24T12:00:09Z',
    erased: [
      { what: 'profile', at: '2026-11-17T12:00:02Z' },
      { what: 'new_part', at: '2026-11-17T12:00:09Z' },
    ],
  }

  beforeEach(() => {
    connected()
    routes['DELETE /v1/me'] = () => ({ status: 202, body: { receipt: 'r1', status_url: '/v1/erasures/r1' } })
    routes['GET /v1/erasures/r1'] = () => ({ body: requested })
  })

  it('asks for confirmation and does nothing if the athlete stays', async () => {
    await open()
    await press('Leave Paceline')
    expect(document.querySelector('dialog')!.open).toBe(true)
    await press('Stay')
    expect(document.querySelector('dialog')).toBeNull()
    expect(countRequests('DELETE')).toBe(0)
  })

  it('shows the receipt, ends the session, and polls the erasure until it is complete', async () => {
    await open()
    await press('Leave Paceline')
    await press('Leave and erase my data')
    expect(countRequests('DELETE /v1/me')).toBe(1)
    expect(countRequests('POST /oauth/logout')).toBe(1)
    expect(document.querySelector('code')!.textContent).toBe('r1')
    expect(text()).toContain('is being erased')
    expect(text()).not.toContain('Copies')
    expect(names()).toEqual([])
    expect(location.hash).toBe('#receipt=r1')

    routes['GET /v1/erasures/r1'] = () => ({ body: erased })
    await advance(2_000)
    expect(text()).toContain('All data about you has been erased')
    expect([...document.querySelectorAll('.receipt li')].map((part) => part.textContent)).toEqual([
      expect.stringMatching(/^Your profile: 17 Nov 2026, \d\d:\d\d$/),
      expect.stringMatching(/^new_part: /),
    ])
    expect(text()).toMatch(/Copies remain in undelivered messages, backups and logs of failures\. They expire by 24 Nov 2026, \d\d:\d\d\./)
    expect(document.querySelector('code')!.textContent).toBe('r1')
    const before = requests.length
    await advance(60_000)
    expect(requests.length).toBe(before)
  })

  it('does not show an error when the session ends before the response', async () => {
    let answer: (response: FakeResponse) => void = () => {}
    routes['DELETE /v1/me'] = () => new Promise((resolve) => (answer = resolve))
    await open()
    await press('Leave Paceline')
    await press('Leave and erase my data')
    for (const route of ['GET /v1/me', 'GET /v1/me/sync', 'GET /v1/me/stats']) routes[route] = unauthorized
    await advance(30_000)
    expect(alerts()).toEqual([])
    answer({ status: 202, body: { receipt: 'r1' } })
    await advance(100)
    expect(document.querySelector('code')!.textContent).toBe('r1')
  })

  it('stays connected and shows an error if leaving fails', async () => {
    routes['DELETE /v1/me'] = () => 'network error'
    await open()
    await press('Leave Paceline')
    await press('Leave and erase my data')
    expect(alerts()).toEqual([expect.stringContaining('cannot be reached')])
    expect(document.querySelector('h1')!.textContent).toBe('Ann Lee')
    expect(document.querySelector('dialog')).toBeNull()
    expect(location.hash).toBe('')
  })

  it('shows a bookmarked receipt and sends no other request', async () => {
    routes['GET /v1/erasures/r1'] = () => ({ body: erased })
    await open('/#receipt=r1')
    expect(text()).toContain('All data about you has been erased')
    expect(requests).toEqual(['GET /v1/erasures/r1'])
  })

  describe('at Strava or in another browser', () => {
    const erasedSession = () => ({ status: 401, body: { title: 'Unauthorized', status: 401, erasure: '/v1/erasures/r1' } })

    it('ends the session, and shows the receipt once it is known', async () => {
      await open()
      routes['GET /v1/me/sync'] = unauthorized // the first route to learn of the erasure
      await advance(15_000)
      expect(alerts()).toEqual(['Your session has ended. Connect again to continue.'])
      routes['GET /v1/me'] = () => 'network error'
      await advance(5_000)
      expect(alerts()).toEqual(['Your session has ended. Connect again to continue.'])
      routes['GET /v1/me'] = erasedSession
      await advance(5_000)
      expect(document.querySelector('code')!.textContent).toBe('r1')
      expect(location.hash).toBe('#receipt=r1')
      expect(countRequests('POST /oauth/logout')).toBe(1)
    })

    it('continues after another tab has opened a new session', async () => {
      await open()
      routes['GET /v1/me/sync'] = unauthorized
      await advance(15_000)
      expect(alerts()).toEqual(['Your session has ended. Connect again to continue.'])
      await advance(10_000)
      expect(alerts()).toEqual(['Your session has ended. Connect again to continue.'])
      connected()
      await advance(5_000)
      expect(alerts()).toEqual([])
      expect(names()).toEqual(['Evening Run', 'Morning Ride'])
    })

    it('shows the receipt to an athlete who opens the page again', async () => {
      routes['GET /v1/me'] = erasedSession
      await open()
      expect(document.querySelector('code')!.textContent).toBe('r1')
      expect(alerts()).toEqual([])
      expect(countRequests('POST /oauth/logout')).toBe(1)
    })

    it('shows the receipt to an athlete who leaves again', async () => {
      await open()
      for (const route of ['GET /v1/me', 'DELETE /v1/me']) routes[route] = erasedSession
      await press('Leave Paceline')
      await press('Leave and erase my data')
      await advance(100)
      expect(document.querySelector('code')!.textContent).toBe('r1')
    })
  })

  it('reports an unknown receipt', async () => {
    await open('/#receipt=other')
    expect(text()).toContain('No erasure found for this receipt.')
  })

  it('keeps polling when the network fails', async () => {
    routes['GET /v1/erasures/r1'] = () => 'network error'
    await open('/#receipt=r1')
    expect(alerts()).toEqual([expect.stringContaining('cannot be reached')])
    routes['GET /v1/erasures/r1'] = () => ({ body: erased })
    await advance(2_000)
    expect(alerts()).toEqual([])
    expect(text()).toContain('has been erased')
  })
})

describe('a linked account', () => {
  const link = () => {
    const me = routes['GET /v1/me']!(new URLSearchParams()) as { body: object }
    const linked_accounts = [{ provider: 'fitbit', account_id: 'GGNJL9', linked_at: '2026-11-16T12:00:00Z' }]
    routes['GET /v1/me'] = () => ({ body: { ...me.body, linked_accounts } })
  }
  const section = () => document.querySelector('[aria-labelledby=links]')!.textContent
  const today = { provider: 'fitbit', display_name: 'Ada K.', date: '2026-11-17', steps: 12_345, active_minutes: 42 }

  it('is connected by a link to the provider', async () => {
    connected()
    await open()
    expect(mustFind('Connect Fitbit').getAttribute('href')).toBe('/oauth/fitbit/connect')
    expect(countRequests('GET /v1/me/links')).toBe(0)
  })

  it('shows the current day', async () => {
    connected()
    link()
    routes['GET /v1/me/links/fitbit'] = () => ({ body: today })
    await open()
    expect(section()).toContain('Fitbit: Ada K., linked')
    expect(section()).toContain('12,345 steps, 42 active minutes.')
    await advance(60_000)
    expect(countRequests('GET /v1/me/links/fitbit')).toBe(1)
  })

  it('can be linked again when Fitbit refuses access', async () => {
    connected()
    link()
    routes['GET /v1/me/links/fitbit'] = () => ({ status: 409, body: { detail: 'The provider refuses access. Link the account again.' } })
    await open()
    expect(alerts()).toEqual(['The provider refuses access. Link the account again.'])
    expect(mustFind('Connect Fitbit again').getAttribute('href')).toBe('/oauth/fitbit/connect')
  })

  it('can be unlinked', async () => {
    connected()
    const unlinked = routes['GET /v1/me']!
    link()
    routes['GET /v1/me/links/fitbit'] = () => ({ body: today })
    routes['DELETE /v1/me/links/fitbit'] = () => ({ status: 202, body: { receipt: 'r', status_url: '/v1/erasures/r' } })
    await open()
    await press('Unlink Fitbit')
    expect(section()).toContain('Fitbit is being unlinked.')
    routes['GET /v1/me'] = unlinked
    await advance(10_000)
    mustFind('Connect Fitbit')
  })

  it('shows why unlinking failed and allows another attempt', async () => {
    connected()
    link()
    routes['GET /v1/me/links/fitbit'] = () => ({ body: today })
    routes['DELETE /v1/me/links/fitbit'] = () => ({ status: 503, body: { detail: 'Please try again in a moment.' } })
    await open()
    await press('Unlink Fitbit')
    expect(alerts()).toEqual(['Please try again in a moment.'])
    mustFind('Unlink Fitbit')
  })
})
