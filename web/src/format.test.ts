import { afterEach, describe, expect, it, vi } from 'vitest'
import { count, distance, duration, elevation, speed, sport, startTime, until } from './format.ts'

describe('units', () => {
  it('writes distances in metres below a kilometre and in kilometres above', () => {
    expect(distance(0)).toBe('0 m')
    expect(distance(399.6)).toBe('400 m')
    expect(distance(999.4)).toBe('999 m')
    expect(distance(999.6)).toBe('1.0 km')
    expect(distance(42_195)).toBe('42.2 km')
    expect(distance(1_891_123.4)).toBe('1,891 km')
  })

  it('writes durations as h:mm:ss, also beyond a day, and carries when rounding', () => {
    expect(duration(0)).toBe('0:00:00')
    expect(duration(61)).toBe('0:01:01')
    expect(duration(3599.6)).toBe('1:00:00')
    expect(duration(3_820_134)).toBe('1061:08:54')
  })

  it('writes heights and counts with separators', () => {
    expect(elevation(1234.4)).toBe('1,234 m')
    expect(count(1132)).toBe('1,132')
  })

  it('shows a pace for running, walking and swimming, and a speed otherwise', () => {
    expect(speed(3.356, 'Run')).toBe('4:58 /km')
    expect(speed(2.5, 'VirtualRun')).toBe('6:40 /km')
    expect(speed(0.9524, 'Swim')).toBe('1:45 /100 m')
    expect(speed(7.6, 'Ride')).toBe('27.4 km/h')
    expect(speed(0, 'Run')).toBe('0.0 km/h')
    // 299.7 s must not become "4:60".
    expect(speed(1000 / 299.7, 'Run')).toBe('5:00 /km')
  })
})

it('spells known and unknown sport types', () => {
  expect(sport('Run')).toBe('Run')
  expect(sport('MountainBikeRide')).toBe('Mountain bike ride')
  expect(sport('EMountainBikeRide')).toBe('E-mountain bike ride')
  expect(sport('UnderwaterHockey')).toBe('Underwater hockey')
})

describe('the time of an event', () => {
  afterEach(() => vi.unstubAllEnvs())

  it.each([
    ['UTC', 'at 22:05', 'at 18 Nov 2026, 01:05'],
    ['Europe/Copenhagen', 'at 23:05', 'at 18 Nov 2026, 02:05'],
    ['Pacific/Auckland', 'at 11:05', 'at 14:05'],
  ])('uses the time zone %s and adds the date on another day', async (zone, soon, later) => {
    vi.stubEnv('TZ', zone)
    vi.resetModules()
    const { at } = await import('./format.ts')
    const now = new Date('2026-11-17T12:00:00Z')
    expect(at('2026-11-17T22:05:00Z', now)).toBe(soon)
    expect(at('2026-11-18T01:05:00Z', now)).toBe(later)
    expect(at('2026-11-17T12:00:00Z', now)).toBe('any moment now')
  })
})

describe('local start times', () => {
  afterEach(() => vi.unstubAllEnvs())

  it.each(['America/Los_Angeles', 'Pacific/Auckland'])('are never shifted for a reader in %s', async (zone) => {
    vi.stubEnv('TZ', zone)
    // A formatter keeps the time zone that was current when it was created.
    vi.resetModules()
    const there = await import('./format.ts')
    expect(there.instant('2026-11-16T12:00:00Z')).not.toContain('12:00')
    for (const time of ['00:30', '23:30']) {
      expect(there.startTime(`2026-11-16T${time}:00Z`)).toBe(`Mon 16 Nov 2026, ${time}`)
    }
    expect(there.period('2026-01-01', 'year')).toBe('2026')
    expect(there.period('2026-11-01', 'month')).toBe('Nov 2026')
    expect(there.period('2026-11-16', 'week')).toBe('from 16 Nov 2026')
  })

  it('show only the date if Strava hides the time', () => {
    expect(startTime('2026-11-16T00:00:01Z')).toBe('Mon 16 Nov 2026')
  })

  it('are shown unchanged if they are not dates', () => {
    expect(startTime('soon')).toBe('soon')
  })
})

it('describes the remaining time', () => {
  const now = new Date('2026-11-16T12:00:00Z')
  expect(until('2026-11-16T11:59:00Z', now)).toBe('any moment now')
  expect(until('2026-11-16T12:00:20Z', now)).toBe('in about a minute')
  expect(until('2026-11-16T12:06:30Z', now)).toBe('in about 7 minutes')
  expect(until('2026-11-17T00:00:00Z', now)).toBe('in about 12 hours')
})
