/** The athlete. Until the profile has been gathered, `id` is its only field. */
export interface Athlete {
  id: number
  username?: string
  firstname?: string
  lastname?: string
  /** When the athlete joined Strava; RFC 3339, UTC. */
  created_at?: string
  /** What the athlete allowed; absent until the athlete plane has handled the event. */
  authorization?: {
    state: 'active' | 'degraded'
    /** RFC 3339, UTC. */
    authorized_at: string
    /** In Strava's spelling; absent while unknown. */
    scopes?: string[]
  }
  /** Accounts at other providers; absent if there are none. */
  linked_accounts?: LinkedAccount[]
}

/** An account at another provider that the athlete has linked. */
export interface LinkedAccount {
  /** "fitbit"; more may be added. */
  provider: string
  account_id: string
  /** RFC 3339, UTC. */
  linked_at: string
}

/** One day of a linked account, as its provider returned it for this request. */
export interface LinkedDay {
  provider: string
  /** Absent if the person does not allow Paceline to read it. */
  display_name?: string
  /** The day in the person's time zone, YYYY-MM-DD. */
  date: string
  steps: number
  active_minutes: number
}

/** The progress of gathering the athlete's history. */
export interface Sync {
  state: 'backfilling' | 'current' | 'waiting'
  /** The number of activities gathered so far. */
  gathered: number
  /** Why a scan waits: "rate_limit", "daily_limit", "strava", "reconnect", "application", "retry", "internal"; more may be added. */
  waiting_for: string | null
  /** RFC 3339; null while unknown. */
  resumes_at: string | null
  /** An estimate, RFC 3339; null while unknown. */
  finishes_at: string | null
}

/** One activity, in Strava's names and SI units. A field without a value at Strava is absent. */
export interface Activity {
  id: number
  name: string
  sport_type: string
  /** RFC 3339, UTC. */
  start_date: string
  /** The local time at the start. Strava ends it with Z, but it is not UTC. */
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

/** Sums over a set of activities, in SI units. */
export interface Totals {
  count: number
  distance: number
  moving_time: number
  elapsed_time: number
  total_elevation_gain: number
}

/** The length of a period of totals. */
export type Period = 'week' | 'month' | 'year'

/** Totals by period of the activities' local start dates. */
export interface Stats {
  /** `start` is the first day, YYYY-MM-DD; weeks begin on Monday. */
  periods: (Totals & { start: string })[]
  total: Totals
}

/** The state of an erasure, looked up by its receipt. */
export interface Erasure {
  receipt: string
  state: 'requested' | 'erased'
  /** RFC 3339 */
  requested_at: string
  /** RFC 3339; absent or null until everything is erased. */
  completed_at?: string | null
  /** Each erased part and when its erasure was confirmed (RFC 3339); absent until everything is erased. */
  erased?: { what: string; at: string }[]
  /** When the last copies in queues and backups expire, RFC 3339; absent until everything is erased. */
  copies_gone_by?: string
}

/** A key with which a program reads the athlete's data, without its secret. */
export interface Key {
  id: string
  name: string
  /** RFC 3339, UTC. */
  created_at: string
  /** RFC 3339, UTC; absent if the key does not expire. */
  expires_at?: string
  /** YYYY-MM-DD, UTC; absent before the first use. */
  last_used_on?: string
}

/** A new key. */
export interface NewKey extends Key {
  /** The bearer token; only the response that created the key contains it. */
  secret: string
}

/** The data stored about the athlete, and the addresses of the parts that other requests return. */
export interface Export {
  [name: string]: unknown
  parts: { name: string; type: string; href: string }[]
}

/** A page of a part of an export. */
export interface ExportPage {
  text: string
  /** The address of the next page; null on the last one. */
  next: string | null
}

/** A failed request. */
export class ApiError extends Error {
  /** The HTTP status, or 0 without a response. */
  readonly status: number
  /** Seconds until the next attempt, from Retry-After; null without that header. */
  readonly retryAfter: number | null
  /** The receipt of the erasure that ended the session; null without one. */
  readonly receipt: string | null

