/** The athlete. Of the profile only `id` is there until it has been gathered. */
export interface Athlete {
  id: number
  username?: string
  firstname?: string
  lastname?: string
  /** RFC 3339, UTC: since when the athlete has been at Strava. */
  created_at?: string
  /** What the athlete allowed; not there for the moment that it takes to be heard of. */
  authorization?: {
    state: 'active' | 'degraded'
    /** RFC 3339, UTC. */
    authorized_at: string
    /** In Strava's spelling; not there as long as they aren't known. */
    scopes?: string[]
  }
  /** Accounts of other providers; not there if there is none. */
  linked_accounts?: LinkedAccount[]
}

/** An account of another provider that the athlete has linked. */
export interface LinkedAccount {
  /** "fitbit"; others may come. */
  provider: string
  account_id: string
  /** RFC 3339, UTC. */
  linked_at: string
}

/** What a linked account shows of a day, read at its provider just now. */
export interface LinkedDay {
  provider: string
  /** Not there if the person does not allow Paceline to read it. */
  display_name?: string
  /** The person's day, YYYY-MM-DD. */
  date: string
  steps: number
  active_minutes: number
}

/** How far the gathering of the athlete's history is. */
export interface Sync {
  state: 'backfilling' | 'current' | 'waiting'
  /** How many activities are there by now. */
  gathered: number
  /** What a waiting scan waits for: "rate_limit", "daily_limit", "strava", "reconnect", "application", "retry", "internal"; others may come. */
  waiting_for: string | null
  /** RFC 3339; null when it isn't known. */
  resumes_at: string | null
  /** RFC 3339, an estimate; null when it isn't known. */
  finishes_at: string | null
}

/** One activity, in Strava's names and SI units. A field that Strava has no value for is absent. */
export interface Activity {
  id: number
  name: string
  sport_type: string
  /** RFC 3339, UTC. */
  start_date: string
  /** The wall clock at the start. Its trailing Z is false: it is not UTC. */
  start_date_local: string
  timezone?: string
  /** m */
  distance: number
  /** s */
  moving_time: number
  /** s */
  elapsed_time: number
  /** m */
  total_elevation_gain: number
  /** m/s */
  average_speed?: number
  /** m/s */
  max_speed?: number
  /** beats a minute */
  average_heartrate?: number
  /** beats a minute */
  max_heartrate?: number
  /** W */
  average_watts?: number
  kilojoules?: number
  trainer?: boolean
  commute?: boolean
  manual?: boolean
  private?: boolean
  /** "everyone", "followers_only" or "only_me". */
  visibility?: string
  device_name?: string
}

/** A page of activities, newest first. */
export interface ActivityPage {
  items: Activity[]
  next_cursor: string | null
}

/** Sums over some activities, in SI units. */
export interface Totals {
  count: number
  distance: number
  moving_time: number
  elapsed_time: number
  total_elevation_gain: number
}

/** Length of a period of totals. */
export type Period = 'week' | 'month' | 'year'

/** Totals by period of the activities' local start dates. */
export interface Stats {
  /** `start` is the first day, YYYY-MM-DD; weeks begin on Monday. */
  periods: (Totals & { start: string })[]
  total: Totals
}

/** An erasure, as its receipt shows it. */
export interface Erasure {
  receipt: string
  state: 'requested' | 'erased'
  /** RFC 3339 */
  requested_at: string
  /** RFC 3339; absent or null until everything is erased. */
  completed_at?: string | null
  /** What was erased and, in RFC 3339, when that was confirmed; absent until everything is. */
  erased?: { what: string; at: string }[]
  /** RFC 3339: when the last copies in queues and backups have aged out; absent until everything is erased. */
  copies_gone_by?: string
}

/** A key by which a program reads the athlete's data, without its secret. */
export interface Key {
  id: string
  name: string
  /** RFC 3339, UTC. */
  created_at: string
  /** RFC 3339, UTC; absent for a key without an end. */
  expires_at?: string
  /** YYYY-MM-DD, UTC; absent before the first use. */
  last_used_on?: string
}

/** A key that was just made. */
export interface NewKey extends Key {
  /** The bearer token; no other answer has it. */
  secret: string
}

/** What is held on the athlete, and where the parts are that other calls give. */
export interface Export {
  [held: string]: unknown
  parts: { name: string; type: string; href: string }[]
}

/** A page of a part of an export. */
export interface ExportPage {
  text: string
  /** Where the next page is; null when this is the last. */
  next: string | null
}

/** Why a request did not bring what it asked for. */
export class ApiError extends Error {
  /** The HTTP status, or 0 when no answer came. */
  readonly status: number
  /** In how many seconds to try again; null when that isn't said. */
  readonly retryAfter: number | null
  /** Of the erasure that the session ended with; null when none is known. */
  readonly receipt: string | null

  constructor(status: number, message: string, retryAfter: number | null = null, receipt: string | null = null) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.retryAfter = retryAfter
    this.receipt = receipt
  }
}

/** The caught value as an {@link ApiError}; anything else is a fault of this page and is thrown on. */
export function asApiError(caught: unknown): ApiError {
  if (caught instanceof ApiError) return caught
  throw caught
}

