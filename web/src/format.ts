// Formats the API's SI units and times for the page: English, metric units, a
// 24-hour clock.
import type { Period } from './api.ts'

const locale = 'en-GB'

const integer = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 })
const oneDecimal = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 })

/** A whole number with separators: 1132 → "1,132". */
export const count = (n: number): string => integer.format(n)

/** A distance from metres: "400 m", "42.2 km", "1,892 km". */
export function distance(metres: number): string {
  if (Math.round(metres) < 1000) return `${integer.format(metres)} m`
  const kilometres = metres / 1000
  return `${(kilometres < 1000 ? oneDecimal : integer).format(kilometres)} km`
}

/** A height from metres: "1,234 m". */
export const elevation = (metres: number): string => `${integer.format(metres)} m`

/** A duration from seconds as h:mm:ss: "0:42:10". */
export function duration(seconds: number): string {
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 3600)}:${twoDigits(Math.floor(whole / 60) % 60)}:${twoDigits(whole % 60)}`
}

/** A speed from metres a second, as a pace for sports that use one: "4:58 /km", "27.4 km/h". */
export function speed(metresPerSecond: number, sportType: string): string {
  if (metresPerSecond > 0 && /Run|Walk|Hike/.test(sportType)) return `${pace(1000 / metresPerSecond)} /km`
  if (metresPerSecond > 0 && sportType === 'Swim') return `${pace(100 / metresPerSecond)} /100 m`
  return `${oneDecimal.format(metresPerSecond * 3.6)} km/h`
}

function pace(seconds: number): string {
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)}:${twoDigits(whole % 60)}`
}

const twoDigits = (n: number): string => String(n).padStart(2, '0')

/** Strava's sport type in words: "EMountainBikeRide" → "E-mountain bike ride". */
export function sport(sportType: string): string {
  const words = sportType.replace(/(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, ' ').toLowerCase()
  const joined = words.replace(/^e /, 'e-')
  return joined.charAt(0).toUpperCase() + joined.slice(1)
}

// start_date_local is a local time that ends with Z although it is not UTC
// (Strava's SummaryActivity). Parsing and formatting in UTC leaves it unchanged.
const localDate = new Intl.DateTimeFormat(locale, {
  timeZone: 'UTC',
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  year: 'numeric',
})
const localTime = new Intl.DateTimeFormat(locale, { timeZone: 'UTC', hour: '2-digit', minute: '2-digit' })

/** An activity's local start time: "Mon 16 Nov 2026, 07:12". Strava reports a hidden start time as one second past midnight; then only the date is shown. */
export function startTime(startDateLocal: string): string {
  const start = new Date(startDateLocal)
  if (Number.isNaN(start.getTime())) return startDateLocal
  const date = localDate.format(start).replace(',', '')
  return startDateLocal.includes('T00:00:01') ? date : `${date}, ${localTime.format(start)}`
}

const periodFormats: Record<Period, Intl.DateTimeFormat> = {
  year: new Intl.DateTimeFormat(locale, { timeZone: 'UTC', year: 'numeric' }),
  month: new Intl.DateTimeFormat(locale, { timeZone: 'UTC', month: 'short', year: 'numeric' }),
  week: new Intl.DateTimeFormat(locale, { timeZone: 'UTC', day: 'numeric', month: 'short', year: 'numeric' }),
}

/** A period by its first day: "2026", "Nov 2026", "from 16 Nov 2026". */
export function period(start: string, by: Period): string {
  const name = periodFormats[by].format(new Date(`${start}T00:00:00Z`))
  return by === 'week' ? `from ${name}` : name
}

const moment = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' })

/** A point in time, in the reader's time zone: "16 Nov 2026, 08:12". */
export const instant = (time: string): string => moment.format(new Date(time))

const calendarDay = new Intl.DateTimeFormat(locale, { timeZone: 'UTC', dateStyle: 'medium' })

/** A day, YYYY-MM-DD: "16 Nov 2026". */
export const day = (date: string): string => calendarDay.format(new Date(`${date}T00:00:00Z`))

const timeOfDay = new Intl.DateTimeFormat(locale, { timeStyle: 'short' })

/** When something happens, in the reader's time zone: "at 14:05", "at 17 Nov 2026, 14:05" on another day. */
export function at(time: string, now: Date): string {
  const date = new Date(time)
  if (date <= now) return 'any moment now'
  return `at ${(date.toDateString() === now.toDateString() ? timeOfDay : moment).format(date)}`
}

/** The time from `now` until `time`, in words: "in about 7 minutes". */
export function until(time: string, now: Date): string {
  const minutes = Math.ceil((new Date(time).getTime() - now.getTime()) / 60_000)
  if (minutes <= 0) return 'any moment now'
  if (minutes === 1) return 'in about a minute'
  if (minutes < 90) return `in about ${minutes} minutes`
  return `in about ${Math.round(minutes / 60)} hours`
}