  constructor(status: number, message: string, retryAfter: number | null = null, receipt: string | null = null) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.retryAfter = retryAfter
    this.receipt = receipt
  }
}

/** Returns the caught value if it is an {@link ApiError}. Anything else is a bug in this page and is thrown again. */
export function asApiError(caught: unknown): ApiError {
  if (caught instanceof ApiError) return caught
  throw caught
}

/** Paceline's HTTP API. Every method rejects only with an {@link ApiError}. */
export interface Api {
  me(): Promise<Athlete>
  sync(): Promise<Sync>
  /** Requests that Paceline read the newest activities from Strava. If it is too early, the error has `retryAfter`. */
  refresh(): Promise<void>
  /**
   * Activities, newest first. An empty `sportType` selects all sports; `cursor` continues from an earlier page. A page
   * may be short; an empty page is the last.
   */
  activities(query: { sportType: string; cursor?: string }): Promise<ActivityPage>
  stats(query: { by: Period; sportType: string }): Promise<Stats>
  logOut(): Promise<void>
  /** Ends every session of the athlete, including this one. */
  logOutEverywhere(): Promise<void>
  /** The athlete's keys, oldest first. */
  keys(): Promise<Key[]>
  /** Creates a key. It expires at `expiresAt` (RFC 3339), or never without it. */
  createKey(name: string, expiresAt?: string): Promise<NewKey>
  revokeKey(id: string): Promise<void>
  /** The current day of a linked account. The error has status 404 without an account, 409 if it must be linked again. */
  linkedDay(provider: string): Promise<LinkedDay>
  unlink(provider: string): Promise<void>
  /** Requests the erasure of all data about the athlete; resolves to the receipt. */
  leave(): Promise<string>
  erasure(receipt: string): Promise<Erasure>
  export(): Promise<Export>
  exportPage(href: string): Promise<ExportPage>
  /** Puts an e-mail address on the waiting list. */
  joinWaitlist(contact: string): Promise<void>
}

const pageSize = '30'

/** Creates the client. Tests replace `fetch`. */
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
      throw new ApiError(0, 'Paceline cannot be reached.')
    }
    if (!response.ok) {
      const retryAfter = response.headers.get('Retry-After')
      const { text, receipt } = await readProblem(response)
      throw new ApiError(response.status, text, retryAfter === null ? null : Number(retryAfter), receipt)
    }
    return response
  }

  async function read<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await request(method, path, body)
    try {
      return (await response.json()) as T
    } catch {
      throw new ApiError(response.status, 'Paceline sent an unexpected response.')
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
        // Paceline searches a limited number of activities in one request. A rare sport can leave a page empty.
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
        throw new ApiError(response.status, 'Paceline cannot be reached.')
      }
    },
    joinWaitlist: async (contact) => {
      await request('POST', '/oauth/waitlist', { contact })
    },
  }
}

/** A query string of the parameters with a value. */
function query(parameters: Record<string, string | undefined>): string {
  const present = Object.entries(parameters).filter((entry): entry is [string, string] => Boolean(entry[1]))
  return `?${new URLSearchParams(present)}`
}

/**
 * Reads an RFC 9457 problem: its text for the reader and the receipt of its erasure. Any other response gets a general
 * text.
 */
async function readProblem(response: Response): Promise<{ text: string; receipt: string | null }> {
  let problem: { title?: unknown; detail?: unknown; erasure?: unknown } = {}
  try {
    problem = Object((await response.json()) as unknown)
  } catch {
    // Not JSON: an intermediary, such as CloudFront, answered.
  }
  const text = problem.detail || problem.title
  const receipt = /^\/v1\/erasures\/([\w-]+)$/.exec(typeof problem.erasure === 'string' ? problem.erasure : '')
  return {
    text: typeof text === 'string' ? text : `The request failed (error ${response.status}). Try again later.`,
    receipt: receipt?.[1] ?? null,
  }
}