/** Paceline's HTTP API. Every call rejects with an {@link ApiError}, and with nothing else. */
export interface Api {
  me(): Promise<Athlete>
  sync(): Promise<Sync>
  /** Asks for the newest activities to be read at Strava; an error's `retryAfter` tells when that may be asked again. */
  refresh(): Promise<void>
  /**
   * Activities newest first, of one sport unless `sportType` is empty, on from `cursor` where one is given. A page
   * may be short; one that is empty is the last.
   */
  activities(query: { sportType: string; cursor?: string }): Promise<ActivityPage>
  stats(query: { by: Period; sportType: string }): Promise<Stats>
  logOut(): Promise<void>
  /** Ends every session of the athlete, this one too. */
  logOutEverywhere(): Promise<void>
  /** The athlete's keys, the oldest first. */
  keys(): Promise<Key[]>
  /** Makes a key that ends at a time (RFC 3339), or never. */
  createKey(name: string, expiresAt?: string): Promise<NewKey>
  revokeKey(id: string): Promise<void>
  /** The day of the athlete's linked account; status 404 without one, 409 when it has to be linked again. */
  linkedDay(provider: string): Promise<LinkedDay>
  unlink(provider: string): Promise<void>
  /** Asks for the erasure of everything held on the athlete; resolves to the receipt. */
  leave(): Promise<string>
  erasure(receipt: string): Promise<Erasure>
  export(): Promise<Export>
  exportPage(href: string): Promise<ExportPage>
  /** Puts an e-mail address on the waiting list. */
  joinWaitlist(contact: string): Promise<void>
}

const pageSize = '30'

/** Makes the client; `fetch` is the browser's unless a test brings its own. */
export function createApi(fetch: typeof globalThis.fetch = globalThis.fetch.bind(globalThis)): Api {
  async function request(method: string, path: string, body?: unknown): Promise<Response> {
    let response: Response
    const init: RequestInit = { method, cache: 'no-store', headers: { Accept: 'application/json' } }
    if (body !== undefined) {
      init.body = JSON.stringify(body)
      init.headers = { ...init.headers, 'Content-Type': 'application/json' }
    }
    try {
      response = await fetch(path, init)
    } catch {
      throw new ApiError(0, 'Paceline cannot be reached just now.')
    }
    if (!response.ok) {
      const wait = response.headers.get('Retry-After')
      const { text, receipt } = await problem(response)
      throw new ApiError(response.status, text, wait === null ? null : Number(wait), receipt)
    }
    return response
  }

  async function read<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await request(method, path, body)
    try {
      return (await response.json()) as T
    } catch {
      throw new ApiError(response.status, 'Paceline gave an answer that this page does not understand.')
    }
  }

  return {
    me: () => read('GET', '/v1/me'),
    sync: () => read('GET', '/v1/me/sync'),
    refresh: async () => {
      await request('POST', '/v1/me/sync')
    },
    activities: async ({ sportType, cursor }) => {
      for (let from = cursor; ; ) {
        const page = await read<ActivityPage>(
          'GET',
          `/v1/me/activities${query({ limit: pageSize, sport_type: sportType, cursor: from })}`,
        )
        if (page.items.length > 0 || page.next_cursor === null) return page
        // The sport is rare: Paceline looked at so many, and goes on where it is told to.
        from = page.next_cursor
      }
    },
    stats: ({ by, sportType }) => read('GET', `/v1/me/stats${query({ by, sport_type: sportType })}`),
    logOut: async () => {
      await request('POST', '/oauth/logout')
    },
    logOutEverywhere: async () => {
      await request('DELETE', '/v1/me/sessions')
    },
    keys: async () => (await read<{ items: Key[] }>('GET', '/v1/me/keys')).items,
    createKey: (name, expiresAt) => read('POST', '/v1/me/keys', { name, expires_at: expiresAt }),
    revokeKey: async (id) => {
      await request('DELETE', `/v1/me/keys/${encodeURIComponent(id)}`)
    },
    linkedDay: (provider) => read('GET', `/v1/me/links/${encodeURIComponent(provider)}`),
    unlink: async (provider) => {
      await request('DELETE', `/v1/me/links/${encodeURIComponent(provider)}`)
    },
    leave: async () => (await read<{ receipt: string }>('DELETE', '/v1/me')).receipt,
    erasure: (receipt) => read('GET', `/v1/erasures/${encodeURIComponent(receipt)}`),
    export: () => read('GET', '/v1/me/export'),
    exportPage: async (href) => {
      const response = await request('GET', href)
      const next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('Link') ?? '')
      try {
        return { text: await response.text(), next: next?.[1] ?? null }
      } catch {
        throw new ApiError(response.status, 'Paceline cannot be reached just now.')
      }
    },
    joinWaitlist: async (contact) => {
      await request('POST', '/oauth/waitlist', { contact })
    },
  }
}

/** A query string of the parameters that have a value. */
function query(parameters: Record<string, string | undefined>): string {
  const given = Object.entries(parameters).filter((entry): entry is [string, string] => Boolean(entry[1]))
  return `?${new URLSearchParams(given)}`
}

/**
 * What an RFC 9457 problem says to a person, or a plain sentence where the answer is no such problem; and the receipt
 * of the erasure that it leads to.
 */
async function problem(response: Response): Promise<{ text: string; receipt: string | null }> {
  let said: { title?: unknown; detail?: unknown; erasure?: unknown } = {}
  try {
    said = Object((await response.json()) as unknown)
  } catch {
    // Not JSON: an error of something in between, such as the front door.
  }
  const text = said.detail || said.title
  const receipt = /^\/v1\/erasures\/([\w-]+)$/.exec(typeof said.erasure === 'string' ? said.erasure : '')
  return {
    text: typeof text === 'string' ? text : `Paceline could not do that just now (error ${response.status}).`,
    receipt: receipt?.[1] ?? null,
  }
}
